//! `range()`: numbers at equal steps.

use super::{
    Value,
    error::{GrammarError, Result},
    sort::compare_numbers,
};
use bigdecimal::{BigDecimal, Context, RoundingMode};
use std::{cmp::Ordering, num::NonZeroU64};

/// A number as it was written: sums of integers are integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
}

/// `range(start, stop, step)`: as many steps from `start` as stay before `stop`.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The first number.
    pub start: Number,
    /// The number before which it ends.
    pub stop: Number,
    /// From one number to the next; may be negative.
    pub step: Number,
    /// Whether the order is random.
    pub shuffle: bool,
}

/// Significant digits of Python's decimals, in which Hydra adds steps: 0.1 has no error to pile up.
const DECIMAL_DIGITS: NonZeroU64 = NonZeroU64::new(28).expect("28 is not 0");

impl Range {
    /// The numbers, which may be many: integers where all three are, floats otherwise.
    ///
    /// # Errors
    /// When the step is 0 or a number is not finite.
    pub(crate) fn values(&self) -> Result<Box<dyn Iterator<Item = Value>>> {
        if compare_numbers(self.step, Number::Int(0)) == Some(Ordering::Equal) {
            return Err(GrammarError::arguments("range", "with step 0 never ends"));
        }
        match (self.start, self.stop, self.step) {
            (Number::Int(start), Number::Int(stop), Number::Int(step)) => Ok(Box::new(integers(start, stop, step))),
            (start, stop, step) => Ok(Box::new(decimals(decimal(start)?, decimal(stop)?, decimal(step)?))),
        }
    }

    /// The same numbers, upwards or downwards, where the range goes the other way.
    pub(super) fn sorted(self, reverse: bool) -> Result<Self> {
        let Self { start, stop, step, shuffle } = self;
        let size = abs(step);
        let (start, stop) = match compare_numbers(start, stop) {
            Some(Ordering::Greater) if !reverse => (sum(stop, size)?, sum(start, size)?),
            Some(Ordering::Less) if reverse => (sum(stop, negated(size))?, sum(start, negated(size))?),
            _ => return Ok(self),
        };
        Ok(Self { start, stop, step: negated(step), shuffle })
    }
}

fn integers(start: i128, stop: i128, step: i128) -> impl Iterator<Item = Value> {
    let inside = move |at: &i128| if step > 0 { *at < stop } else { *at > stop };
    std::iter::successors(Some(start), move |at| at.checked_add(step)).take_while(inside).map(Value::Int)
}

fn decimals(start: BigDecimal, stop: BigDecimal, step: BigDecimal) -> impl Iterator<Item = Value> {
    let context = Context::new(DECIMAL_DIGITS, RoundingMode::HalfEven);
    let upwards = step > BigDecimal::default();
    let inside = move |at: &BigDecimal| if upwards { *at < stop } else { *at > stop };
    let next = move |at: &BigDecimal| Some(context.round_decimal(at + &step));
    // Reading the digits rounds once; BigDecimal's own conversion may be off by the last bit.
    let float = |at: BigDecimal| Value::Float(at.to_scientific_notation().parse().unwrap_or(f64::NAN));
    std::iter::successors(Some(start), next).take_while(inside).map(float)
}

/// The exact value, which for a float is not the decimal that was written.
fn decimal(number: Number) -> Result<BigDecimal> {
    match number {
        Number::Int(value) => Ok(value.into()),
        Number::Float(value) => {
            BigDecimal::try_from(value).map_err(|_| GrammarError::arguments("range", "takes finite numbers"))
        }
    }
}

fn abs(number: Number) -> Number {
    match compare_numbers(number, Number::Int(0)) {
        Some(Ordering::Less) => negated(number),
        _ => number,
    }
}

fn negated(number: Number) -> Number {
    match number {
        // The least integer has no opposite; the sum that follows is then refused.
        Number::Int(value) => Number::Int(value.saturating_neg()),
        Number::Float(value) => Number::Float(-value),
    }
}

fn sum(a: Number, b: Number) -> Result<Number> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => {
            a.checked_add(b).map(Number::Int).ok_or_else(|| GrammarError::arguments("range", "goes beyond 127 bits"))
        }
        (a, b) => Ok(Number::Float(a.to_f64() + b.to_f64())),
    }
}

impl Number {
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The number that a value is; `true` is 1, as in Python.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::Int(*value)),
            Value::Float(value) => Some(Self::Float(*value)),
            Value::Bool(value) => Some(Self::Int((*value).into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(start: f64, stop: f64, step: f64) -> Vec<f64> {
        let [start, stop, step] = [start, stop, step].map(Number::Float);
        let values = Range { start, stop, step, shuffle: false }.values().expect("finite");
        values.map(|value| if let Value::Float(value) = value { value } else { panic!("a float") }).collect()
    }

    /// Checked against Hydra 1.3.
    #[test]
    fn steps_do_not_drift() {
        let tenths = floats(0.0, 1.0, 0.1);
        assert_eq!(tenths, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7000000000000001, 0.8, 0.9]);
        assert_eq!(floats(1.0, 0.0, -0.25), [1.0, 0.75, 0.5, 0.25]);
        assert_eq!(floats(1e-300, 3.5e-300, 1e-300), [1e-300, 2e-300, 3e-300]);
    }

    #[test]
    fn what_never_ends_or_has_no_digits_is_refused() {
        let range = |start, stop, step| Range { start, stop, step, shuffle: false };
        let (zero, one) = (Number::Int(0), Number::Int(1));
        assert!(range(zero, one, zero).values().is_err());
        assert!(range(zero, Number::Float(f64::INFINITY), one).values().is_err());
        assert!(range(zero, one, Number::Float(f64::NAN)).values().is_err());
        assert_eq!(range(Number::Int(i128::MAX - 1), Number::Int(i128::MAX), one).values().expect("ends").count(), 1);
        assert!(range(Number::Int(i128::MAX), zero, one).sorted(false).is_err());
    }
}
