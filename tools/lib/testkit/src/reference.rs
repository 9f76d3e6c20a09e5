//! Values that a peer computed, kept as JSON beside the script that made them.

use serde_json::Value;

/// A list of numbers.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// As [`numbers`], rounded to `f32`.
pub fn floats(value: &Value) -> Vec<f32> {
    numbers(value).iter().map(|&x| x as f32).collect()
}

/// Fails unless each element is within `tolerance` of the expected one, relative to the larger of it and `tolerance`.
pub fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!((x - y).abs() <= tolerance * y.abs().max(tolerance), "{what}: {i}: {x}, expected {y}");
    }
}
