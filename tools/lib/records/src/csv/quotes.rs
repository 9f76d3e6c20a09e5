//! Detects text after a closing quote, which RFC 4180 forbids. `csv_core` takes it as part of the cell, so that a quote
//! left open would swallow rows silently.

/// A state machine over the bytes of CSV, in blocks of any size.
pub(crate) struct Quotes {
    delimiter: u8,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A cell may begin here.
    Start,
    /// In an unquoted cell; a quote in it is text.
    Plain,
    Quoted,
    /// After a quote in a quoted cell: the end of the cell, or the first half of an escaped quote.
    Closing,
}

impl Quotes {
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Start }
    }

    /// Consumes the next bytes; false where text follows a closing quote.
    pub fn follow(&mut self, bytes: &[u8]) -> bool {
        let ends = |byte: u8| byte == self.delimiter || byte == b'\n' || byte == b'\r';
        let outside = matches!(self.state, State::Start | State::Plain);
        if outside && memchr::memchr(b'"', bytes).is_none() {
            if let Some(&last) = bytes.last() {
                self.state = if ends(last) { State::Start } else { State::Plain };
            }
            return true;
        }
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Start | State::Closing, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Closing,
                (State::Quoted, _) => State::Quoted,
                (_, byte) if ends(byte) => State::Start,
                (State::Closing, _) => return false,
                (State::Start | State::Plain, _) => State::Plain,
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Quotes;

    #[test]
    fn text_behind_a_closing_quote_is_seen_however_the_bytes_arrive() {
        for (text, good) in [
            ("a,\"b\"\n\"\",\"c\"\"d\"\r\n5\" disk,x\n", true),
            ("a,\"b\nc,d\"\n", true),
            ("a,\"b\nc,\"d\"\n", false),
            ("\"a\" ,b\n", false),
        ] {
            for step in [1, 2, 3, 100] {
                let mut quotes = Quotes::new(b',');
                assert_eq!(text.as_bytes().chunks(step).all(|bytes| quotes.follow(bytes)), good, "{text:?} {step}");
            }
        }
    }
}
