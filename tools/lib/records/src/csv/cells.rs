//! Splitting CSV into cells, block by block, by `csv_core`.

use super::quotes::Quotes;
use crate::{Error, Location, Result, source_text::Cells};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use files::Input;
use std::sync::Arc;

/// Size of one read, and of the cells of one batch.
pub const BLOCK_BYTES: usize = 512 << 10;
/// The longest record; a longer one is a quote that is left open, or a binary file.
const MAX_RECORD_BYTES: usize = 256 << 20;

/// Records from an input. While there are records to deliver, a slow input is not waited for.
pub(crate) struct Records {
    pub input: Input,
    core: Reader,
    quotes: Quotes,
    /// `buffer[start..filled]` is read and not yet split.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    ended: bool,
    /// Newlines before `buffer[start]`.
    newlines: u64,
    /// The longest record.
    limit: usize,
    /// What to do about a row of other cells than the header, with a leading `; `; may be empty.
    pub remedy: String,
    record: Record,
}

/// The cells of the current record, which may continue in the next block.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    length: usize,
    ends: Vec<usize>,
    count: usize,
}

impl Records {
    pub fn new(input: Input, delimiter: u8, limit: Option<usize>) -> Self {
        Self {
            input,
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            quotes: Quotes::new(delimiter),
            buffer: vec![0; BLOCK_BYTES],
            start: 0,
            filled: 0,
            ended: false,
            newlines: 0,
            limit: limit.unwrap_or(MAX_RECORD_BYTES),
            remedy: String::new(),
            record: Record { bytes: vec![0; 1 << 10], ends: vec![0; 64], ..Record::default() },
        }
    }

    /// One record: its cells, and the line that it begins on.
    pub fn one(&mut self) -> Result<Option<(Vec<String>, u64)>> {
        if !self.next(false)? {
            return Ok(None);
        }
        let line = self.line();
        self.check_text(line, &[])?;
        let Record { bytes, ends, count, .. } = &self.record;
        let starts = std::iter::once(&0).chain(ends);
        let cell = |(&start, &end): (&usize, &usize)| String::from_utf8_lossy(&bytes[start..end]).into_owned();
        let cells = starts.zip(&ends[..*count]).map(cell).collect();
        self.record.clear();
        Ok(Some((cells, line)))
    }

    /// Fills `cells` with the next records, up to about `bytes`; false at end of input. Unless `whole`, a block ends early
    /// where a slow input would have to be waited for.
    pub fn block(&mut self, cells: &mut Cells, bytes: usize, whole: bool) -> Result<bool> {
        let columns = cells.header.len();
        cells.bytes.clear();
        cells.ends.clear();
        cells.lines.clear();
        while cells.bytes.len() + cells.ends.len() * size_of::<usize>() < bytes
            && self.next(!whole && !cells.lines.is_empty())?
        {
            let line = self.line();
            self.check_text(line, &cells.header)?;
            if self.record.count != columns {
                return Err(self.ragged(line, &cells.header));
            }
            let before = cells.bytes.len();
            cells.bytes.extend_from_slice(&self.record.bytes[..self.record.length]);
            cells.ends.extend(self.record.ends[..columns].iter().map(|end| before + end));
            cells.lines.push(line);
            self.record.clear();
        }
        Ok(!cells.lines.is_empty())
    }

