//! Checks and measures the kernels of `entropy` and `relu` on a GPU: one object of JSON on standard output.
//!
//! `scripts/gpu-check.sh` runs it. Bits are compared with the CPU's kernels; rates are bytes read and written a second, beside
//! those of a copy within the GPU's memory.

#![allow(clippy::print_stdout, reason = "the result")]

use cuda::{BATCH_BYTES, Device, Gpu, Kernel, Number, Pipeline, call};
use cudarc::driver::{CudaSlice, CudaStream, sys::CUevent_flags};
use kernels::{Base, EntropyOptions, entropy_rows, leaky_relu};
use serde_json::{Value, json};
use std::{error::Error, sync::Arc, time::Instant};

const NATS: EntropyOptions = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };
/// Bytes that a measured kernel reads.
const BYTES: usize = 1 << 30;
/// Calls that are measured together, after as many that are not.
const CALLS: usize = 10;
/// Batches that go through a pipeline.
const BATCHES: usize = 256;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let gpu = "cuda:0".parse::<Device>()?.open(None)?.ok_or("no GPU")?;
    let copy = copy_rate(&gpu)?;
    let mut rates = Vec::new();
    for width in [8, 10, 33, 64, 100, 1000] {
        rates.push(rate::<f32>(&gpu, Kernel::Entropy { width, options: NATS }, copy)?);
        rates.push(rate::<f64>(&gpu, Kernel::Entropy { width, options: NATS }, copy)?);
    }
    let normalize = EntropyOptions { normalize: true, ..NATS };
    rates.push(rate::<f32>(&gpu, Kernel::Entropy { width: 8, options: normalize }, copy)?);
    rates.push(rate::<f32>(&gpu, Kernel::Relu { slope: 0.0 }, copy)?);
    rates.push(rate::<f64>(&gpu, Kernel::Relu { slope: 0.1 }, copy)?);
    let different = [different_bits::<f32>(&gpu)?, different_bits::<f64>(&gpu)?].concat();
    println!(
        "{:#}",
        json!({
            "gpu": gpu.name()?,
            "copy_gb_s": copy,
            "same_bits_as_cpu": different.is_empty(),
            "different_bits": different,
            "kernels": rates,
            "pipeline_gb_s": { "f4": pipeline_rate::<f32>(&gpu)?, "f8": pipeline_rate::<f64>(&gpu)? },
        })
    );
    Ok(())
}

