//! Tokens of an override's value, as in Hydra's `OverrideLexer.g4`: the longest match wins, and of
//! equally long ones the first rule.

use super::error::{GrammarError, Result};

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ParenOpen,
    Comma,
    ParenClose,
    BracketOpen,
    BracketClose,
    BraceOpen,
    BraceClose,
    Colon,
    Equal,
    Float,
    Int,
    Bool,
    Null,
    /// One of `/-\+.$%*@?|`, which may stand in an unquoted string.
    Unquoted,
    Id,
    /// Backslashes, each before a character that they make plain.
    Escape,
    Space,
    Quoted,
    /// `${...}`, kept as it is.
    Interpolation,
}

/// A token and its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

/// Characters that a backslash makes plain.
const ESCAPABLE: &str = "\\()[]{}:=, \t";
const UNQUOTED: &str = "/-\\+.$%*@?|";

/// # Errors
/// What is wrong with the first character that begins no token.
pub(crate) fn tokens(mut text: &str) -> Result<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    while !text.is_empty() {
        let (kind, len) = longest(text).ok_or_else(|| refusal(text))?;
        let (token, rest) = text.split_at(len);
        tokens.push(Token { kind, text: token });
        text = rest;
    }
    Ok(tokens)
}

fn refusal(text: &str) -> GrammarError {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => GrammarError::UnclosedQuote(quote),
        // An empty text has no token to refuse.
        other => GrammarError::Character(other.unwrap_or_default()),
    }
}

fn longest(text: &str) -> Option<(Kind, usize)> {
    use Kind::*;
    let word = id_len(text);
    let is_word = |name: &str| text[..word].eq_ignore_ascii_case(name);
    let candidates = [
        (ParenOpen, open_or_separator(text, '(')),
        (Comma, open_or_separator(text, ',')),
        (ParenClose, close(text, ')')),
        (BracketOpen, open(text, '[')),
        (BracketClose, close(text, ']')),
        (BraceOpen, open(text, '{')),
        (BraceClose, close(text, '}')),
        (Colon, open_or_separator(text, ':')),
        (Equal, open_or_separator(text, '=')),
        (Float, float_len(text)),
        (Int, int_len(text)),
        (Bool, if is_word("true") || is_word("false") { word } else { 0 }),
        (Null, if is_word("null") { word } else { 0 }),
        (Unquoted, usize::from(text.starts_with(|c| UNQUOTED.contains(c)))),
        (Id, word),
        (Escape, escape_len(text)),
        (Space, text.len() - skip_space(text).len()),
        (Quoted, quoted_len(text)),
        (Interpolation, interpolation_len(text)),
    ];
    // `max_by_key` keeps the last of equals; reversed, that is the first rule.
    candidates.into_iter().rev().max_by_key(|(_, len)| *len).filter(|(_, len)| *len > 0)
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// `c WS?`
fn open(text: &str, c: char) -> usize {
    text.strip_prefix(c).map_or(0, |rest| text.len() - skip_space(rest).len())
}

/// `WS? c`
fn close(text: &str, c: char) -> usize {
    skip_space(text).strip_prefix(c).map_or(0, |rest| text.len() - rest.len())
}

/// `WS? c WS?`
fn open_or_separator(text: &str, c: char) -> usize {
    skip_space(text).strip_prefix(c).map_or(0, |rest| text.len() - skip_space(rest).len())
}

/// `(CHAR|'_') (CHAR|DIGIT|'_'|'-')*`
fn id_len(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(text.len())
}

/// `DIGIT (('_')? DIGIT)*`
fn digits_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut len = 0;
    loop {
        match (bytes.get(len), bytes.get(len + 1)) {
            (Some(b'0'..=b'9'), _) => len += 1,
            (Some(b'_'), Some(b'0'..=b'9')) if len > 0 => len += 2,
            _ => return len,
        }
    }
}

/// `'0' | [1-9] (('_')? DIGIT)*`
pub(crate) fn unsigned_len(text: &str) -> usize {
    if text.starts_with('0') { 1 } else { digits_len(text) }
}

