//! `--measure-device`: this machine as a device.

use crate::{
    device::{Device, Peaks},
    settings::Settings,
};
use anyhow::Context;
use kernels::{Isa, peak};
use std::{
    hint::black_box,
    num::NonZero,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Measurements of each kind, of which the best counts: other programs only slow one down.
const REPEATS: u32 = 5;

/// Measures multiply-adds of all cores and the bandwidth of their memory; returns the device as YAML.
///
/// # Errors
/// When the environment names an instruction set that this processor lacks, or there is no memory to read.
pub fn device(settings: &Settings) -> anyhow::Result<String> {
    let isa = kernels::isa().with_context(|| kernels::ISA_VARIABLE)?;
    let threads = threads(settings);
    let time = Duration::from_secs_f64(settings.measure_seconds / f64::from(REPEATS));
    let float32 = rate(threads, time, |_| peak::float32_operations(isa));
    // A processor without 8-bit dot products runs them no faster than float32.
    let int8 = peak::int8_operations(isa).map(|_| rate(threads, time, |_| peak::int8_operations(isa).unwrap_or(0)));
    let bandwidth = bandwidth(isa, threads, time, settings.measure_bytes)?;
    let device = Device {
        name: processor(),
        source: format!(
            "measured by profile --measure-device: {threads} threads, {isa}; multiply-adds on registers, reads of {} MiB",
            settings.measure_bytes >> 20
        ),
        peak_tflops: Peaks {
            float32: rounded(float32 / 1e12),
            float64: None,
            tf32: None,
            float16: None,
            bfloat16: None,
            float8: None,
            int8: int8.map(|rate| rounded(rate / 1e12)),
        },
        bandwidth_gbs: rounded(bandwidth / 1e9),
    };
    yaml(&device)
}

fn threads(settings: &Settings) -> usize {
    match settings.threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        threads => cli::limited_threads("profile.threads", threads),
    }
}

/// What `work` returns a second, on all threads together; the best of the repeats, each of about `time`.
fn rate(threads: usize, time: Duration, work: impl Fn(usize) -> u64 + Sync) -> f64 {
    let repeat = || {
        let barrier = Barrier::new(threads);
        let run = |thread: usize| {
            work(thread);
            barrier.wait();
            let (began, mut done) = (Instant::now(), 0u64);
            while began.elapsed() < time {
                done += work(thread);
            }
            done as f64 / began.elapsed().as_secs_f64()
        };
        thread::scope(|scope| {
            let run = &run;
            let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum::<f64>()
        })
    };
    (0..REPEATS).map(|_| repeat()).fold(0.0, f64::max)
}

/// Bytes a second that all threads read, each from its own part of `bytes`.
fn bandwidth(isa: Isa, threads: usize, time: Duration, bytes: usize) -> anyhow::Result<f64> {
    let values = bytes / size_of::<f32>();
    let mut memory: Vec<f32> = Vec::new();
    memory.try_reserve_exact(values).with_context(|| format!("profile.measure_bytes: no memory for {bytes} bytes"))?;
    // Other values than 0: pages of zeros might be one page.
    memory.resize(values, 1.0);
    let parts: Vec<&[f32]> = memory.chunks(values.div_ceil(threads)).collect();
    Ok(rate(threads, time, |thread| {
        let part = parts.get(thread).copied().unwrap_or_default();
        black_box(peak::read(isa, part));
        size_of_val(part) as u64
    }))
}

/// Three digits: more would differ from run to run.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// The processor's name as Linux tells it, or else the architecture.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn yaml(device: &Device) -> anyhow::Result<String> {
    // A JSON string is a YAML string.
    let text = |text: &str| serde_json::to_string(text);
    let mut yaml = format!(
        "name: {}\nsource: {}\npeak_tflops: # 10¹² operations a second by element type, dense; a multiply-add is two\n  float32: {}\n",
        text(&device.name)?,
        text(&device.source)?,
        device.peak_tflops.float32
    );
    if let Some(int8) = device.peak_tflops.int8 {
        yaml.push_str(&format!("  int8: {int8}\n"));
    }
    yaml.push_str(&format!("bandwidth_gbs: {} # 10⁹ bytes a second\n", device.bandwidth_gbs));
    Ok(yaml)
}
