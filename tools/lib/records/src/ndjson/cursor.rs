//! A JSON tokenizer that allocates nothing: it checks the text as RFC 8259 has it, and returns slices of it.

use crate::Error;

/// The deepest nesting of arrays and objects.
const MAX_DEPTH: u32 = 128;

/// Why a line is not JSON. Columns are bytes, counted from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("expected {expected}, found '{}' (column {column})", (*found as char).escape_default())]
    Unexpected { expected: String, found: u8, column: usize },
    #[error("the line ends where {0} is expected")]
    EndOfLine(String),
    #[error("an object over several lines; one a line: jq -c . FILE")]
    SeveralLines,
    #[error("NaN and Infinity are not JSON (column {0}); NPY carries them")]
    NotFinite(usize),
    #[error("the line ends within a string")]
    OpenString,
    #[error("a bare control character in a string (column {0})")]
    ControlCharacter(usize),
    #[error("a bad escape in a string (column {0})")]
    Escape(usize),
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Boxed, since errors are rare and the functions that return one are called for every number.
type Result<T> = std::result::Result<T, Box<SyntaxError>>;

impl From<Box<SyntaxError>> for Error {
    fn from(error: Box<SyntaxError>) -> Self {
        Self::Json(error.to_string())
    }
}

/// A position in one line of JSON. Every method leaves it after what it read.
pub(crate) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
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

    /// Consumes `expected`.
    pub fn expect(&mut self, expected: u8) -> Result<()> {
        if self.take(expected) { Ok(()) } else { Err(self.unexpected(&format!("'{}'", expected as char))) }
    }

    /// The error that something else than `expected` comes next.
    pub fn unexpected(&mut self, expected: &str) -> Box<SyntaxError> {
        Box::new(match self.peek() {
            None if self.bytes.trim_ascii() == b"{" => SyntaxError::SeveralLines,
            None => SyntaxError::EndOfLine(expected.to_owned()),
            Some(b'N' | b'I') => SyntaxError::NotFinite(self.column()),
            Some(found) => SyntaxError::Unexpected { expected: expected.to_owned(), found, column: self.column() },
        })
    }

    fn column(&self) -> usize {
        self.at + 1
    }

    /// Consumes a string; returns the text between its quotes, with its escapes.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(Box::new(SyntaxError::OpenString)),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(Box::new(SyntaxError::ControlCharacter(self.column()))),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(&self.bytes[start..self.at - 1])
    }

    fn escape(&mut self) -> Result<()> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) { 6 } else { 0 }
            }
            _ => 0,
        };
        self.at += length;
        if length == 0 { Err(Box::new(SyntaxError::Escape(self.column()))) } else { Ok(()) }
    }

    /// Consumes a number; returns its text, and whether it has a fraction or an exponent.
    #[inline]
    pub fn number(&mut self) -> Result<(&'a [u8], bool)> {
        self.peek();
        let start = self.at;
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        let whole = self.digits();
        let leading_zero = whole > 1 && self.bytes[self.at - whole] == b'0';
        let mut valid = whole > 0 && !leading_zero;
        let mut real = false;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            real = true;
            valid &= self.digits() > 0;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            real = true;
            valid &= self.digits() > 0;
        }
        if valid {
            return Ok((&self.bytes[start..self.at], real));
        }
        self.at = start;
        Err(self.unexpected("a number"))
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    /// Consumes `true`, `false` or `null`.
    pub fn word(&mut self) -> Result<&'static str> {
        self.peek();
        let rest = &self.bytes[self.at..];
        match ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes())) {
            Some(word) => {
                self.at += word.len();
                Ok(word)
            }
            None => Err(self.unexpected("a value")),
        }
    }

    /// Consumes any value and checks it. The stack of open brackets is a bit set, one bit each: 1 is an object.
    pub fn skip_value(&mut self) -> Result<()> {
        let mut depth = 0u32;
        let mut objects = 0u128;
        loop {
            // A value begins here.
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(Box::new(SyntaxError::TooDeep));
                    }
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    let empty = self.take(if open == b'{' { b'}' } else { b']' });
                    if !empty {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    depth -= 1;
                    objects >>= 1;
                }
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                _ => drop(self.word()?),
            }
            // A value ended here.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                if self.take(b',') {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                let close = if object { b'}' } else { b']' };
                if !self.take(close) {
                    return Err(self.unexpected(if object { "',' or '}'" } else { "',' or ']'" }));
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn key(&mut self) -> Result<()> {
        self.string()?;
        self.expect(b':')
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use proptest::prelude::*;

    /// The whole text is one value.
    fn accepts(text: &str) -> bool {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.skip_value().is_ok() && cursor.peek().is_none()
    }

    /// serde_json's opinion, with the one rule that is ours: how deep.
    fn reference(text: &str) -> bool {
        serde_json::from_str::<Box<serde_json::value::RawValue>>(text).is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn accepts_what_serde_json_accepts(text in r#"[\[\]{}:,"\\0-9.eE+\-u tfn]{0,12}"#) {
            prop_assert_eq!(accepts(&text), reference(&text), "{}", text);
        }

        #[test]
        fn accepts_edited_values(at in 0usize..60, byte in "[ -~]") {
            let mut text = String::from(r#"{"a":[1,-2.5e-3,{"b":null}],"c\u00e9":"x\n","d":true,"e":[]}"#);
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &byte);
            prop_assert_eq!(accepts(&text), reference(&text), "{}", text);
        }
    }

    #[test]
    fn depth_is_limited() {
        assert!(accepts(&("[".repeat(128) + &"]".repeat(128))));
        assert!(!accepts(&("[".repeat(129) + &"]".repeat(129))));
        assert!(!accepts(&"[".repeat(10_000_000)));
    }
}
