//! The functions of the grammar: casts and sweeps.

use super::value::{Sweep, Value};
use crate::number;

/// A call with its arguments.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub args: Vec<Value>,
    pub named: Vec<(&'a str, Value)>,
}

type Result<T> = std::result::Result<T, String>;

pub(super) fn eval(mut call: Call<'_>) -> Result<Value> {
    let cast = match call.name {
        "int" => to_int,
        "float" => to_float,
        "str" => to_str,
        "bool" => to_bool,
        "choice" => return choice(call.positional(&[])?),
        "range" => return range(&call.positional(&["start", "stop", "step"])?),
        "interval" => return interval(&call.positional(&["start", "end"])?),
        "glob" => return glob(call.positional(&["include", "exclude"])?),
        name => {
            return Err(format!(
                "unknown function {name}(); known: int, float, str, bool, choice, range, interval, glob"
            ));
        }
    };
    if call.args.is_empty() {
        call.args = call.positional(&["value"])?;
    } else if !call.named.is_empty() {
        return Err(format!("{}() takes one value", call.name));
    }
    match call.args.len() {
        0 => Err(format!("{}() needs a value", call.name)),
        1 => apply(cast, call.args.swap_remove(0)),
        _ => apply(cast, Value::Sweep(Sweep::Choice(call.args))),
    }
}

impl Call<'_> {
    /// The arguments in the order of `names`; a gap between given ones is not allowed.
    fn positional(&mut self, names: &[&str]) -> Result<Vec<Value>> {
        let mut args = std::mem::take(&mut self.args);
        for (name, value) in std::mem::take(&mut self.named) {
            match names.get(args.len()) {
                Some(expected) if *expected == name => args.push(value),
                _ => return Err(format!("{}(): argument {name} is not expected there", self.name)),
            }
        }
        Ok(args)
    }
}

/// Casts an element, each element of a list or dict, or each value of a sweep.
fn apply(cast: fn(Value) -> Result<Value>, value: Value) -> Result<Value> {
    match value {
        Value::List(items) => items.into_iter().map(|item| apply(cast, item)).collect::<Result<_>>().map(Value::List),
        Value::Dict(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key, apply(cast, value)?)));
            pairs.collect::<Result<_>>().map(Value::Dict)
        }
        Value::Sweep(Sweep::Choice(items)) => {
            let items = items.into_iter().map(|item| apply(cast, item)).collect::<Result<_>>()?;
            Ok(Value::Sweep(Sweep::Choice(items)))
        }
        Value::Sweep(_) => Err("only a choice can be cast".into()),
        value => cast(value),
    }
}

fn to_int(value: Value) -> Result<Value> {
    Ok(Value::Int(match value {
        Value::Int(value) => value,
        Value::Bool(value) => value.into(),
        // Within ±2^63 the conversion is exact after truncation.
        Value::Float(value) if value.is_finite() && value.abs() < i64::MAX as f64 => value.trunc() as i128,
        Value::Str(text) => parse_int(text.trim())?,
        _ => return Err("int() needs a number".into()),
    }))
}

fn to_float(value: Value) -> Result<Value> {
    Ok(Value::Float(match value {
        Value::Float(value) => value,
        Value::Int(value) => value as f64,
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Str(text) => parse_float(text.trim())?,
        _ => return Err("float() needs a number".into()),
    }))
}

fn to_str(value: Value) -> Result<Value> {
    Ok(Value::Str(match value {
        Value::Str(text) => text,
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::repr(value),
        Value::Bool(value) => value.to_string(),
        _ => return Err("str() needs a value that is not null".into()),
    }))
}

fn to_bool(value: Value) -> Result<Value> {
    Ok(Value::Bool(match value {
        Value::Bool(value) => value,
        Value::Int(value) => value != 0,
        Value::Float(value) => value != 0.0,
        Value::Str(text) if text.eq_ignore_ascii_case("true") => true,
        Value::Str(text) if text.eq_ignore_ascii_case("false") => false,
        _ => return Err("bool() needs true, false or a number".into()),
    }))
}

pub(super) fn parse_int(text: &str) -> Result<i128> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not an integer of at most 127 bits"))
}

pub(super) fn parse_float(text: &str) -> Result<f64> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is not a number"))
}

fn choice(mut args: Vec<Value>) -> Result<Value> {
    match args.as_slice() {
        [] => Err("choice() needs values".into()),
        [Value::Sweep(Sweep::Choice(_))] => Ok(args.swap_remove(0)),
        _ => Ok(Value::Sweep(Sweep::Choice(args))),
    }
}

fn range(args: &[Value]) -> Result<Value> {
    let (start, stop, step) = match args {
        [stop] => (&Value::Int(0), stop, &Value::Int(1)),
        [start, stop] => (start, stop, &Value::Int(1)),
        [start, stop, step] => (start, stop, step),
        _ => return Err("range() takes start, stop and step".into()),
    };
    let whole = [start, stop, step].iter().all(|value| matches!(value, Value::Int(_)));
    let (start, stop, step) = (as_number(start)?, as_number(stop)?, as_number(step)?);
    if step == 0.0 {
        return Err("range(): step 0 never ends".into());
    }
    Ok(Value::Sweep(Sweep::Range { start, stop, step, whole }))
}

fn interval(args: &[Value]) -> Result<Value> {
    match args {
        [start, end] => Ok(Value::Sweep(Sweep::Interval(as_number(start)?, as_number(end)?))),
        _ => Err("interval() takes start and end".into()),
    }
}

fn as_number(value: &Value) -> Result<f64> {
    match value {
        Value::Int(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        _ => Err("range() and interval() take numbers".into()),
    }
}

fn glob(mut args: Vec<Value>) -> Result<Value> {
    if !(1..=2).contains(&args.len()) {
        return Err("glob() takes include and exclude".into());
    }
    let exclude = if args.len() == 2 { args.pop() } else { None };
    let include = args.pop();
    let patterns = |value: Option<Value>| match value {
        None => Ok(Vec::new()),
        Some(Value::Str(text)) => Ok(vec![text]),
        Some(Value::List(items)) => items
            .into_iter()
            .map(|item| if let Value::Str(text) = item { Ok(text) } else { Err("glob() takes strings".to_owned()) })
            .collect(),
        Some(_) => Err("glob() takes strings".to_owned()),
    };
    Ok(Value::Sweep(Sweep::Glob(patterns(include)?, patterns(exclude)?)))
}
