//! A JSON tokenizer that builds nothing: it checks the text as RFC 8259 has it, and returns slices of it.

use super::{
    error::{Problem, Result, SyntaxError},
    number::quoted,
};
use std::borrow::Cow;

/// The deepest nesting of arrays and objects that are skipped.
pub(super) const MAX_DEPTH: u32 = 128;

/// Hexadecimal digits of a `\u` escape.
const HEX_DIGITS: usize = 4;

/// A number, as RFC 8259 spells it.
#[derive(Debug, Clone, Copy)]
pub struct NumberText<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether it has a fraction or an exponent.
    pub real: bool,
}

/// A position in JSON text. Every method leaves it after what it read. An error says that the text is not JSON, or that the
/// next value is of another kind.
#[derive(Debug, Clone)]
#[allow(clippy::missing_errors_doc, reason = "the same for every method: above")]
pub struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Whether the text is Python's.
    pub(super) python: bool,
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, python: false }
    }

    /// The beginning of a text as Python's `json` writes it: a float may also be `NaN`, `Infinity`, `-Infinity`, or `null`, which
    /// is NaN.
    pub fn of_python(bytes: &'a [u8]) -> Self {
        Self { python: true, ..Self::new(bytes) }
    }

    /// Consumes what Python has for floats and JSON does not, if it comes next. None in a text that is not Python's.
    pub fn not_finite(&mut self) -> Option<f64> {
        const WORDS: [(&str, f64); 4] =
            [("NaN", f64::NAN), ("null", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];
        if !self.python || !matches!(self.peek(), Some(b'N' | b'n' | b'I' | b'-')) {
            return None;
        }
        let rest = &self.bytes[self.at..];
        let (word, value) = WORDS.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes()))?;
        self.at += word.len();
        Some(value)
    }

    /// The next byte that is no white space, without consuming it.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Consumes `expected` if it comes next.
    #[inline]
    pub fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    /// After an element of an array or object: true after a comma, false after `close`. `expected` names both.
    #[inline]
    pub fn more(&mut self, close: u8, expected: &'static str) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(expected).into()),
        }
    }

    /// The error that something else than `expected` comes next.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: &'static str) -> SyntaxError {
        match self.peek() {
            None => SyntaxError::End(expected),
            Some(b'N' | b'I') => SyntaxError::NotFinite(self.at),
            Some(found) => SyntaxError::Unexpected { expected, found, offset: self.at },
        }
    }

    /// The error that the next value is not of the kind `expected`, or no value at all.
    #[cold]
    pub fn mismatch(&mut self, expected: &'static str) -> Box<super::RequestError> {
        let found = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(b't' | b'f' | b'n') => match self.word() {
                Ok("null") => "null",
                Ok(_) => "a boolean",
                Err(error) => return error,
            },
            _ => return self.unexpected(expected).into(),
        };
        Problem::Kind { expected, found }.into()
    }

    /// Calls `field` with each key of an object; it consumes the value.
    pub fn object(&mut self, mut field: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        if self.peek() != Some(b'{') {
            return Err(self.mismatch("an object"));
        }
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            field(self, &key)?;
            if !self.more(b'}', "',' or '}'")? {
                return Ok(());
            }
        }
    }

    /// Calls `element` at each element of an array, with its index; it consumes the element.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        if self.peek() != Some(b'[') {
            return Err(self.mismatch("an array"));
        }
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        for index in 0.. {
            element(self, index)?;
            if !self.more(b']', "',' or ']'")? {
                break;
            }
        }
        Ok(())
    }

    /// Consumes a key and the colon after it.
    pub fn key(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes").into());
        }
        let key = self.string()?;
        if !self.take(b':') {
            return Err(self.unexpected("':'").into());
        }
        Ok(key)
    }

    /// Consumes a string; borrowed unless it has escapes.
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.mismatch("a string"));
        }
        let mut start = self.at + 1;
        self.at = start;
        let mut decoded = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let special = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            self.at += special.ok_or(SyntaxError::OpenString)?;
            let text = simdutf8::basic::from_utf8(&self.bytes[start..self.at]).map_err(|_| SyntaxError::Utf8(start))?;
            match self.bytes[self.at] {
                b'"' if decoded.is_empty() => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                b'"' => {
                    self.at += 1;
                    decoded.push_str(text);
                    return Ok(Cow::Owned(decoded));
                }
                b'\\' => {
                    decoded.push_str(text);
                    decoded.push(self.escape()?);
                    start = self.at;
                }
                _ => return Err(SyntaxError::ControlCharacter(self.at).into()),
            }
        }
    }

    /// Consumes an escape, or the two of a surrogate pair.
    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        let bad = || SyntaxError::Escape(start);
        let letter = *self.bytes.get(start + 1).ok_or(SyntaxError::OpenString)?;
        self.at += 2;
        Ok(match letter {
            b'"' | b'\\' | b'/' => letter.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex().ok_or_else(bad)?;
                let second = match self.bytes[self.at..] {
                    [b'\\', b'u', ..] if matches!(first, 0xD800..0xDC00) => {
                        self.at += 2;
                        Some(self.hex().ok_or_else(bad)?)
                    }
                    _ => None,
                };
                let mut decoded = char::decode_utf16(std::iter::once(first).chain(second));
                decoded.next().and_then(std::result::Result::ok).ok_or_else(bad)?
            }
            _ => return Err(bad().into()),
        })
    }

    /// Consumes the digits of a `\u` escape.
    fn hex(&mut self) -> Option<u16> {
        let digits = self.bytes.get(self.at..self.at + HEX_DIGITS)?;
        self.at += HEX_DIGITS;
        digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)? as u16))
    }

    /// Consumes a number.
    pub fn number(&mut self) -> Result<NumberText<'a>> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mismatch("a number"));
        }
        let start = self.at;
        self.at += usize::from(self.bytes[start] == b'-');
        let first = self.bytes.get(self.at) == Some(&b'0');
        let digits = self.digits();
        let mut valid = digits > 0 && !(first && digits > 1);
        let mut real = false;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            real = true;
            valid &= self.digits() > 0;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'-' | b'+')));
            real = true;
            valid &= self.digits() > 0;
        }
        match std::str::from_utf8(&self.bytes[start..self.at]) {
            Ok(text) if valid => Ok(NumberText { text, real }),
            _ => {
                self.at = start;
                Err(self.bad_number().into())
            }
        }
    }

    /// Consumes digits; returns how many.
    fn digits(&mut self) -> usize {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        digits
    }

    /// The error that the text here is no number, although it begins like one.
    #[cold]
    fn bad_number(&mut self) -> SyntaxError {
        let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &self.bytes[self.at..];
        let digits = text.iter().take_while(|byte| part(byte)).count();
        match text.get(digits) {
            Some(b'I' | b'N') => SyntaxError::NotFinite(self.at),
            None if text.last().is_some_and(|byte| !byte.is_ascii_digit()) => SyntaxError::End("a digit"),
            _ => SyntaxError::Unexpected { expected: "a number", found: text[0], offset: self.at },
        }
    }

    /// Consumes an integer of at least 0.
    pub fn unsigned(&mut self) -> Result<u64> {
        let NumberText { text, .. } = self.number()?;
        text.parse().map_err(|_| Problem::NotUnsigned(quoted(text)).into())
    }

    /// Consumes `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't' | b'f') => Ok(self.word()? == "true"),
            _ => Err(self.mismatch("true or false")),
        }
    }

    /// Consumes `null` if it comes next.
    pub fn null(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b'n') => self.word().map(|_| true),
            _ => Ok(false),
        }
    }

    /// Consumes `true`, `false` or `null`.
    fn word(&mut self) -> Result<&'static str> {
        let rest = &self.bytes[self.at..];
        match ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes())) {
            Some(word) => {
                self.at += word.len();
                Ok(word)
            }
            None => Err(self.unexpected("a value").into()),
        }
    }

    /// Consumes any value and checks it. The stack of open brackets is a bit set, one bit each: 1 is an object.
    pub fn skip_value(&mut self) -> Result<()> {
        let mut depth = 0_u32;
        let mut objects = 0_u128;
        loop {
            // A value begins here.
            match self.peek() {
                Some(b'N' | b'n' | b'I' | b'-') if self.not_finite().is_some() => {}
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(SyntaxError::Depth.into());
                    }
                    let object = open == b'{';
                    self.at += 1;
                    if !self.take(if object { b'}' } else { b']' }) {
                        depth += 1;
                        objects = objects << 1 | u128::from(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                Some(b't' | b'f' | b'n') => drop(self.word()?),
                _ => return Err(self.unexpected("a value").into()),
            }
            // A value ended here.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                let (close, expected) = if object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
                if self.more(close, expected)? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }
}
