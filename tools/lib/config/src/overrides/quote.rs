//! Text in quotes, as the grammar has it: only backslashes that run up to a quote are escapes.

/// The quotes that a text was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// `'text'`
    Single,
    /// `"text"`
    Double,
}

impl Quote {
    fn char(self) -> char {
        match self {
            Self::Single => '\'',
            Self::Double => '"',
        }
    }
}

/// `text` in quotes, so that it is read back as it is: neither a number nor a sweep nor anything else.
pub fn quoted(text: &str, quote: Quote) -> String {
    let quote = quote.char();
    let mut result = String::from(quote);
    let mut backslashes = 0;
    for c in text.chars() {
        if c == quote {
            // Backslashes in front of a quote stand for half as many.
            result.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        result.push(c);
    }
    result.extend(std::iter::repeat_n('\\', backslashes));
    result.push(quote);
    result
}

/// The inside of a quoted token, and its quotes.
pub(super) fn unquote(token: &str) -> (String, Quote) {
    let quote = if token.starts_with('\'') { Quote::Single } else { Quote::Double };
    let inside = &token[1..token.len() - 1];
    let mut result = String::new();
    let mut slashes = 0;
    for c in inside.chars() {
        if c == '\\' {
            slashes += 1;
            continue;
        }
        // Of 2n+1 backslashes before a quote, n stay.
        let kept = if c == quote.char() { slashes / 2 } else { slashes };
        result.extend(std::iter::repeat_n('\\', kept));
        result.push(c);
        slashes = 0;
    }
    // The closing quote follows: half of them stay.
    result.extend(std::iter::repeat_n('\\', slashes / 2));
    (result, quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_out_of_its_quotes(text in "[\\\\'\"ab ,\n]{0,12}", single: bool) {
            let quote = if single { Quote::Single } else { Quote::Double };
            assert_eq!(unquote(&quoted(&text, quote)), (text, quote));
        }
    }
}
