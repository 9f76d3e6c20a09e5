//! The grammar of interpolations, as in OmegaConf's `OmegaConfGrammar`.

use crate::{
    node::MAX_DEPTH,
    overrides::{GrammarError, Value, unquoted},
};
use std::borrow::Cow;

/// A piece of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Reference(Reference),
}

/// The content of `${}`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reference {
    /// `${a.b}`; `up` counts the leading dots.
    Node { up: usize, keys: Vec<Vec<Part>> },
    /// `${name:arguments}`
    Call { name: Vec<Part>, arguments: Vec<Argument> },
}

/// An argument of a resolver.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    /// Typed by its form: a number, a boolean, null, a string.
    Plain(Value),
    /// Text in which references stand; a lone reference keeps its type.
    Parts(Vec<Part>),
    /// Quoted text, which is a string whatever stands in it.
    Quoted(Vec<Part>),
    List(Vec<Argument>),
    Dict(Vec<(String, Argument)>),
}

/// What is wrong with the text of an interpolation, `${...}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterpolationError {
    /// Text behind an argument that is complete.
    #[error("unexpected {0:?}")]
    Rest(String),
    /// A character that cannot stand where it does.
    #[error("unexpected {0:?} in an interpolation")]
    Unexpected(char),
    /// References, lists and dicts within each other, too many.
    #[error("nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A quote that nothing closes.
    #[error("a quote is not closed")]
    UnclosedQuote,
    /// `${` without `}`.
    #[error("an interpolation is not closed with }}")]
    Unclosed,
    /// Something required: a key, a value, or a bracket.
    #[error("{0} is missing in an interpolation")]
    Missing(Cow<'static, str>),
    /// A key of a dict without its `:`.
    #[error("a : is missing in a dict")]
    MissingColon,
    /// A key of a dict that is not a string.
    #[error("a key of a dict must be a string")]
    DictKey,
    /// An unquoted value outside the grammar of overrides.
    #[error(transparent)]
    Value(#[from] GrammarError),
}

type Result<T> = std::result::Result<T, InterpolationError>;

/// Parses a value that holds `${`.
pub(super) fn text(text: &str) -> Result<Vec<Part>> {
    let mut parser = Parser { rest: text, depth: 0 };
    parser.text(None)
}

/// Parses one argument, as `oc.decode` wants it.
pub(super) fn element(text: &str) -> Result<Argument> {
    // Here, unlike between commas, the grammar keeps space at either end, and so makes text of it.
    if text.trim_matches([' ', '\t']) != text && !text.contains("${") {
        return Ok(Argument::Plain(Value::Str(super::python::unescape(text))));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let argument = parser.argument()?;
    match parser.rest {
        "" => Ok(argument),
        rest => Err(InterpolationError::Rest(rest.to_owned())),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(InterpolationError::TooDeep);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Text up to the end, or up to the closing `quote`.
    fn text(&mut self, quote: Option<char>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        loop {
            let slashes = self.rest.len() - self.rest.trim_start_matches('\\').len();
            let after = &self.rest[slashes..];
            if let Some(inside) = after.strip_prefix("${") {
                // Of 2n+1 backslashes n stay and the reference is plain text; of 2n, n stay before the reference.
                plain.extend(std::iter::repeat_n('\\', slashes / 2));
                self.rest = after;
                if slashes % 2 == 1 {
                    plain.push_str("${");
                    self.rest = inside;
                } else {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Reference(self.deeper(Self::reference)?));
                }
                continue;
            }
            if let Some(quote) = quote.filter(|quote| after.starts_with(*quote)) {
                plain.extend(std::iter::repeat_n('\\', slashes / 2));
                self.rest = &after[quote.len_utf8()..];
                if slashes.is_multiple_of(2) {
                    break;
                }
                plain.push(quote);
                continue;
            }
            plain.extend(std::iter::repeat_n('\\', slashes));
            self.rest = after;
            match self.next() {
                Some(c) => plain.push(c),
                None if quote.is_some() => return Err(InterpolationError::UnclosedQuote),
                None => break,
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(parts)
    }

    /// A reference, whose `${` comes next.
    fn reference(&mut self) -> Result<Reference> {
        self.take("${");
        self.space();
        let up = self.rest.len() - self.rest.trim_start_matches('.').len();
        self.rest = &self.rest[up..];
        let mut keys = vec![self.first_key()?];
        loop {
            if self.take(".") {
                keys.push(self.key()?);
            } else if self.rest.starts_with('[') {
                keys.push(self.bracketed()?);
            } else {
                break;
            }
        }
        self.space();
        if self.take("}") {
            return Ok(Reference::Node { up, keys });
        }
        if up == 0 && self.take(":") {
            return self.call(keys);
        }
        Err(match self.rest.chars().next() {
            Some(c) => InterpolationError::Unexpected(c),
            None => InterpolationError::Unclosed,
        })
    }

    /// `key` or `[key]`
    fn first_key(&mut self) -> Result<Vec<Part>> {
        if self.rest.starts_with('[') { self.bracketed() } else { self.key() }
    }

    fn bracketed(&mut self) -> Result<Vec<Part>> {
        self.take("[");
        let key = self.key()?;
        if self.take("]") { Ok(key) } else { Err(InterpolationError::Missing("]".into())) }
    }

    /// A key: characters that mean nothing else, or a reference that gives the key.
    fn key(&mut self) -> Result<Vec<Part>> {
        if self.rest.starts_with("${") {
            return Ok(vec![Part::Reference(self.deeper(Self::reference)?)]);
        }
        let special = |c: char| "\\{}()[]:. \t'\"".contains(c);
        let end = self.rest.find(special).unwrap_or(self.rest.len());
        let (key, rest) = self.rest.split_at(end);
        if key.is_empty() {
            return Err(InterpolationError::Missing("a key".into()));
        }
        self.rest = rest;
        Ok(vec![Part::Text(key.to_owned())])
    }

    fn call(&mut self, keys: Vec<Vec<Part>>) -> Result<Reference> {
        let mut name = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            if index > 0 {
                name.push(Part::Text(".".into()));
            }
            name.extend(key);
        }
        let mut arguments = Vec::new();
        self.space();
        if !self.take("}") {
            arguments = self.sequence('}')?;
            self.take("}");
        }
        Ok(Reference::Call { name, arguments })
    }

    /// Arguments up to, and without, `end`; what is left out between commas is an empty string.
    fn sequence(&mut self, end: char) -> Result<Vec<Argument>> {
        let mut arguments = Vec::new();
        loop {
            self.space();
            if self.rest.starts_with([',', end]) {
                arguments.push(Argument::Plain(Value::Str(String::new())));
            } else {
                arguments.push(self.argument()?);
            }
            self.space();
            if self.rest.starts_with(end) {
                return Ok(arguments);
            }
            if !self.take(",") {
                return Err(InterpolationError::Missing(end.to_string().into()));
            }
        }
    }

    fn argument(&mut self) -> Result<Argument> {
        self.deeper(|parser| {
            parser.space();
            match parser.rest.chars().next() {
                Some(quote @ ('\'' | '"')) => {
                    parser.next();
                    let parts = parser.text(Some(quote))?;
                    parser.space();
                    Ok(Argument::Quoted(parts))
                }
                Some('[') => parser.list(),
                Some('{') => parser.dict(),
                _ => parser.plain(&[',', ']', '}']),
            }
        })
    }

    fn list(&mut self) -> Result<Argument> {
        self.take("[");
        self.space();
        if self.take("]") {
            return Ok(Argument::List(Vec::new()));
        }
        let items = self.sequence(']')?;
        self.take("]");
        Ok(Argument::List(items))
    }

    fn dict(&mut self) -> Result<Argument> {
        self.take("{");
        self.space();
        let mut pairs = Vec::new();
        while !self.take("}") {
            let Argument::Plain(Value::Str(key)) = self.plain(&[':', ',', '}'])? else {
                return Err(InterpolationError::DictKey);
            };
            if !self.take(":") {
                return Err(InterpolationError::MissingColon);
            }
            let value = self.argument()?;
            pairs.retain(|(name, _)| *name != key);
            pairs.push((key, value));
            self.space();
            if !self.rest.starts_with('}') && !self.take(",") {
                return Err(InterpolationError::Missing("}".into()));
            }
            self.space();
        }
        Ok(Argument::Dict(pairs))
    }

    /// Unquoted text, with references, up to one of `ends`.
    fn plain(&mut self, ends: &[char]) -> Result<Argument> {
        let mut pieces: Vec<Piece<'a>> = Vec::new();
        loop {
            let text = self.rest;
            let len = plain_len(text, ends);
            if len > 0 {
                pieces.push(Piece::Raw(&text[..len]));
                self.rest = &text[len..];
            }
            if !self.rest.starts_with("${") {
                break;
            }
            pieces.push(Piece::Reference(self.deeper(Self::reference)?));
        }
        if let Some(Piece::Raw(first)) = pieces.first_mut() {
            *first = first.trim_start_matches([' ', '\t']);
        }
        if let Some(Piece::Raw(last)) = pieces.last_mut() {
            *last = trim_end(last);
        }
        pieces.retain(|piece| !matches!(piece, Piece::Raw("")));
        match pieces.as_slice() {
            [] => Err(InterpolationError::Missing("a value".into())),
            [Piece::Raw(raw)] => Ok(Argument::Plain(unquoted(raw)?)),
            _ => pieces.into_iter().map(Piece::into_part).collect::<Result<_>>().map(Argument::Parts),
        }
    }
}

enum Piece<'a> {
    Raw(&'a str),
    Reference(Reference),
}

impl Piece<'_> {
    fn into_part(self) -> Result<Part> {
        Ok(match self {
            Self::Raw(raw) => Part::Text(super::python::unescape(raw)),
            Self::Reference(reference) => Part::Reference(reference),
        })
    }
}

/// The length of unquoted text before one of `ends` or a reference.
fn plain_len(text: &str, ends: &[char]) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if ends.contains(&c) || text[at..].starts_with("${") {
            return at;
        }
    }
    text.len()
}

/// Without the space at the end, unless a backslash keeps it.
fn trim_end(text: &str) -> &str {
    let trimmed = text.trim_end_matches([' ', '\t']);
    let slashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    if slashes % 2 == 1 && trimmed.len() < text.len() { &text[..trimmed.len() + 1] } else { trimmed }
}
