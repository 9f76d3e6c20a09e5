//! Times of the kernels behind `entropy` and `relu`, for `scripts/bench/native/run.py` to take turns with peers.
//!
//!     cargo bench -p kernels --bench native -- THREADS
//!
//! Each line on stdin runs one round: a line for each case with operation, type, rows, width and milliseconds, then an
//! empty line. On one thread it is CPU time, on several wall time.
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

mod common;

use kernels::{Base, EntropyOptions, Real, entropy_rows, leaky_relu};
use random::Random;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::{error::Error, io};

/// (rows, width); peers.py has the same.
const SHAPES: [(usize, usize); 3] = [(1_000_000, 8), (100_000, 100), (10_000, 1000)];
/// Repetitions of a measurement, of which the fastest counts: the machine may have other work.
const REPETITIONS: usize = 9;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let threads = std::env::args().nth(1).ok_or("expected the number of threads")?.parse()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        let (mut single, mut double) = (SHAPES.map(Case::<f32>::new), SHAPES.map(Case::<f64>::new));
        for _ in io::stdin().lines() {
            for (single, double) in single.iter_mut().zip(&mut double) {
                single.round("f4")?;
                double.round("f8")?;
            }
            println!();
        }
        Ok(())
    })
}

struct Case<T> {
    width: usize,
    /// `[rows, width]`, uniform on the simplex.
    probs: Vec<T>,
    /// `[rows, width]`, normal.
    values: Vec<T>,
    /// `[rows]`
    out: Vec<T>,
}

impl<T: Real> Case<T> {
    fn new((rows, width): (usize, usize)) -> Self {
        let mut random = Random::new(0, 0);
        let probs = common::probabilities(rows, width, &mut random);
        let values = (0..rows * width).map(|_| T::from_f64(random.normal())).collect();
        Self { width, probs, values, out: vec![T::ZERO; rows] }
    }

    fn round(&mut self, dtype: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        let options = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };
        let Self { width, probs, values, out } = self;
        let mut result = Ok(());
        let entropy = milliseconds(|| result = entropy_rows(probs, *width, &options, out));
        result?;
        let relu = milliseconds(|| leaky_relu(values, 0.0));
        println!("entropy {dtype} {} {width} {entropy:.4}", out.len());
        println!("relu {dtype} {} {width} {relu:.4}", out.len());
        Ok(())
    }
}

/// The time of the fastest of [`REPETITIONS`].
fn milliseconds(mut work: impl FnMut()) -> f64 {
    let alone = rayon::current_num_threads() == 1;
    let clock = if alone { ClockId::ProcessCPUTime } else { ClockId::Monotonic };
    let now = || {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        1e3 * tv_sec as f64 + 1e-6 * tv_nsec as f64
    };
    let mut fastest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let start = now();
        work();
        fastest = fastest.min(now() - start);
    }
    fastest
}
