//! The value of an override, parsed: elements, lists, dicts, casts and sweeps. `typed` makes numbers of tokens.

use super::{
    casts,
    error::{GrammarError, Result},
    functions,
    lexer::{self, Kind, Token},
    quote::{Quote, unquote},
    range::Range,
    shuffler::Shuffler,
};
use crate::{
    error::Origin,
    node::{self, MAX_DEPTH, Map, Node},
};

/// A value of the override grammar.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false` in any case.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// A string written without quotes, its backslashes resolved.
    Str(String),
    /// A string written in quotes, its backslashes resolved.
    Quoted(String, Quote),
    /// `[a, b]`
    List(Vec<Value>),
    /// `{a: 1}`
    Dict(Vec<(String, Value)>),
    /// Several values, of which `sweep` makes one job each.
    Sweep(Sweep),
}

/// Several values for one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Sweep {
    /// `a,b` or `choice(a,b)`
    Choice(Choice),
    /// `range(start, stop, step)`
    Range(Range),
    /// `interval(start, end)`
    Interval(f64, f64),
    /// `glob(include, exclude)`: the options of a group that match.
    Glob {
        /// Patterns of which an option must match one.
        include: Vec<String>,
        /// Patterns of which it must match none.
        exclude: Vec<String>,
    },
}

/// `choice(a,b)`: a list of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The values.
    pub values: Vec<Value>,
    /// Whether they were written as `a,b`, without `choice()`.
    pub simple: bool,
    /// Whether the order is random.
    pub shuffle: bool,
}

impl Choice {
    /// # Errors
    /// When a value is a sweep itself.
    pub(super) fn simple(values: Vec<Value>) -> Result<Self> {
        if values.iter().any(|value| matches!(value, Value::Sweep(_))) {
            return Err(GrammarError::NestedSweep);
        }
        Ok(Self { values, simple: true, shuffle: false })
    }
}

impl From<Choice> for Value {
    fn from(choice: Choice) -> Self {
        Self::Sweep(Sweep::Choice(choice))
    }
}

impl From<Range> for Value {
    fn from(range: Range) -> Self {
        Self::Sweep(Sweep::Range(range))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Quoted(text.to_owned(), Quote::Single)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Quoted(text, Quote::Single)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        // usize has at most 64 bits.
        Self::Int(value as i128)
    }
}

impl From<f64> for Value {
    /// A whole number becomes an integer, as `slope=1` does on the command line.
    fn from(value: f64) -> Self {
        if value.fract() == 0.0 && value.abs() < 1e16 { Self::Int(value as i128) } else { Self::Float(value) }
    }
}

impl Value {
    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Quoted(text, _) => Some(text),
            _ => None,
        }
    }

    /// The value as a node of a document. None for a sweep.
    pub(crate) fn to_node(&self, origin: &Origin) -> Option<Node> {
        let value = match self {
            Self::Null => node::Value::Null,
            Self::Bool(value) => node::Value::Bool(*value),
            Self::Int(value) => node::Value::Int(*value),
            Self::Float(value) => node::Value::Float(*value),
            Self::Str(text) | Self::Quoted(text, _) => node::Value::Str(text.clone()),
            Self::List(items) => node::Value::Seq(items.iter().map(|v| v.to_node(origin)).collect::<Option<_>>()?),
            Self::Dict(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| Some((key.clone(), value.to_node(origin)?)));
                node::Value::Map(pairs.collect::<Option<Map>>()?)
            }
            Self::Sweep(_) => return None,
        };
        Some(Node::new(value, origin))
    }
}

/// Parses what follows the `=`.
pub(super) fn parse(text: &str, shuffler: &mut Shuffler) -> Result<Value> {
    // `EQUAL: '=' WS?` takes the space with it.
    let tokens = lexer::tokens(text.trim_start_matches([' ', '\t']))?;
    if tokens.is_empty() {
        return Ok(Value::Str(String::new()));
    }
    let mut parser = Parser { tokens: &tokens, depth: 0, shuffler };
    let mut values = vec![parser.element()?];
    while parser.take(Kind::Comma) {
        values.push(parser.element()?);
    }
    match parser.tokens.first() {
        Some(token) => Err(GrammarError::Unexpected(token.text.trim().to_owned())),
        None if values.len() == 1 => Ok(values.swap_remove(0)),
        None => Ok(Choice::simple(values)?.into()),
    }
}

