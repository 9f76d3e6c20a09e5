//! Random variates with the same bits on every machine, from counter-based streams.
//!
//! A seed has 2⁶⁴ independent streams, each of which can start at once: `gen-data` uses one stream per chunk of rows, so
//! that any thread or shard generates any rows; `nets` and `train` draw initial weights, the order of examples and
//! augmentations from streams of the run's seed.
//!
//! The logarithm is `libm`'s, in plain Rust: the system's differs in the last bit between C
//! libraries and between processors, which is why the `rand_distr` crate is not used.
//!
//! ```
//! use random::Random;
//!
//! let draw = |seed, stream| Random::new(seed, stream).normal();
//! assert_eq!(draw(42, 7), draw(42, 7));
//! assert_ne!(draw(42, 7), draw(42, 8));
//! ```

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A source of variates: one of 2⁶⁴ streams of a seed (ChaCha with 8 rounds, counter-based).
#[derive(Clone)]
pub struct Random {
    bits: ChaCha8Rng,
    /// The second of a pair of normal variates, which the next call returns.
    spare_normal: Option<f64>,
}

impl Random {
    /// A stream of `seed`. Streams are independent, and any of them can start at once.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut bits = ChaCha8Rng::seed_from_u64(seed);
        bits.set_stream(stream);
        Self { bits, spare_normal: None }
    }

    /// 64 random bits, for example the seed of another source.
    pub fn bits(&mut self) -> u64 {
        self.bits.next_u64()
    }

    /// Uniform on (0, 1], in steps of 2⁻⁵³: never 0, so its logarithm is finite.
    pub fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        ((self.bits.next_u64() >> 11) + 1) as f64 * STEP
    }

    /// Uniform on 0..n. The bias is below n · 2⁻⁶⁴.
    pub fn index(&mut self, n: usize) -> usize {
        ((u128::from(self.bits.next_u64()) * n as u128) >> 64) as usize
    }

    /// A random permutation of 0..n (Fisher and Yates).
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

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 200_000;

    /// Mean and variance of `DRAWS` variates.
    fn statistics(mut draw: impl FnMut(&mut Random) -> f64) -> [f64; 2] {
        let mut random = Random::new(1, 0);
        let values: Vec<f64> = (0..DRAWS).map(|_| draw(&mut random)).collect();
        let mean = values.iter().sum::<f64>() / DRAWS as f64;
        [mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / DRAWS as f64]
    }

    #[track_caller]
    fn assert_close(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 0.02 * expected.abs().max(1.0), "{found}; expected {expected}");
        }
    }

    #[test]
    fn distributions_have_their_mean_and_variance() {
        assert_close(statistics(Random::uniform), [0.5, 1.0 / 12.0]);
        assert_close(statistics(|random| random.index(6) as f64), [2.5, 35.0 / 12.0]);
        assert_close(statistics(Random::exponential), [1.0, 1.0]);
        assert_close(statistics(Random::normal), [0.0, 1.0]);
        // Of a squared normal: the fourth moment is 3.
        assert_close(statistics(|random| random.normal().powi(2)), [1.0, 2.0]);
        // Of the logarithm of a gamma variate: ψ(α) and ψ₁(α), from ψ(½) = -γ - 2 ln 2 and ψ₁(½) = π²/2.
        assert_close(statistics(|random| random.log_gamma(0.5)), [-1.963_510_026, 4.934_802_201]);
        assert_close(statistics(|random| random.log_gamma(3.5)), [1.103_156_641, 0.330_357_757]);
    }

    #[test]
    fn uniform_excludes_0_and_includes_1() {
        let mut random = Random::new(3, 0);
        assert!((0..DRAWS).map(|_| random.uniform()).all(|x| x > 0.0 && x <= 1.0));
    }

    #[test]
    fn streams_and_seeds_differ_and_repeat() {
        let bits = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.bits(), random.bits()]
        };
        assert_eq!(bits(1, 2), bits(1, 2));
        assert_ne!(bits(1, 2), bits(1, 3));
        assert_ne!(bits(1, 2), bits(2, 2));
        assert_ne!(bits(1, 2)[0], bits(1, 2)[1]);
    }

    #[test]
    fn a_permutation_holds_each_index_once() {
        let mut random = Random::new(4, 0);
        let mut order = random.permutation(1000);
        assert!(order.iter().enumerate().filter(|(i, index)| i == *index).count() < 20, "hardly any stays");
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        // Each of the six orders of three about as often.
        let mut counts = [0; 9];
        (0..6000).map(|_| random.permutation(3)).for_each(|order| counts[3 * order[0] + order[1]] += 1);
        assert!(counts.iter().filter(|count| **count > 0).all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}
