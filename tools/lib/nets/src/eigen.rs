//! Eigenvectors of small symmetric matrices.

/// Most sweeps; the method converges in 6 to 10.
const MAX_SWEEPS: usize = 50;

/// Eigenvalues in descending order, each with its eigenvector of length 1, of a symmetric matrix `[size, size]`, by the
/// cyclic Jacobi method (Golub and Van Loan, "Matrix computations", 2013, section 8.5). The
/// entry of largest absolute value is positive.
pub fn symmetric(matrix: &[f64], size: usize) -> Vec<(f64, Vec<f64>)> {
    let mut a = matrix.to_vec();
    let mut vectors: Vec<f64> = (0..size * size).map(|i| f64::from(u8::from(i % (size + 1) == 0))).collect(); // a row each
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..MAX_SWEEPS {
        let off: f64 = (0..size * size).filter(|i| i % (size + 1) != 0).map(|i| a[i] * a[i]).sum();
        if off <= f64::EPSILON * f64::EPSILON * total {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut vectors, size, p, q);
            }
        }
    }
    let mut pairs: Vec<_> = (0..size).map(|i| (a[i * size + i], signed(&vectors[i * size..][..size]))).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// One Jacobi rotation: zeroes the entries `p`, `q` and `q`, `p`.
fn rotate(a: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let (app, aqq, apq) = (a[p * size + p], a[q * size + q], a[p * size + q]);
    if apq == 0.0 {
        return;
    }
    let theta = (aqq - app) / (2.0 * apq);
    let t = 1f64.copysign(theta) / (theta.abs() + libm::hypot(theta, 1.0));
    let c = 1.0 / libm::hypot(t, 1.0);
    let s = t * c;
    for k in 0..size {
        let (x, y) = (a[k * size + p], a[k * size + q]);
        (a[k * size + p], a[k * size + q]) = (c * x - s * y, s * x + c * y);
    }
    for matrix in [a, vectors] {
        for k in 0..size {
            let (x, y) = (matrix[p * size + k], matrix[q * size + k]);
            (matrix[p * size + k], matrix[q * size + k]) = (c * x - s * y, s * x + c * y);
        }
    }
}

fn signed(vector: &[f64]) -> Vec<f64> {
    let largest = vector.iter().fold(0f64, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
    vector.iter().map(|x| x * 1f64.copysign(largest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use random::Random;

    #[test]
    fn a_case_worked_by_hand() {
        let pairs = symmetric(&[2.0, -1.0, 0.0, -1.0, 2.0, -1.0, 0.0, -1.0, 2.0], 3);
        let half = 0.5f64.sqrt();
        let expected = [2.0 + 2f64.sqrt(), 2.0, 2.0 - 2f64.sqrt()];
        pairs.iter().zip(expected).for_each(|((value, _), expected)| assert!((value - expected).abs() < 1e-14));
        for (x, expected) in pairs[0].1.iter().zip([-0.5, half, -0.5]) {
            assert!((x - expected).abs() < 1e-14, "{pairs:?}");
        }
    }

    /// The definition: `matrix · vector = value · vector`, and vectors at right angles.
    #[test]
    fn vectors_are_eigenvectors() {
        let mut random = Random::new(0, 0);
        for size in [1, 2, 5, 12, 40] {
            let mut matrix = vec![0.0; size * size];
            for i in 0..size {
                for j in 0..=i {
                    (matrix[i * size + j], matrix[j * size + i]) = (random.normal(), 0.0);
                    matrix[j * size + i] = matrix[i * size + j];
                }
            }
            let pairs = symmetric(&matrix, size);
            for (i, (value, vector)) in pairs.iter().enumerate() {
                for (row, x) in matrix.chunks_exact(size).zip(vector) {
                    let product: f64 = row.iter().zip(vector).map(|(a, x)| a * x).sum();
                    assert!((product - value * x).abs() < 1e-12, "{size}");
                }
                for (j, (_, other)) in pairs.iter().enumerate() {
                    let dot: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12, "{size}");
                }
            }
        }
    }
}