/// Parses unquoted text, typed by its form.
pub(crate) fn unquoted(text: &str) -> Result<Value> {
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0, shuffler: &mut Shuffler::new(0) };
    let value = parser.primitive(true)?;
    match parser.tokens.first() {
        Some(token) => Err(GrammarError::Unexpected(token.text.to_owned())),
        None => Ok(value),
    }
}

struct Parser<'t, 'a, 's> {
    tokens: &'t [Token<'a>],
    depth: usize,
    /// For `shuffle()` of a list.
    shuffler: &'s mut Shuffler,
}

impl<'t, 'a> Parser<'t, 'a, '_> {
    fn peek(&self) -> Option<Kind> {
        self.tokens.first().map(|token| token.kind)
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn take(&mut self, kind: Kind) -> bool {
        let found = self.peek() == Some(kind);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn expect(&mut self, kind: Kind, what: &'static str) -> Result<()> {
        if self.take(kind) { Ok(()) } else { Err(self.missing(what)) }
    }

    fn missing(&self, what: &'static str) -> GrammarError {
        GrammarError::Missing { what, before: self.tokens.first().map(|token| token.text.to_owned()) }
    }

    fn element(&mut self) -> Result<Value> {
        if self.depth >= MAX_DEPTH {
            return Err(GrammarError::TooDeep);
        }
        self.depth += 1;
        let value = match (self.peek(), self.tokens.get(1).map(|token| token.kind)) {
            (Some(Kind::BracketOpen), _) => self.list(),
            (Some(Kind::BraceOpen), _) => self.dict(),
            (Some(Kind::Id), Some(Kind::ParenOpen)) => self.function(),
            (Some(Kind::Quoted), _) => {
                let (text, quote) = unquote(self.next().map_or("''", |token| token.text));
                Ok(Value::Quoted(text, quote))
            }
            _ => self.primitive(true),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value> {
        self.expect(Kind::BracketOpen, "[")?;
        let mut items = Vec::new();
        if !self.take(Kind::BracketClose) {
            items.push(self.element()?);
            while self.take(Kind::Comma) {
                items.push(self.element()?);
            }
            self.expect(Kind::BracketClose, "]")?;
        }
        Ok(Value::List(items))
    }

    fn dict(&mut self) -> Result<Value> {
        self.expect(Kind::BraceOpen, "{")?;
        let mut pairs = Vec::new();
        if !self.take(Kind::BraceClose) {
            self.pair(&mut pairs)?;
            while self.take(Kind::Comma) {
                self.pair(&mut pairs)?;
            }
            self.expect(Kind::BraceClose, "}")?;
        }
        Ok(Value::Dict(pairs))
    }

    fn pair(&mut self, pairs: &mut Vec<(String, Value)>) -> Result<()> {
        let Value::Str(key) = self.primitive(false)? else {
            return Err(GrammarError::DictKey);
        };
        self.expect(Kind::Colon, ":")?;
        let value = self.element()?;
        // As in a Python dict, a repeated key keeps its place and takes the last value.
        match pairs.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
        Ok(())
    }

    fn function(&mut self) -> Result<Value> {
        let name = self.next().map_or("", |token| token.text);
        self.expect(Kind::ParenOpen, "(")?;
        let mut call = functions::Call { name, args: Vec::new(), named: Vec::new() };
        if !self.take(Kind::ParenClose) {
            self.argument(&mut call)?;
            while self.take(Kind::Comma) {
                self.argument(&mut call)?;
            }
            self.expect(Kind::ParenClose, ")")?;
        }
        functions::eval(call, self.shuffler)
    }

    fn argument(&mut self, call: &mut functions::Call<'a>) -> Result<()> {
        if let [Token { kind: Kind::Id, text }, Token { kind: Kind::Equal, .. }, rest @ ..] = self.tokens {
            self.tokens = rest;
            let value = self.element()?;
            call.named.push((text, value));
        } else if call.named.is_empty() {
            let value = self.element()?;
            call.args.push(value);
        } else {
            return Err(GrammarError::PositionalAfterNamed(call.name.to_owned()));
        }
        Ok(())
    }

    /// A run of unquoted tokens: one of them is typed, several are a string.
    fn primitive(&mut self, is_value: bool) -> Result<Value> {
        use Kind::{Bool, Colon, Escape, Float, Id, Int, Interpolation, Null, Space, Unquoted};
        let allowed = |kind: Kind| match kind {
            Id | Null | Int | Float | Bool | Unquoted | Escape | Space => true,
            Colon | Interpolation => is_value,
            _ => false,
        };
        let end = self.tokens.iter().position(|token| !allowed(token.kind)).unwrap_or(self.tokens.len());
        let (run, rest) = self.tokens.split_at(end);
        if run.is_empty() {
            return Err(self.missing("a value"));
        }
        self.tokens = rest;
        match trimmed(run) {
            [] => Err(GrammarError::OnlySpaces),
            [token] => typed(token),
            run => Ok(Value::Str(run.iter().map(|token| plain(token)).collect())),
        }
    }
}

/// The run without the space token at either end.
fn trimmed<'t, 'a>(run: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let run = match run {
        [Token { kind: Kind::Space, .. }, rest @ ..] => rest,
        run => run,
    };
    match run {
        [rest @ .., Token { kind: Kind::Space, .. }] => rest,
        run => run,
    }
}

fn typed(token: &Token<'_>) -> Result<Value> {
    let text = token.text;
    Ok(match token.kind {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(text.eq_ignore_ascii_case("true")),
        Kind::Int => Value::Int(casts::parse_int(text)?),
        Kind::Float => Value::Float(casts::parse_float(text)?),
        _ => Value::Str(plain(token)),
    })
}

/// The text of a token, escapes undone.
fn plain(token: &Token<'_>) -> String {
    match token.kind {
        // An escape is pairs of a backslash and what it stands for.
        Kind::Escape => token.text.chars().skip(1).step_by(2).collect(),
        _ => token.text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(text: &str) -> Value {
        Value::Str(text.into())
    }

    fn q(text: &str) -> Value {
        Value::Quoted(text.into(), Quote::Single)
    }

    fn parse(text: &str) -> Result<Value> {
        super::parse(text, &mut Shuffler::new(0))
    }

    /// Checked against Hydra 1.3.8's `OverridesParser`.
    #[test]
    fn values_are_as_hydra_parses_them() {
        let cases = [
            ("10", Value::Int(10)),
            ("1_000", Value::Int(1000)),
            ("1e-3", Value::Float(1e-3)),
            ("TRUE", Value::Bool(true)),
            ("null", Value::Null),
            ("a b", s("a b")),
            ("  a  ", s("a")),
            ("a:b", s("a:b")),
            ("http://x.y/z?q", s("http://x.y/z?q")),
            ("'10'", q("10")),
            (r"'a\'b'", q("a'b")),
            (r"'a\\'", q(r"a\")),
            (r"'a\b'", q(r"a\b")),
            (r"a\,b", s("a,b")),
            (r"\{x\}", s("{x}")),
            ("${a.b}x", s("${a.b}x")),
            ("[]", Value::List(vec![])),
            ("[1, a, [x]]", Value::List(vec![Value::Int(1), s("a"), Value::List(vec![s("x")])])),
            ("{a: 1, b:'x'}", Value::Dict(vec![("a".into(), Value::Int(1)), ("b".into(), q("x"))])),
            ("str(10)", s("10")),
            ("int('10')", Value::Int(10)),
            ("float(3)", Value::Float(3.0)),
            ("bool(0)", Value::Bool(false)),
            ("int([1.5, '2'])", Value::List(vec![Value::Int(1), Value::Int(2)])),
            ("str(1.0)", s("1.0")),
            ("str(value=true)", s("true")),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn several_values_are_a_sweep() {
        let Ok(Value::Sweep(Sweep::Choice(choice))) = parse("a,1") else { panic!("a sweep") };
        assert_eq!(choice.values, [s("a"), Value::Int(1)]);
        assert!(matches!(parse("range(1,5)"), Ok(Value::Sweep(Sweep::Range(_)))));
        assert!(matches!(parse("choice(a,b)"), Ok(Value::Sweep(Sweep::Choice(_)))));
        assert!(matches!(parse("interval(0,1)"), Ok(Value::Sweep(Sweep::Interval(..)))));
        assert!(matches!(parse("glob(*)"), Ok(Value::Sweep(Sweep::Glob { .. }))));
    }

    #[test]
    fn nesting_is_limited() {
        assert!(parse(&"[".repeat(100_000)) == Err(GrammarError::TooDeep));
    }
}
