//! Lines of a stream, as they come.

use std::io::{self, BufRead, BufReader, Read};

/// Longest line that is taken for an event, in bytes. It bounds the memory; a start event with its
/// whole configuration is some kilobytes.
pub const MAX_LINE: u64 = 16 << 20;

/// Reads a stream line by line without changing a byte of it.
pub struct Lines<R> {
    stream: BufReader<R>,
    buffer: Vec<u8>,
    /// Whether the piece before was the beginning of a line that is too long.
    unfinished: bool,
    number: u64,
}

/// A line with its newline, or a piece of one that is too long to be an event.
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    /// The line's number, from 1.
    pub number: u64,
    /// Whether this is a whole line. The last one of a stream may lack its newline.
    pub whole: bool,
}

impl Piece<'_> {
    /// Whether the line has its newline.
    pub fn ends(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The text of a whole line that is not blank.
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes).ok()?.trim();
        (self.whole && !text.is_empty()).then_some(text)
    }

    /// Whether the line holds nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

impl<R: Read> Lines<R> {
    pub fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream), buffer: Vec::new(), unfinished: false, number: 0 }
    }

    /// The next piece; None at the end of the stream.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.buffer.clear();
        if (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        let (continues, too_long) = (self.unfinished, self.buffer.len() as u64 == MAX_LINE);
        self.unfinished = too_long && !self.buffer.ends_with(b"\n");
        self.number += u64::from(!continues);
        Ok(Some(Piece { bytes: &self.buffer, number: self.number, whole: !continues && !self.unfinished }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces_and_is_no_event() {
        let long = [vec![b'x'; MAX_LINE as usize + 5], b"\nnext".to_vec()].concat();
        let mut lines = Lines::new(long.as_slice());
        let mut seen = Vec::new();
        while let Some(piece) = lines.next().expect("memory") {
            seen.push((piece.bytes.len(), piece.number, piece.whole));
        }
        assert_eq!(seen, [(MAX_LINE as usize, 1, false), (6, 1, false), (4, 2, true)]);
    }
}