/// Rows that sum to 1.
fn rows<T: Number>(seed: u64, width: usize, count: usize) -> Vec<T> {
    let mut random = random::Random::new(seed, 0);
    let mut rows: Vec<f64> = (0..width * count).map(|_| random.exponential().powi(4)).collect();
    for row in rows.chunks_exact_mut(width) {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    rows.into_iter().map(T::from_f64).collect()
}

/// What writes a batch.
fn copy<T: Copy>(values: &[T]) -> impl FnOnce(&mut [T]) -> cuda::Result<()> {
    |to| {
        to.copy_from_slice(values);
        Ok(())
    }
}

/// What computes other bits than the CPU: widths, and whether rows are normalized.
fn different_bits<T: Number>(gpu: &Gpu) -> Outcome<Vec<String>> {
    let mut different = Vec::new();
    let same = |a: &[T], b: &[T]| a.iter().zip(b).all(|(a, b)| a.to_f64().to_bits() == b.to_f64().to_bits());
    for width in (1..=70).chain([100, 127, 128, 129, 1000, 4096]) {
        let probs: Vec<T> = rows(width as u64, width, 1037);
        for (base, normalize) in [(Base::E, false), (Base::Two, true)] {
            let options = EntropyOptions { base, normalize, ..NATS };
            let mut expected = vec![T::ZERO; 1037];
            entropy_rows(&probs, width, &options, &mut expected)?;
            let mut pipeline = Pipeline::<T>::new(gpu, Kernel::Entropy { width, options })?;
            pipeline.start(probs.len(), copy(&probs))?;
            let ours = pipeline.finish()?;
            if ours.refused.is_some() || !same(ours.output, &expected) {
                different.push(format!("entropy f{} of {width}, normalize={normalize}", size_of::<T>()));
            }
        }
    }
    let values: Vec<T> = rows(1, 1, 100_003).into_iter().map(|x: T| x - T::from_f64(0.5)).collect();
    let mut expected = values.clone();
    leaky_relu(&mut expected, 0.1);
    let mut pipeline = Pipeline::<T>::new(gpu, Kernel::Relu { slope: 0.1 })?;
    pipeline.start(values.len(), copy(&values))?;
    if !same(pipeline.finish()?.output, &expected) {
        different.push(format!("relu f{}", size_of::<T>()));
    }
    Ok(different)
}

/// Seconds of a call, by the GPU's clock.
fn seconds(stream: &Arc<CudaStream>, mut enqueue: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let event = || stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
    (0..CALLS).try_for_each(|_| enqueue())?;
    let start = event()?;
    (0..CALLS).try_for_each(|_| enqueue())?;
    let end = event()?;
    stream.synchronize()?;
    Ok(f64::from(start.elapsed_ms(&end)?) / 1e3 / CALLS as f64)
}

/// GB/s of a copy within the GPU's memory, read and written.
fn copy_rate(gpu: &Gpu) -> Outcome<f64> {
    let stream = gpu.context().default_stream();
    let (from, mut to) = (stream.alloc_zeros::<u8>(BYTES)?, stream.alloc_zeros::<u8>(BYTES)?);
    let seconds = seconds(&stream, || Ok(stream.memcpy_dtod(&from, &mut to)?))?;
    Ok(2.0 * BYTES as f64 / seconds / 1e9)
}

/// The rate of a kernel, and its share of a copy's.
fn rate<T: Number>(gpu: &Gpu, kernel: Kernel, copy: f64) -> Outcome<Value> {
    let (stream, function, size) = (gpu.context().default_stream(), gpu.function::<T>(&kernel)?, size_of::<T>());
    let width = if let Kernel::Entropy { width, .. } = kernel { width } else { 1 };
    let count = BYTES / size / width;
    // A block of rows, again and again.
    let block: Vec<T> = rows(3, width, (1 << 20) / width);
    let values: Vec<T> = block.iter().copied().cycle().take(count * width).collect();
    let input: CudaSlice<T> = stream.clone_htod(&values)?;
    let mut output: CudaSlice<T> = stream.alloc_zeros(kernel.outputs(values.len()))?;
    let mut flag: CudaSlice<u32> = stream.clone_htod(&[u32::MAX])?;
    let inputs = values.len();
    let seconds =
        seconds(&stream, || Ok(call(&function, &kernel, &stream, inputs, (&input, &mut output, &mut flag))?))?;
    let gb_s = size as f64 * (inputs + kernel.outputs(inputs)) as f64 / seconds / 1e9;
    let name = match kernel {
        Kernel::Relu { slope } => format!("relu f{size} slope {slope}"),
        Kernel::Entropy { options, .. } => {
            format!("entropy f{size} of {width}{}", if options.normalize { " normalized" } else { "" })
        }
    };
    Ok(json!({ "kernel": name, "gb_s": gb_s, "of_copy": gb_s / copy, "flagged": stream.clone_dtoh(&flag)?[0] }))
}

/// GB/s of probabilities from the CPU's memory through the GPU and back, in batches.
fn pipeline_rate<T: Number>(gpu: &Gpu) -> Outcome<f64> {
    let (width, mut started) = (8, 0);
    let batch: Vec<T> = rows(5, width, BATCH_BYTES / size_of::<T>() / width);
    let mut pipeline = Pipeline::<T>::new(gpu, Kernel::Entropy { width, options: NATS })?;
    let clock = Instant::now();
    for finished in 0..BATCHES {
        while started < BATCHES && started < finished + cuda::DEPTH {
            pipeline.start(batch.len(), copy(&batch))?;
            started += 1;
        }
        pipeline.finish()?;
    }
    Ok((BATCHES * size_of_val(batch.as_slice())) as f64 / clock.elapsed().as_secs_f64() / 1e9)
}