    /// Completes the current record; false at end of input or, `at_once`, where more input would have to be waited for.
    fn next(&mut self, at_once: bool) -> Result<bool> {
        loop {
            let Record { bytes, length, ends, count } = &mut self.record;
            let (source, ended): (&[u8], _) = match (self.start < self.filled, self.ended) {
                (true, _) => (&self.buffer[self.start..self.filled], false),
                // A newline ends the last record, unless a quote is open.
                (false, true) => (b"\n", true),
                (false, false) if at_once => return Ok(false),
                (false, false) => {
                    self.read_more()?;
                    continue;
                }
            };
            let (result, taken, put, ended_cells) =
                self.core.read_record(source, &mut bytes[*length..], &mut ends[*count..]);
            *length += put;
            *count += ended_cells;
            if !ended {
                self.newlines += memchr::memchr_iter(b'\n', &source[..taken]).count() as u64;
                self.start += taken;
                if !self.quotes.follow(&self.buffer[self.start - taken..self.start]) {
                    return Err(self.text_behind_quote());
                }
            }
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::InputEmpty if ended && put > 0 => return Err(self.open_quote()),
                ReadRecordResult::InputEmpty if ended => return Ok(false),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if bytes.len() >= self.limit => return Err(self.too_long()),
                ReadRecordResult::OutputFull => bytes.resize(2 * bytes.len(), 0),
                ReadRecordResult::OutputEndsFull if size_of_val(ends.as_slice()) >= self.limit => {
                    return Err(self.too_long());
                }
                ReadRecordResult::OutputEndsFull => ends.resize(2 * ends.len(), 0),
            }
        }
    }

    fn read_more(&mut self) -> Result<()> {
        self.start = 0;
        self.filled = self.input.read_some(&mut self.buffer)?;
        self.ended = self.filled == 0;
        Ok(())
    }

    /// The line that the current record begins on.
    fn line(&self) -> u64 {
        // At the end of a file without a last newline, and in front of the second half of `\r\n`, none was counted.
        let counted = self.start > 0 && self.buffer[self.start - 1] == b'\n' && self.start <= self.filled;
        let before = self.newlines - u64::from(counted && self.newlines > 0);
        1 + before.saturating_sub(self.record.newlines())
    }

    fn check_text(&self, line: u64, header: &[String]) -> Result<()> {
        let Err(error) = simdutf8::compat::from_utf8(&self.record.bytes[..self.record.length]) else { return Ok(()) };
        let cell = self.record.ends.iter().take_while(|end| **end <= error.valid_up_to()).count();
        let column = column_name(header, cell);
        Err(self
            .location(line)
            .error(Error::Csv(format!("{column}: not UTF-8 (iconv -f WINDOWS-1252 -t UTF-8, if that is what it is)"))))
    }

    fn ragged(&self, line: u64, header: &[String]) -> Error {
        let (cells, columns) = (self.record.count, header.len());
        let where_it_ends = match self.record.newlines() {
            0 => String::new(),
            more => format!("; a quote makes the row go on to line {}", line + more),
        };
        let column = match cells < columns {
            true => format!("column {:?} is missing", header[cells]),
            false => format!("nothing names column {}", columns + 1),
        };
        self.location(line).error(Error::Csv(format!(
            "{cells} cells, and the header has {columns}: {column}{where_it_ends}{}",
            self.remedy
        )))
    }

    fn open_quote(&self) -> Error {
        let line = 1 + self.newlines.saturating_sub(self.record.newlines().saturating_sub(1));
        let column = self.record.count + 1;
        self.location(line).error(Error::Csv(format!("column {column}: a quote is opened here and never closed")))
    }

    fn text_behind_quote(&self) -> Error {
        let (line, more) = (self.line(), self.record.newlines());
        let opened =
            if more > 0 { format!(" on line {} (is one left open before?)", line + more) } else { String::new() };
        self.location(line)
            .error(Error::Csv(format!("text stands behind a closing quote{opened}; a quote in a cell is written \"\"")))
    }

    fn too_long(&self) -> Error {
        let line = 1 + self.newlines.saturating_sub(self.record.newlines());
        self.location(line).error(Error::LongRow { what: "row", limit: self.limit, remedy: " (is a quote left open?)" })
    }

    /// The location of a line.
    pub fn location(&self, line: u64) -> Location {
        Location::line(self.source(), line)
    }

    pub fn source(&self) -> &Arc<str> {
        self.input.shared_name()
    }
}

impl Record {
    fn clear(&mut self) {
        (self.length, self.count) = (0, 0);
    }

    /// Newlines within its cells.
    fn newlines(&self) -> u64 {
        memchr::memchr_iter(b'\n', &self.bytes[..self.length]).count() as u64
    }
}

/// A column in messages: its name, or its number from 1 before the header is known.
fn column_name(header: &[String], column: usize) -> String {
    header.get(column).map_or_else(|| format!("column {}", column + 1), |name| format!("column {name:?}"))
}
