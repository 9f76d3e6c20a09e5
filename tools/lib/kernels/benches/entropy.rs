//! Nanoseconds per element of the entropy kernel: on one thread for each instruction set, then on all threads. The time
//! to read the elements is the lower bound.
//!
//!     cargo bench -p kernels --bench entropy
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

mod common;

use kernels::{Base, EntropyOptions, Isa, Real, entropy_rows, entropy_rows_on};
use random::Random;
use std::{hint::black_box, time::Instant};

/// Runs of each case; the median is printed.
const RUNS: usize = 11;
/// Elements of a call: one task, so that it runs on the calling thread.
const ONE_THREAD: usize = 1 << 17;
/// (rows, width) of each case.
const SHAPES: [(usize, usize); 2] = [(1_000_000, 8), (10_000, 1000)];

fn main() {
    println!("dtype  rows     width  on               ns an element");
    for (rows, width) in SHAPES {
        case::<f64>("f8", rows, width);
        case::<f32>("f4", rows, width);
    }
}

fn case<T: Real>(dtype: &str, rows: usize, width: usize) {
    let options = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };
    let probs: Vec<T> = common::probabilities(rows, width, &mut Random::new(0, 0));
    let mut out = vec![T::ZERO; rows];
    let report = |on: &str, nanoseconds: f64| println!("{dtype:5}  {rows:<7}  {width:5}  {on:15}  {nanoseconds:.2}");

    report("reading alone", median(probs.len(), || read(black_box(&probs))));
    for isa in Isa::supported() {
        let at_once = ONE_THREAD / width;
        let time = median(probs.len(), || {
            for (probs, out) in probs.chunks(at_once * width).zip(out.chunks_mut(at_once)) {
                entropy_rows_on(isa, probs, width, &options, out).expect("probabilities");
            }
        });
        report(&isa.to_string(), time);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let time = median(probs.len(), || entropy_rows(&probs, width, &options, &mut out).expect("probabilities"));
    report(&format!("{threads} threads"), time);
}

/// Reads every element, with as little arithmetic as the compiler keeps.
fn read<T: Real>(values: &[T]) {
    let mut sums = [T::ZERO; 64];
    for chunk in values.as_chunks::<64>().0 {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum = *sum + value;
        }
    }
    black_box(sums);
}

/// The median time of `work` in nanoseconds for each of its `elements`.
fn median(elements: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e9 / elements as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
