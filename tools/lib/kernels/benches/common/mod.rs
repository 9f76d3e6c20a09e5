//! What benchmarks of rows share.

use kernels::Real;
use random::Random;

/// `[rows, width]`, uniform on the simplex.
pub fn probabilities<T: Real>(rows: usize, width: usize, random: &mut Random) -> Vec<T> {
    let mut probs = Vec::with_capacity(rows * width);
    let mut row = vec![0.0; width];
    for _ in 0..rows {
        row.iter_mut().for_each(|p| *p = random.exponential());
        let sum: f64 = row.iter().sum();
        probs.extend(row.iter().map(|p| T::from_f64(p / sum)));
    }
    probs
}
