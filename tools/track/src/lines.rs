//! Reading lines of bounded length.

use std::io::{self, BufRead, BufReader, Read};

/// Longest line that can be an event, in bytes. It bounds the memory; a start event, with all settings, has some
/// kilobytes.
pub const MAX_LINE: u64 = 16 << 20;

/// Reads the lines of a stream, byte for byte.
pub struct Lines<R> {
    stream: BufReader<R>,
    buffer: Vec<u8>,
    /// Whether the last read ended within a line longer than [`MAX_LINE`].
    in_long_line: bool,
    number: u64,
}

/// A line with its newline. A line longer than [`MAX_LINE`] is returned in several reads, with `whole` false.
pub struct Line<'a> {
    pub bytes: &'a [u8],
    /// Line number, from 1.
    pub number: u64,
    /// Whether `bytes` is the whole line. The last line of a stream may lack its newline.
    pub whole: bool,
}

impl Line<'_> {
    pub fn has_newline(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The text without surrounding white space; None if the line is not whole, not UTF-8 or blank.
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes).ok()?.trim();
        (self.whole && !text.is_empty()).then_some(text)
    }

    /// Whether all bytes are white space.
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

impl<R: Read> Lines<R> {
    pub fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream), buffer: Vec::new(), in_long_line: false, number: 0 }
    }

    /// The next line; None at the end of the stream.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        if (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        let (continued, too_long) = (self.in_long_line, self.buffer.len() as u64 == MAX_LINE);
        self.in_long_line = too_long && !self.buffer.ends_with(b"\n");
        self.number += u64::from(!continued);
        Ok(Some(Line { bytes: &self.buffer, number: self.number, whole: !continued && !self.in_long_line }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_read_in_parts_that_are_not_whole() {
        let long = [vec![b'x'; MAX_LINE as usize + 5], b"\nnext".to_vec()].concat();
        let mut lines = Lines::new(long.as_slice());
        let mut seen = Vec::new();
        while let Some(line) = lines.next().expect("memory") {
            seen.push((line.bytes.len(), line.number, line.whole));
        }
        assert_eq!(seen, [(MAX_LINE as usize, 1, false), (6, 1, false), (4, 2, true)]);
    }
}
