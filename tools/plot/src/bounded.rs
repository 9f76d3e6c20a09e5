//! Inputs that are not trusted: what is read of them at once has an end.

use std::{
    cell::Cell,
    fs,
    io::{self, BufRead, ErrorKind, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

/// Bytes of a line of a log, or of a row of a table. The longest line that `train` writes holds all settings.
pub const LONGEST_LINE: usize = 4 << 20;
/// Bytes of a line that may be a record of an image, or of a JSON document: as long as a row of records is at most.
pub const LARGEST_DOCUMENT: usize = 256 << 20;

/// What was read of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// There is none: the input is at its end.
    End,
    Whole,
    /// It is longer than allowed. Its beginning was kept, and the rest passed over.
    TooLong,
}

/// Reads a line, its newline included, of which no more than `most` bytes are kept.
///
/// # Errors
/// What the operating system says.
pub fn read_line(bytes: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> io::Result<Line> {
    line.clear();
    let mut length = 0;
    loop {
        let block = match bytes.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            block => block?,
        };
        let newline = block.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(block.len(), |at| at + 1);
        let kept = taken.min(most.saturating_sub(line.len()));
        line.extend_from_slice(&block[..kept]);
        length += taken;
        bytes.consume(taken);
        if taken == 0 || newline.is_some() {
            return Ok(match length {
                0 => Line::End,
                length if length > most => Line::TooLong,
                _ => Line::Whole,
            });
        }
    }
}

/// Bytes of a table, an error where too many come before [`Allowance::renew`] is called again.
pub struct Rationed<R> {
    bytes: R,
    left: Rc<Cell<usize>>,
}

/// What is left to be read.
pub struct Allowance(Rc<Cell<usize>>);

/// Bytes of which no row is longer than [`LONGEST_LINE`]; whoever reads them renews the allowance with each row.
pub fn rationed<R: Read>(bytes: R) -> (Rationed<R>, Allowance) {
    let left = Rc::new(Cell::new(LONGEST_LINE));
    (Rationed { bytes, left: Rc::clone(&left) }, Allowance(left))
}

impl Allowance {
    pub fn renew(&self) {
        self.0.set(LONGEST_LINE);
    }
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let left = self.left.get().checked_sub(read);
        let too_long = || io::Error::other(format!("a row is longer than {} MiB", LONGEST_LINE >> 20));
        self.left.set(left.ok_or_else(too_long)?);
        Ok(read)
    }
}

/// The first of `names` that a folder has; an error if that is no regular file: a pipe would block, and a device never
/// end.
///
/// # Errors
/// One line: which file, what it is.
pub fn regular_file(folder: &Path, names: &[&str]) -> anyhow::Result<Option<PathBuf>> {
    for path in names.iter().map(|name| folder.join(name)) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
            Ok(_) => anyhow::bail!("{}: no regular file; expected what train writes", path.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => anyhow::bail!("{}: {error}", path.display()),
        }
    }
    Ok(None)
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
        let (mut bytes, allowance) = rationed(io::repeat(b'1'));
        let mut block = vec![0; LONGEST_LINE];
        bytes.read_exact(&mut block).expect("as much as is allowed");
        allowance.renew();
        bytes.read_exact(&mut block).expect("as much again");
        assert!(bytes.read(&mut block).is_err_and(|error| error.to_string().contains("longer than 4 MiB")));
    }
}
