//! Rows that a small network learns.

/// Two values in [0, 1) that spread evenly and do not repeat: the fractional parts of multiples of 0.618034 and
/// 0.754878.
pub fn point(row: usize) -> (f64, f64) {
    ((row as f64 * 0.618_034).fract(), (row as f64 * 0.754_878).fract())
}

/// `count` rows of NDJSON: `probs`, two values in [0, 1), and `entropy`, 2·x0 - x1.
pub fn linear(count: usize) -> String {
    let row = |(a, b): (f64, f64)| format!("{{\"probs\":[{a},{b}],\"entropy\":{}}}\n", 2.0 * a - b);
    (0..count).map(point).map(row).collect()
}
