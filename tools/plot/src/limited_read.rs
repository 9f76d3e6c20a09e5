//! Reading with limits: inputs are not trusted, so that a line or a row without an end is an error and not a full memory.

use std::{
    cell::Cell,
    io::{self, BufRead, ErrorKind, Read},
    rc::Rc,
};

/// Limit on a line of a log or a row of a table, in bytes. The longest line of a log is `start`, with all settings.
pub const MAX_LINE: usize = 4 << 20;
/// Limit on a JSON document, or a line that may be a record of an image, in bytes: that of a row of records.
pub const MAX_DOCUMENT: usize = 256 << 20;

/// What was read of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// There is none: end of input.
    End,
    Whole,
    /// It is longer than the limit; only its beginning was kept.
    TooLong,
}

/// Reads a line with its newline, of which at most `max_bytes` bytes are kept.
///
/// # Errors
/// What the operating system says.
pub fn read_line(bytes: &mut impl BufRead, line: &mut Vec<u8>, max_bytes: usize) -> io::Result<Line> {
    line.clear();
    let mut length = 0;
    loop {
        let block = match bytes.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            block => block?,
        };
        let newline = block.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(block.len(), |at| at + 1);
        let kept = taken.min(max_bytes.saturating_sub(line.len()));
        line.extend_from_slice(&block[..kept]);
        length += taken;
        bytes.consume(taken);
        if taken == 0 || newline.is_some() {
            return Ok(match length {
                0 => Line::End,
                length if length > max_bytes => Line::TooLong,
                _ => Line::Whole,
            });
        }
    }
}

/// A reader of a table that fails if more than [`MAX_LINE`] bytes are read before [`RowLimit::renew`] is called.
pub struct RowLimited<R> {
    bytes: R,
    left: Rc<Cell<usize>>,
}

/// The handle that a reader of rows calls after each.
pub struct RowLimit(Rc<Cell<usize>>);

/// Limits rows to [`MAX_LINE`] bytes.
pub fn row_limited<R: Read>(bytes: R) -> (RowLimited<R>, RowLimit) {
    let left = Rc::new(Cell::new(MAX_LINE));
    (RowLimited { bytes, left: Rc::clone(&left) }, RowLimit(left))
}

impl RowLimit {
    /// Allows another row.
    pub fn renew(&self) {
        self.0.set(MAX_LINE);
    }
}

impl<R: Read> Read for RowLimited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let left = self.left.get().checked_sub(read);
        let too_long = || io::Error::other(format!("a row is longer than {} MiB", MAX_LINE >> 20));
        self.left.set(left.ok_or_else(too_long)?);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_up_to_their_limit() {
        let mut bytes = io::BufReader::with_capacity(3, &b"ab\nabcdefgh\n\nabcde\nlast"[..]);
        let mut line = Vec::new();
        for (kind, kept) in [
            (Line::Whole, &b"ab\n"[..]),
            (Line::TooLong, b"abcdef"),
            (Line::Whole, b"\n"),
            (Line::Whole, b"abcde\n"),
            (Line::Whole, b"last"),
            (Line::End, b""),
        ] {
            assert_eq!((read_line(&mut bytes, &mut line, 6).expect("bytes"), line.as_slice()), (kind, kept));
        }
    }

    #[test]
    fn a_row_without_an_end_is_an_error() {
        let (mut bytes, row_limit) = row_limited(io::repeat(b'1'));
        let mut block = vec![0; MAX_LINE];
        bytes.read_exact(&mut block).expect("as much as is allowed");
        row_limit.renew();
        bytes.read_exact(&mut block).expect("as much again");
        assert!(bytes.read(&mut block).is_err_and(|error| error.to_string().contains("longer than 4 MiB")));
    }
}
