//! `--measure-device`: this machine as a device.

use crate::{
    device::{Device, Peaks},
    settings::Settings,
};
use anyhow::Context;
use kernels::{Isa, peak};
use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Parts of a thread's memory; one is read at a time.
const PARTS: usize = 4;

/// Measures multiply-adds of all cores and the bandwidth of their memory; returns the device as YAML.
///
/// # Errors
/// When the environment names an instruction set that this processor lacks, or there is no memory to read.
pub fn device(settings: &Settings) -> anyhow::Result<String> {
    let isa = kernels::isa().with_context(|| kernels::ISA_VARIABLE)?;
    let threads = if settings.threads > 0 { settings.threads } else { thread::available_parallelism()?.get() };
    // The system may give fewer.
    cli::use_threads(Some(threads))?;
    let threads = rayon::current_num_threads();
    let time = Duration::from_secs_f64(settings.measure_seconds);
    let float32 = arithmetic(time, || peak::float32_operations(isa));
    // A processor without 8-bit dot products runs them no faster than float32.
    let int8 = peak::int8_operations(isa).map(|_| arithmetic(time, || peak::int8_operations(isa).unwrap_or(0)));
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

/// Operations a second of all threads. A call of `work` takes less than a millisecond; the best of each thread counts, as
/// other programs only slow one down.
fn arithmetic(time: Duration, work: impl Fn() -> u64 + Sync) -> f64 {
    let began = Instant::now();
    let best = || {
        let mut best = 0.0f64;
        while began.elapsed() < time {
            let start = Instant::now();
            let operations = work();
            best = best.max(operations as f64 / start.elapsed().as_secs_f64());
        }
        best
    };
    rayon::broadcast(|_| best()).into_iter().sum()
}

/// Bytes a second that all threads read at the same time, each from its own part of `bytes`; the best of all rounds.
fn bandwidth(isa: Isa, threads: usize, time: Duration, bytes: usize) -> anyhow::Result<f64> {
    let length = (bytes / size_of::<f32>() / (threads * PARTS)).max(1);
    let values = length * threads * PARTS;
    let mut memory: Vec<f32> = Vec::new();
    memory.try_reserve_exact(values).with_context(|| format!("profile.measure_bytes: no memory for {bytes} bytes"))?;
    // Other values than 0: pages of zeros might be one page.
    memory.resize(values, 1.0);
    let rounds = Rounds { barrier: Barrier::new(threads), over: AtomicBool::new(false), began: Instant::now(), time };
    let read = |values: &[f32]| {
        values
            .chunks_exact(length)
            .cycle()
            .map_while(|part| rounds.run(|| black_box(peak::read(isa, part))))
            .fold(f64::MAX, f64::min)
    };
    let own = |thread: usize| &memory[thread * length * PARTS..][..length * PARTS];
    let shortest = rayon::broadcast(|context| read(own(context.index()))).into_iter().fold(f64::MAX, f64::min);
    Ok((length * threads * size_of::<f32>()) as f64 / shortest)
}

/// Rounds that all threads begin and end together.
struct Rounds {
    barrier: Barrier,
    over: AtomicBool,
    began: Instant,
    /// How long they go on.
    time: Duration,
}

impl Rounds {
    /// Runs `work`; returns the seconds until all threads have ended theirs, or None after the last round. The thread that
    /// comes last has the fewest: with it, the round begins.
    fn run<T>(&self, work: impl FnOnce() -> T) -> Option<f64> {
        let start = Instant::now();
        self.barrier.wait();
        if self.over.load(Ordering::Relaxed) {
            return None;
        }
        work();
        let leads = self.barrier.wait().is_leader();
        let seconds = start.elapsed().as_secs_f64();
        if leads && self.began.elapsed() >= self.time {
            // The others see it behind the next barrier.
            self.over.store(true, Ordering::Relaxed);
        }
        Some(seconds)
    }
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
