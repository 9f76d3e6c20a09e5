//! Random variates with the same bits on every machine.
//!
//! The logarithm is `libm`'s, in plain Rust: the system's differs in the last bit between C
//! libraries and between processors, which is why the `rand_distr` crate is not used.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A source of variates: one of 2⁶⁴ streams of a seed (ChaCha with 8 rounds, counter-based).
#[derive(Clone)]
pub struct Random {
    bits: ChaCha8Rng,
    /// Normals come in pairs; the second of a pair waits here.
    spare_normal: Option<f64>,
}

impl Random {
    /// A stream of `seed`. Streams are independent, and any of them can start at once.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut bits = ChaCha8Rng::seed_from_u64(seed);
        bits.set_stream(stream);
        Self { bits, spare_normal: None }
    }

    /// 64 random bits, for instance the seed of another source.
    pub fn bits(&mut self) -> u64 {
        self.bits.next_u64()
    }

    /// Uniform on (0, 1], in steps of 2⁻⁵³: never 0, so that it has a logarithm.
    pub fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        ((self.bits.next_u64() >> 11) + 1) as f64 * STEP
    }

    /// Uniform on 0..n. The bias is below n · 2⁻⁶⁴.
    pub fn index(&mut self, n: usize) -> usize {
        ((u128::from(self.bits.next_u64()) * n as u128) >> 64) as usize
    }

    /// The numbers 0..n in random order (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.index(i + 1));
        }
        order
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Normal with mean 0 and standard deviation 1, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * libm::log(s) / s).sqrt();
                self.spare_normal = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// The logarithm of a gamma variate of shape `alpha` and scale 1.
    ///
    /// In logarithms, because for small `alpha` the variate itself is below the smallest double.
    /// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
    pub fn log_gamma(&mut self, alpha: f64) -> f64 {
        if alpha < 1.0 {
            return self.log_gamma(alpha + 1.0) + libm::log(self.uniform()) / alpha;
        }
        let d = alpha - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let cube_root = 1.0 + c * x;
            if cube_root <= 0.0 {
                continue;
            }
            let v = cube_root * cube_root * cube_root;
            let log_v = libm::log(v);
            if libm::log(self.uniform()) < 0.5 * x * x + d * (1.0 - v + log_v) {
                return libm::log(d) + log_v;
            }
        }
    }
}
