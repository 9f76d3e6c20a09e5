//! Nanoseconds an element of the entropy kernel, on one core, for each instruction set.
//!
//!     cargo run --release -p kernels --example entropy_speed
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use kernels::{Base, EntropyOptions, Isa, Real, entropy_rows_on, random::Random};
use std::time::Instant;

/// Runs of each case; the median is printed.
const RUNS: usize = 11;
/// Rows handed over at a time: one thread's share, so that no other thread takes part.
const ROWS: usize = 1 << 14;

fn main() {
    println!("dtype  width  instructions  ns an element");
    for width in [8, 1000] {
        case::<f64>("f8", width);
        case::<f32>("f4", width);
    }
}

fn case<T: Real>(dtype: &str, width: usize) {
    let options = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };
    let rows = 8_000_000 / width;
    let mut random = Random::new(0, 0);
    let mut probs = vec![T::ZERO; rows * width];
    let mut row = vec![0.0; width];
    for probs in probs.chunks_exact_mut(width) {
        row.iter_mut().for_each(|p| *p = random.exponential());
        let sum: f64 = row.iter().sum();
        probs.iter_mut().zip(&row).for_each(|(p, x)| *p = T::from_f64(x / sum));
    }
    let mut out = vec![T::ZERO; rows];
    let rows_at_once = ROWS * 8 / width;
    for isa in Isa::supported() {
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                for (probs, out) in probs.chunks(rows_at_once * width).zip(out.chunks_mut(rows_at_once)) {
                    entropy_rows_on(isa, probs, width, &options, out).expect("probabilities");
                }
                start.elapsed().as_secs_f64() * 1e9 / (rows * width) as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{dtype:5}  {width:5}  {:12}  {:.2}", isa, times[RUNS / 2]);
    }
}
