//! The text that rows were parsed from, kept so that what no tool sets is written back as it was: lines of JSON, or
//! cells of CSV. And the heap of text values.

use crate::{Error, Result};
use std::sync::Arc;

/// The lines of JSON that rows were parsed from.
#[derive(Default)]
pub(crate) struct Text {
    /// The lines, and the blank lines between them.
    pub bytes: Vec<u8>,
    pub lines: Vec<Line>,
    /// `[rows × parsed fields]`: start and end of the value in `bytes`; (0, 0) where the line has none.
    pub spans: Vec<(usize, usize)>,
    /// For each field that was parsed, whether a tool has set it since.
    pub edited: Vec<bool>,
}

/// One line that holds a row; offsets into [`Text::bytes`].
pub(crate) struct Line {
    /// Counted from 1 in the whole stream; blank lines count.
    pub number: u64,
    pub start: usize,
    /// Offset of the closing brace.
    pub close: usize,
    /// Offset of the line's end, its newline excluded.
    pub end: usize,
}

/// A text of a packed row: offset and length in the heap of the batch.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct TextSpan {
    start: u32,
    length: u32,
}

impl TextSpan {
    /// Adds a text to `heap`.
    ///
    /// # Errors
    /// When the texts of one batch have over 4 GiB.
    pub fn push(heap: &mut Vec<u8>, text: &[u8]) -> Result<Self> {
        let (start, length) = (u32::try_from(heap.len()), u32::try_from(text.len()));
        let (Ok(start), Ok(length)) = (start, length) else { return Err(Error::TextTooLong) };
        heap.extend_from_slice(text);
        Ok(Self { start, length })
    }

    /// The bytes of the text.
    pub fn of(self, heap: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &heap[start..start + self.length as usize]
    }
}

/// The cells of CSV that rows were parsed from, unquoted.
#[derive(Default)]
pub(crate) struct Cells {
    /// The names of the columns.
    pub header: Arc<[String]>,
    pub delimiter: u8,
    pub bytes: Vec<u8>,
    /// `[rows × columns]`: the end of each cell in `bytes`, which is the start of the next.
    pub ends: Vec<usize>,
    /// For each row, the line it begins on, counted from 1.
    pub lines: Vec<u64>,
    /// For each column, the field that was parsed from it.
    pub fields: Arc<[Option<usize>]>,
    /// For each field that was parsed, whether its column is of booleans.
    pub booleans: Arc<[bool]>,
    /// For each field that was parsed, whether a tool has set it since.
    pub edited: Vec<bool>,
}

impl Cells {
    /// The cell of a row in a column.
    pub fn cell(&self, row: usize, column: usize) -> &[u8] {
        let index = row * self.header.len() + column;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}
