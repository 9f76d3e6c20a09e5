//! Runs of the executor beside ONNX Runtime's, in one process, in alternating rounds.
//!
//!     ORT_DYLIB_PATH=…/libonnxruntime.so cargo bench -p executor --bench runtime -- [THREADS [SECONDS [CASE]]]
//!
//! Seconds are those of each case; a case is a part of a name. Weights are random: they do not matter to the time.

#[allow(clippy::unwrap_used, reason = "as in tests")]
mod graphs;

use executor::{Executor, Options, View};
use ort::{
    environment::Environment,
    session::{Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::TensorRef,
};
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Alternating rounds of a case.
const ROUNDS: usize = 15;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let threads: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(6.0), |text| text.parse())?;
    let part = arguments.next().unwrap_or_default();
    let library = std::env::var("ORT_DYLIB_PATH")?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let mut out = std::io::stdout();
    writeln!(out, "{}, {threads} threads; medians, and the range of the ratios of {ROUNDS} rounds", kernels::isa()?)?;
    writeln!(out, "| network | batch | executor | ONNX Runtime | ratio | range |\n|---|---:|---:|---:|---:|---:|")?;
    let resnet = |size: usize| vec![3, size, size];
    let cases = [
        ("MLP 8-64-64-1", graphs::mlp(&[8, 64, 64, 1]), vec![8], &[1, 64, 1024][..]),
        ("MLP 784-512-512-10", graphs::mlp(&[784, 512, 512, 10]), vec![784], &[1, 64]),
        ("ResNet-20, 32 × 32", graphs::resnet20(32), resnet(32), &[1, 64]),
        ("ResNet-18, 32 × 32", graphs::resnet18(32), resnet(32), &[1, 8, 64]),
        ("MLP 8-64-64-1 int8", graphs::int8(&graphs::mlp(&[8, 64, 64, 1]), &[8]), vec![8], &[1, 64, 1024][..]),
        ("MLP 784-512-512-10 int8", graphs::int8(&graphs::mlp(&[784, 512, 512, 10]), &[784]), vec![784], &[1, 64]),
        ("MLP 8-64-64-1 fp16", graphs::half(&graphs::mlp(&[8, 64, 64, 1])), vec![8], &[1, 64, 1024][..]),
        ("ResNet-20 int8", graphs::int8(&graphs::resnet20(32), &resnet(32)), resnet(32), &[1, 64]),
        ("MobileNet, 64 × 64", graphs::mobilenet(64), resnet(64), &[1, 16]),
        ("MobileNet int8", graphs::int8(&graphs::mobilenet(64), &resnet(64)), resnet(64), &[1, 16]),
        ("ResNet-18, 224 × 224", graphs::resnet18(224), resnet(224), &[1, 8]),
    ];
    for (name, bytes, shape, batches) in cases.iter().filter(|(name, ..)| name.contains(&part)) {
        for &batch in *batches {
            let shape = [&[batch], shape.as_slice()].concat();
            let line = compare(&environment, name, bytes, &shape, threads, seconds)?;
            writeln!(out, "| {name} | {batch} | {line} |")?;
        }
    }
    Ok(())
}

/// Times one case, after a check that both compute the same.
fn compare(
    environment: &Environment,
    name: &str,
    bytes: &[u8],
    shape: &[usize],
    threads: usize,
    seconds: f64,
) -> Result<String> {
    let mut ours = Executor::new(graphs::model(bytes), &Options { threads, ..Options::default() })?;
    let mut theirs = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .commit_from_memory(bytes)?;
    let mut random = random::Random::new(1, 0);
    let input: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
    let view = [View { shape, bytes: bytemuck::cast_slice(&input) }];
    // A list that is lent: a clone of a tensor would copy it.
    let values: [SessionInputValue<'_>; 1] = [TensorRef::from_array_view((shape, input.as_slice()))?.into()];
    let mut run_ours = || ours.run(&view).map_err(Box::<dyn std::error::Error>::from);
    let mut run_theirs = || theirs.run(values.as_slice()).map(drop).map_err(Box::<dyn std::error::Error>::from);
    let each = Duration::from_secs_f64(seconds / (2 * ROUNDS) as f64);
    let (mut times, mut ratios) = ([vec![], vec![]], vec![]);
    let counts = [count(&mut run_ours, each)?, count(&mut run_theirs, each)?];
    for _ in 0..ROUNDS {
        let pair = [time(&mut run_ours, counts[0])?, time(&mut run_theirs, counts[1])?];
        times.iter_mut().zip(pair).for_each(|(times, time)| times.push(time));
        ratios.push(pair[1] / pair[0]);
    }
    let outputs = theirs.run(values.as_slice())?;
    let (_, expected) = outputs[0].try_extract_tensor::<f32>()?;
    let found: Vec<f32> = bytemuck::pod_collect_to_vec(ours.output(0).bytes);
    let largest = expected.iter().fold(1f32, |largest, x| largest.max(x.abs()));
    let error = found.iter().zip(expected).fold(0f32, |error, (x, y)| error.max((x - y).abs())) / largest;
    let bound = if ["int8", "fp16"].iter().any(|kind| name.contains(kind)) { 5e-2 } else { 1e-3 };
    if error > bound || found.len() != expected.len() {
        return Err(format!("the outputs differ by {error}").into());
    }
    times.iter_mut().chain([&mut ratios]).for_each(|values| values.sort_by(f64::total_cmp));
    let [mine, other] = [0, 1].map(|i| show(times[i][ROUNDS / 2]));
    let (ratio, low, high) = (ratios[ROUNDS / 2], ratios[1], ratios[ROUNDS - 2]);
    Ok(format!("{mine} | {other} | {ratio:.2} | {low:.2} – {high:.2}"))
}

/// How often `run` is called in a time, at least once, after it was warmed up.
fn count(run: &mut impl FnMut() -> Result<()>, each: Duration) -> Result<usize> {
    run()?;
    let (start, mut calls) = (Instant::now(), 0);
    while calls == 0 || start.elapsed() < each {
        run()?;
        calls += 1;
    }
    Ok(calls)
}

/// Seconds of a call.
fn time(run: &mut impl FnMut() -> Result<()>, count: usize) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..count {
        run()?;
    }
    Ok(start.elapsed().as_secs_f64() / count as f64)
}

fn show(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.2} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}
