//! The casts of the grammar: `int`, `float`, `str`, `bool`.

use super::{
    error::{GrammarError, Result},
    range::{Number, Range},
    value::{Choice, Sweep, Value},
};
use crate::number;

/// A type that values are cast to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cast {
    Int,
    Float,
    Str,
    Bool,
}

impl Cast {
    /// Casts an element, each element of a list or dict, or each value of a sweep.
    pub(super) fn apply(self, value: Value) -> Result<Value> {
        match value {
            Value::List(items) => self.each(items).map(Value::List),
            Value::Dict(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| Ok((key, self.apply(value)?)));
                pairs.collect::<Result<_>>().map(Value::Dict)
            }
            Value::Sweep(sweep) => self.sweep(sweep).map(Value::Sweep),
            Value::Quoted(text, _) => self.element(Value::Str(text)),
            value => self.element(value),
        }
    }

    fn each(self, items: Vec<Value>) -> Result<Vec<Value>> {
        items.into_iter().map(|item| self.apply(item)).collect()
    }

    /// As in Hydra, the values of a shuffled sweep are then in order again.
    fn sweep(self, sweep: Sweep) -> Result<Sweep> {
        match sweep {
            Sweep::Choice(Choice { values, simple, .. }) => {
                Ok(Sweep::Choice(Choice { values: self.each(values)?, simple, shuffle: false }))
            }
            Sweep::Range(Range { start, stop, step, .. }) => {
                let [start, stop, step] = [self.number(start)?, self.number(stop)?, self.number(step)?];
                Ok(Sweep::Range(Range { start, stop, step, shuffle: false }))
            }
            Sweep::Interval(..) if matches!(self, Self::Int | Self::Float) => Ok(sweep),
            Sweep::Interval(..) => Err(GrammarError::arguments("interval", "can be cast to int or float")),
            Sweep::Glob { .. } => Err(GrammarError::arguments("glob", "cannot be cast")),
        }
    }

    fn number(self, number: Number) -> Result<Number> {
        match self {
            Self::Float => Ok(Number::Float(number.to_f64())),
            Self::Int => match number {
                Number::Int(_) => Ok(number),
                Number::Float(value) => truncated(value).map(Number::Int),
            },
            Self::Str | Self::Bool => Err(GrammarError::arguments("range", "can be cast to int or float")),
        }
    }

    fn element(self, value: Value) -> Result<Value> {
        match self {
            Self::Int => to_int(value).map(Value::Int),
            Self::Float => to_float(value).map(Value::Float),
            Self::Str => to_str(value).map(Value::Str),
            Self::Bool => to_bool(value).map(Value::Bool),
        }
    }
}

fn to_int(value: Value) -> Result<i128> {
    match value {
        Value::Int(value) => Ok(value),
        Value::Bool(value) => Ok(value.into()),
        Value::Float(value) => truncated(value),
        Value::Str(text) => parse_int(text.trim()),
        _ => Err(GrammarError::arguments("int", "needs a number")),
    }
}

fn truncated(value: f64) -> Result<i128> {
    // Below 2^127 the conversion is exact after truncation.
    if value.abs() < i128::MAX as f64 {
        Ok(value.trunc() as i128)
    } else {
        Err(GrammarError::arguments("int", "needs a number of at most 127 bits"))
    }
}

fn to_float(value: Value) -> Result<f64> {
    match value {
        Value::Float(value) => Ok(value),
        Value::Int(value) => Ok(value as f64),
        Value::Bool(value) => Ok(f64::from(u8::from(value))),
        Value::Str(text) => parse_float(text.trim()),
        _ => Err(GrammarError::arguments("float", "needs a number")),
    }
}

fn to_str(value: Value) -> Result<String> {
    match value {
        Value::Str(text) => Ok(text),
        Value::Int(value) => Ok(value.to_string()),
        Value::Float(value) => Ok(number::repr(value)),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(GrammarError::arguments("str", "needs a value that is not null")),
    }
}

fn to_bool(value: Value) -> Result<bool> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(value) => Ok(value),
        Value::Int(value) => Ok(value != 0),
        Value::Float(value) => Ok(value != 0.0),
        Value::Str(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::Str(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(GrammarError::arguments("bool", "needs true, false or a number")),
    }
}

pub(super) fn parse_int(text: &str) -> Result<i128> {
    text.replace('_', "").parse().map_err(|_| GrammarError::Integer(text.to_owned()))
}

pub(super) fn parse_float(text: &str) -> Result<f64> {
    text.replace('_', "").parse().map_err(|_| GrammarError::Float(text.to_owned()))
}
