//! The functions of the grammar.

use super::{
    casts::Cast,
    error::{GrammarError, Result},
    range::{Number, Range},
    shuffler::Shuffler,
    sort,
    value::{Choice, Sweep, Value},
};

use std::borrow::Cow;

/// A call with its arguments.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub args: Vec<Value>,
    pub named: Vec<(&'a str, Value)>,
}

pub(super) fn eval(call: Call<'_>, shuffler: &mut Shuffler) -> Result<Value> {
    let call = call.without_quotes();
    match call.name {
        "int" => cast(Cast::Int, call),
        "float" => cast(Cast::Float, call),
        "str" => cast(Cast::Str, call),
        "bool" => cast(Cast::Bool, call),
        "choice" => choice(call),
        "range" => range(call),
        "interval" => interval(call),
        "glob" => glob(call),
        "tag" => tag(call),
        "sort" => sort(call),
        "shuffle" => shuffle(call, shuffler),
        name => Err(GrammarError::UnknownFunction(name.to_owned())),
    }
}

impl Call<'_> {
    fn without_quotes(mut self) -> Self {
        self.args.iter_mut().chain(self.named.iter_mut().map(|(_, value)| value)).for_each(|value| {
            if let Value::Quoted(text, _) = value {
                *value = Value::Str(std::mem::take(text));
            }
        });
        self
    }

    fn fail<T>(&self, problem: impl Into<Cow<'static, str>>) -> Result<T> {
        Err(GrammarError::arguments(self.name, problem))
    }

    /// The named arguments, for a function that takes any number of others; of two alike the last one counts.
    fn take_named<const N: usize>(&mut self, names: [&str; N]) -> Result<[Option<Value>; N]> {
        let mut values = [const { None }; N];
        for (name, value) in std::mem::take(&mut self.named) {
            match names.iter().position(|known| *known == name) {
                Some(index) => values[index] = Some(value),
                None => return self.fail(format!("takes no argument {name}")),
            }
        }
        Ok(values)
    }

    /// Each argument under its name, given by place or by name.
    fn bind<const N: usize>(mut self, names: [&str; N]) -> Result<[Option<Value>; N]> {
        let mut values = self.take_named(names)?;
        if self.args.len() > N {
            return self.fail(format!("takes {}", names.join(", ")));
        }
        let args = std::mem::take(&mut self.args);
        for ((value, arg), name) in values.iter_mut().zip(args).zip(names) {
            if value.replace(arg).is_some() {
                return self.fail(format!("is given {name} twice"));
            }
        }
        Ok(values)
    }
}

/// An argument that may be left out, or be null.
fn given(value: Option<Value>) -> Option<Value> {
    value.filter(|value| *value != Value::Null)
}

fn cast(cast: Cast, mut call: Call<'_>) -> Result<Value> {
    let [value] = call.take_named(["value"])?;
    let value = match (call.args.len(), given(value)) {
        (0, Some(value)) => value,
        (0, None) => return call.fail("needs a value"),
        (_, Some(_)) => return call.fail("takes its value by place or by name"),
        (1, None) => call.args.swap_remove(0),
        (_, None) => Choice::simple(call.args)?.into(),
    };
    cast.apply(value)
}

fn choice(mut call: Call<'_>) -> Result<Value> {
    if !call.named.is_empty() {
        return call.fail("takes no named argument");
    }
    if call.args.is_empty() || call.args.contains(&Value::Null) {
        return call.fail("takes values other than null, which a,null does");
    }
    if let [Value::Sweep(Sweep::Choice(choice))] = call.args.as_mut_slice()
        && choice.simple
    {
        choice.simple = false;
        return Ok(call.args.swap_remove(0));
    }
    Ok(Choice { simple: false, ..Choice::simple(call.args)? }.into())
}

fn range(call: Call<'_>) -> Result<Value> {
    let [start, stop, step] = call.bind(["start", "stop", "step"])?;
    let number = |value: Option<Value>| {
        value
            .as_ref()
            .and_then(Number::of)
            .ok_or_else(|| GrammarError::arguments("range", "takes numbers: start, stop, step"))
    };
    let start = number(start)?;
    let (start, stop) = match given(stop) {
        Some(stop) => (start, number(Some(stop))?),
        None => (Number::Int(0), start),
    };
    let step = number(step.or(Some(Value::Int(1))))?;
    Ok(Range { start, stop, step, shuffle: false }.into())
}

fn interval(call: Call<'_>) -> Result<Value> {
    match call.bind(["start", "end"])?.map(|value| value.as_ref().and_then(Number::of)) {
        [Some(start), Some(end)] => Ok(Value::Sweep(Sweep::Interval(start.to_f64(), end.to_f64()))),
        _ => Err(GrammarError::arguments("interval", "takes two numbers: start, end")),
    }
}

