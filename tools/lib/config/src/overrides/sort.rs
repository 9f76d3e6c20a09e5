//! `sort()`: values in Python's order.

use super::{
    Value,
    error::{GrammarError, Result},
    range::Number,
};
use std::cmp::Ordering;

/// Sorts values; equal ones keep their order, in reverse too.
///
/// # Errors
/// When two values have no order: a number and a text, dicts, texts in quotes, NaN.
pub(super) fn sorted(values: Vec<Value>, reverse: bool) -> Result<Vec<Value>> {
    let wanted = if reverse { Ordering::Greater } else { Ordering::Less };
    let mut sorted: Vec<Value> = Vec::with_capacity(values.len());
    // By insertion: the standard sorts take no comparison that can fail.
    for value in values {
        let (mut low, mut high) = (0, sorted.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if compare(&value, &sorted[middle])? == wanted { high = middle } else { low = middle + 1 }
        }
        sorted.insert(low, value);
    }
    Ok(sorted)
}

fn compare(a: &Value, b: &Value) -> Result<Ordering> {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return compare_numbers(a, b).ok_or(GrammarError::UnorderedNan);
    }
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Ok(a.cmp(b)),
        (Value::List(a), Value::List(b)) => match a.iter().zip(b).find(|(a, b)| !equal(a, b)) {
            Some((a, b)) => compare(a, b),
            None => Ok(a.len().cmp(&b.len())),
        },
        _ => Err(GrammarError::arguments("sort", format!("finds no order between {} and {}", kind(a), kind(b)))),
    }
}

/// Equality by value: 1, 1.0 and true are equal.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Dict(a), Value::Dict(b)) => {
            let has = |key: &str, value| b.iter().any(|(other_key, other)| other_key == key && equal(value, other));
            a.len() == b.len() && a.iter().all(|(key, value)| has(key, value))
        }
        _ => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
            _ => a == b,
        },
    }
}

/// The exact order of two numbers, however large; None where one is NaN.
pub(super) fn compare_numbers(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Int(a), Number::Float(b)) => compare_mixed(a, b),
        (Number::Float(a), Number::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
    }
}

fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    let whole = float.trunc();
    if float.is_nan() {
        None
    } else if whole >= i128::MAX as f64 {
        // The conversion rounds to 2^127, beyond every integer.
        Some(Ordering::Less)
    } else if whole < i128::MIN as f64 {
        Some(Ordering::Greater)
    } else {
        int.cmp(&(whole as i128)).then(0.0.partial_cmp(&float.fract())?).into()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => "a number",
        Value::Str(_) => "a text",
        Value::Quoted(..) => "a text in quotes",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dict",
        Value::Sweep(_) => "a sweep",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        let int = |a, b: f64| compare_numbers(Number::Int(a), Number::Float(b));
        assert_eq!(int(1, 1.0), Some(Ordering::Equal));
        assert_eq!(int(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(int(1, 1.5), Some(Ordering::Less));
        assert_eq!(int((1 << 53) + 1, (1i64 << 53) as f64), Some(Ordering::Greater));
        assert_eq!(int(i128::MAX, f64::INFINITY), Some(Ordering::Less));
        assert_eq!(int(i128::MAX, i128::MAX as f64), Some(Ordering::Less));
        assert_eq!(int(i128::MIN, f64::NEG_INFINITY), Some(Ordering::Greater));
        assert_eq!(int(i128::MIN, i128::MIN as f64), Some(Ordering::Equal));
        assert_eq!(int(0, f64::NAN), None);
    }

    #[test]
    fn equal_values_keep_their_order_both_ways() {
        let values = || vec![Value::Int(1), Value::Bool(true), Value::Float(1.0), Value::Int(0)];
        assert_eq!(
            sorted(values(), false),
            Ok(vec![Value::Int(0), Value::Int(1), Value::Bool(true), Value::Float(1.0)])
        );
        assert_eq!(
            sorted(values(), true),
            Ok(vec![Value::Int(1), Value::Bool(true), Value::Float(1.0), Value::Int(0)])
        );
    }
}
