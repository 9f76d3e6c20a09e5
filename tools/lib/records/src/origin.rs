//! What rows of text came from: lines of JSON, or cells; and the texts among their values.

use std::sync::Arc;

/// The lines that rows came from.
#[derive(Default)]
pub(crate) struct Text {
    /// The lines, with whatever stood between them.
    pub bytes: Vec<u8>,
    pub lines: Vec<Line>,
    /// For each row and each field that was parsed, where its value stands within `bytes`.
    pub spans: Vec<(usize, usize)>,
    /// For each field that was parsed, whether a tool has set it since.
    pub edited: Vec<bool>,
}

/// One line that holds a row; offsets into [`Text::bytes`].
pub(crate) struct Line {
    /// Counted from 1 in the whole stream; blank lines count.
    pub number: u64,
    pub start: usize,
    /// Where the closing brace stands.
    pub close: usize,
    /// Where the line ends, without its newline.
    pub end: usize,
}

/// Where a text stands within the heap of a batch: what a packed row holds of it.
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
    pub fn push(heap: &mut Vec<u8>, text: &[u8]) -> std::result::Result<Self, String> {
        let (start, length) = (u32::try_from(heap.len()), u32::try_from(text.len()));
        let (Ok(start), Ok(length)) = (start, length) else { return Err("a text of over 4 GiB".into()) };
        heap.extend_from_slice(text);
        Ok(Self { start, length })
    }

    /// The bytes of the text.
    pub fn of(self, heap: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &heap[start..start + self.length as usize]
    }
}

/// The cells that rows came from, unquoted.
#[derive(Default)]
pub(crate) struct Cells {
    /// The names of the columns, and what stood between them.
    pub header: Arc<[String]>,
    pub delimiter: u8,
    pub bytes: Vec<u8>,
    /// Where each cell ends within `bytes`: `[rows × columns]`.
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