fn glob(call: Call<'_>) -> Result<Value> {
    let [include, exclude] = call.bind(["include", "exclude"])?;
    let Some(include) = include else { return Err(GrammarError::arguments("glob", "needs a pattern")) };
    let exclude = given(exclude).map_or(Ok(Vec::new()), patterns)?;
    Ok(Value::Sweep(Sweep::Glob { include: patterns(include)?, exclude }))
}

fn patterns(value: Value) -> Result<Vec<String>> {
    let items = if let Value::List(items) = value { items } else { vec![value] };
    let text = |item| match item {
        Value::Str(text) | Value::Quoted(text, _) => Ok(text),
        _ => Err(GrammarError::arguments("glob", "takes a pattern or a list of patterns")),
    };
    items.into_iter().map(text).collect()
}

/// Tags are for other sweepers; here they are checked and have no effect.
fn tag(mut call: Call<'_>) -> Result<Value> {
    let [sweep] = call.take_named(["sweep"])?;
    if call.args.is_empty() {
        return call.fail("needs tags and a sweep");
    }
    let sweep = given(sweep).or_else(|| call.args.pop());
    match sweep {
        Some(sweep @ Value::Sweep(Sweep::Choice(_) | Sweep::Range(_) | Sweep::Interval(..)))
            if call.args.iter().all(|tag| matches!(tag, Value::Str(_))) =>
        {
            Ok(sweep)
        }
        _ => call.fail("takes texts, and then a choice, range or interval"),
    }
}

/// What `sort` and `shuffle` work on.
enum Subject {
    List(Vec<Value>),
    Choice(Choice),
    Range(Range),
    /// A single value.
    Other(Value),
    /// Values by place, none or several.
    Several(Vec<Value>),
}

impl Subject {
    /// The argument `list`, or else `sweep`, or else those by place.
    fn of(call: &mut Call<'_>, list: Option<Value>, sweep: Option<Value>) -> Result<Self> {
        let unfit =
            |value: &Value| matches!(value, Value::Null | Value::Sweep(Sweep::Interval(..) | Sweep::Glob { .. }));
        if call.args.iter().any(unfit) {
            return call.fail("takes values, a list, a choice or a range");
        }
        match (given(list), given(sweep)) {
            (Some(Value::List(items)), _) => Ok(Self::List(items)),
            (Some(_), _) => call.fail("takes a list=[...]"),
            (None, Some(Value::Sweep(Sweep::Choice(choice)))) => Ok(Self::Choice(choice)),
            (None, Some(Value::Sweep(Sweep::Range(range)))) => Ok(Self::Range(range)),
            (None, Some(_)) => call.fail("takes a choice or a range as sweep"),
            (None, None) if call.args.len() == 1 => Ok(match call.args.swap_remove(0) {
                Value::List(items) => Self::List(items),
                Value::Sweep(Sweep::Choice(choice)) => Self::Choice(choice),
                Value::Sweep(Sweep::Range(range)) => Self::Range(range),
                value => Self::Other(value),
            }),
            (None, None) => Ok(Self::Several(std::mem::take(&mut call.args))),
        }
    }
}

fn sort(mut call: Call<'_>) -> Result<Value> {
    let [sweep, list, reverse] = call.take_named(["sweep", "list", "reverse"])?;
    let reverse = match reverse {
        None => false,
        Some(Value::Bool(reverse)) => reverse,
        Some(_) => return call.fail("takes reverse=true or reverse=false"),
    };
    match Subject::of(&mut call, list, sweep)? {
        Subject::List(items) => sort::sorted(items, reverse).map(Value::List),
        Subject::Choice(mut choice) => {
            choice.values = sort::sorted(choice.values, reverse)?;
            Ok(choice.into())
        }
        Subject::Range(range) => Ok(range.sorted(reverse)?.into()),
        Subject::Other(value) => Ok(value),
        Subject::Several(values) => {
            let plain = |value: &Value| matches!(value, Value::Str(_)) || Number::of(value).is_some();
            if values.is_empty() || !values.iter().all(plain) {
                return call.fail("takes numbers, texts, a list, a choice or a range");
            }
            Ok(Choice::simple(sort::sorted(values, reverse)?)?.into())
        }
    }
}

fn shuffle(mut call: Call<'_>, shuffler: &mut Shuffler) -> Result<Value> {
    let [sweep, list] = call.take_named(["sweep", "list"])?;
    match Subject::of(&mut call, list, sweep)? {
        Subject::List(mut items) => {
            shuffler.shuffle(&mut items);
            Ok(Value::List(items))
        }
        Subject::Choice(choice) => Ok(Choice { shuffle: true, ..choice }.into()),
        Subject::Range(range) => Ok(Range { shuffle: true, ..range }.into()),
        Subject::Other(value) => Ok(Value::List(vec![value])),
        Subject::Several(values) => Ok(Choice { shuffle: true, ..Choice::simple(values)? }.into()),
    }
}