fn sign_len(text: &str) -> usize {
    usize::from(text.starts_with(['+', '-']))
}

fn int_len(text: &str) -> usize {
    let sign = sign_len(text);
    match unsigned_len(&text[sign..]) {
        0 => 0,
        digits => sign + digits,
    }
}

fn float_len(text: &str) -> usize {
    let sign = sign_len(text);
    let unsigned = &text[sign..];
    let named = ["inf", "nan"].iter().any(|name| unsigned.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(name)));
    let point = point_float_len(unsigned);
    let mantissa = point.max(unsigned_len(unsigned));
    let exponent = if mantissa > 0 { exponent_len(&unsigned[mantissa..]) } else { 0 };
    let len = if exponent > 0 { mantissa + exponent } else { point };
    match len.max(if named { 3 } else { 0 }) {
        0 => 0,
        len => sign + len,
    }
}

/// `INT_UNSIGNED '.' | INT_UNSIGNED? '.' DIGIT (('_')? DIGIT)*`
fn point_float_len(text: &str) -> usize {
    let whole = unsigned_len(text);
    let Some(fraction) = text[whole..].strip_prefix('.') else { return 0 };
    match (whole, digits_len(fraction)) {
        (0, 0) => 0,
        (whole, fraction) => whole + 1 + fraction,
    }
}

/// `[eE] [+-]? DIGIT (('_')? DIGIT)*`
fn exponent_len(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return 0 };
    let sign = sign_len(rest);
    match digits_len(&rest[sign..]) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

fn escape_len(text: &str) -> usize {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('\\').and_then(|rest| rest.strip_prefix(|c| ESCAPABLE.contains(c))) {
        rest = after;
    }
    text.len() - rest.len()
}

/// A quoted value ends at the first quote with an even number of backslashes before it.
fn quoted_len(text: &str) -> usize {
    let Some(quote @ ('"' | '\'')) = text.chars().next() else { return 0 };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' => escaped = !escaped,
            c if c == quote && !escaped => return at + c.len_utf8(),
            _ => escaped = false,
        }
    }
    0
}

/// `'${' ~('}')+ '}'`
fn interpolation_len(text: &str) -> usize {
    let Some(body) = text.strip_prefix("${") else { return 0 };
    match body.find('}') {
        Some(0) | None => 0,
        Some(end) => "${".len() + end + "}".len(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind::*, *};

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).expect("valid").into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn the_longest_match_wins_and_then_the_first_rule() {
        assert_eq!(kinds("10"), [Int]);
        assert_eq!(kinds("1e-3"), [Float]);
        assert_eq!(kinds("10."), [Float]);
        assert_eq!(kinds("inf"), [Float]);
        assert_eq!(kinds("info"), [Id]);
        assert_eq!(kinds("True"), [Bool]);
        assert_eq!(kinds("truely"), [Id]);
        assert_eq!(kinds("1.2.3"), [Float, Float]);
        assert_eq!(kinds("007"), [Int, Int, Int]);
        assert_eq!(kinds("[ a , b ]"), [BracketOpen, Id, Comma, Id, BracketClose]);
        assert_eq!(kinds("a b"), [Id, Space, Id]);
        assert_eq!(kinds("f (x)"), [Id, ParenOpen, Id, ParenClose]);
        assert_eq!(kinds("${a.b}/c"), [Interpolation, Unquoted, Id]);
        assert_eq!(kinds("\\,\\ x"), [Escape, Id]);
        assert_eq!(kinds(r#""a\"b" 'c'"#), [Quoted, Space, Quoted]);
        assert_eq!(kinds("-5"), [Int]);
        assert_eq!(kinds("-a"), [Unquoted, Id]);
    }

    #[test]
    fn characters_that_need_quotes_are_named() {
        assert!(tokens("a#b").expect_err("#").to_string().contains("'#' must be quoted"));
        assert!(tokens("'abc").expect_err("open").to_string().contains("not closed"));
    }
}
