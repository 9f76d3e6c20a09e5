//! The process of one measurement.

use super::{
    backend,
    job::{Job, Measured},
    timing::Latency,
};
use anyhow::Context;
use std::{io, process, thread, time::Instant};

/// Reads a [`Job`] from standard input, does it, and writes [`Measured`] to standard output.
///
/// # Errors
/// When the model cannot be loaded or run.
pub fn work() -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("--worker: the job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("--worker: the job on standard input")?;
    thread::Builder::new().spawn(end_with_caller).context("--worker: a thread")?;
    let measured = measure(&job)?;
    cli::print(&serde_json::to_string(&measured)?)?;
    Ok(())
}

/// Ends this process when whoever asked for the measurement is gone: nobody reads the answer.
fn end_with_caller() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    process::exit(2);
}

fn measure(job: &Job) -> anyhow::Result<Measured> {
    let start = Instant::now();
    let mut backend = backend::open(job)?;
    let load_seconds = start.elapsed().as_secs_f64();
    let times = job.budget.spend(|| backend.run())?;
    let profile = job.profile.is_some().then(|| backend.finish_profile()).transpose()?.flatten();
    let latency = Latency::of(&times).context("no run was measured")?;
    let (batch, runs) = (backend.batch(), times.len());
    Ok(Measured {
        backend: backend.backend(),
        latency,
        batch,
        runs,
        load_seconds,
        memory_bytes: peak_memory(),
        profile,
    })
}

/// Peak of the resident memory in bytes, as Linux counts it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
