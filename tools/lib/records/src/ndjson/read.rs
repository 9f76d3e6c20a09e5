//! Reading lines in blocks of whole lines.

use super::{
    cursor::Cursor,
    infer,
    row::{self, Accepts, RowError},
};
use crate::{
    Batch, DType, Error, Field, Location, Result, Schema,
    selection::Selection,
    source_text::{Line, Text},
};
use files::Input;
use std::{mem, sync::Arc};

/// Size of one read. Where a slow source returns less, the rows that have arrived are delivered at once.
const BLOCK_BYTES: usize = 512 << 10;
/// The longest line; a longer one is a binary file, or a row larger than any schema allows.
const MAX_LINE_BYTES: usize = 1 << 30;

/// Rows from lines of JSON.
pub(crate) struct NdjsonReader {
    input: Input,
    selection: Selection,
    /// Read and not yet parsed; only the first `filled` bytes count.
    buffer: Vec<u8>,
    filled: usize,
    ended: bool,
    pub schema: Arc<Schema>,
    /// One a field.
    accepts: Vec<Accepts>,
    /// Whether a batch was delivered: the type of a field can no longer change from integers to floating-point numbers.
    settled: bool,
    lines: u64,
    pub rows: u64,
}

impl NdjsonReader {
    /// Reads up to the first rows, from which the schema is inferred.
    pub fn open(input: Input, selection: Selection) -> Result<Self> {
        let mut reader = Self {
            input,
            selection,
            filled: 0,
            buffer: Vec::new(),
            ended: false,
            schema: Batch::new().schema().clone(),
            accepts: Vec::new(),
            settled: false,
            lines: 0,
            rows: 0,
        };
        if reader.selection.infers() {
            reader.fill(reader.selection.first_block.max(BLOCK_BYTES))?;
        }
        loop {
            let block = reader.block()?;
            if let Some((schema, accepts)) = reader.schema_of(block)? {
                (reader.schema, reader.accepts) = (Arc::new(schema), accepts);
                break;
            }
            if block == 0 {
                break;
            }
            reader.skip(block);
        }
        Ok(reader)
    }

    /// The schema inferred from the next block, and what each field accepts; None where the block has no rows.
    fn schema_of(&self, block: usize) -> Result<Option<(Schema, Vec<Accepts>)>> {
        let bytes = &self.buffer[..block];
        let mut rows = lines(bytes).filter(|(_, start, end)| !blank(&bytes[*start..*end])).peekable();
        let Some(&(number, ..)) = rows.peek() else { return Ok(None) };
        let found = infer::schema(rows.map(|(_, start, end)| &bytes[start..end]), &self.selection);
        let (schema, booleans) = found.map_err(|e| self.location(number).error(e))?;
        let fields = schema.fields().iter().zip(booleans);
        let accepts = fields.map(|(field, booleans)| Accepts::of(&field.name, booleans, &self.selection)).collect();
        Ok(Some((schema, accepts)))
    }

    pub fn source(&self) -> &Arc<str> {
        self.input.shared_name()
    }

    fn location(&self, line_of_block: u64) -> Location {
        Location::line(self.input.shared_name(), self.lines + line_of_block)
    }

    /// The rows of the next block of lines; false at end of input.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            let block = self.block()?;
            if block == 0 {
                return Ok(false);
            }
            self.parse_block(block, batch)?;
            self.settled |= batch.rows() > 0;
            if batch.rows() > 0 {
                return Ok(true);
            }
        }
    }

    /// Reads until there is a whole line; returns the length of all whole lines, 0 at end of input.
    fn block(&mut self) -> Result<usize> {
        loop {
            if let Some(newline) = memchr::memrchr(b'\n', &self.buffer[..self.filled]) {
                return Ok(newline + 1);
            }
            if self.ended {
                return Ok(self.filled);
            }
            let limit = self.selection.max_row_bytes.unwrap_or(MAX_LINE_BYTES);
            if self.filled > limit {
                return Err(self.location(1).error(Error::LongRow { what: "line", limit, remedy: "" }));
            }
            self.read_more()?;
        }
    }

    /// Reads until the buffer has `bytes`, or the input ends: inferred types must not depend on how the bytes arrive.
    fn fill(&mut self, bytes: usize) -> Result<()> {
        while self.filled < bytes && !self.ended {
            self.read_more()?;
        }
        Ok(())
    }

    fn read_more(&mut self) -> Result<()> {
        if self.buffer.len() < self.filled + BLOCK_BYTES {
            self.buffer.resize((2 * self.filled).max(self.filled + BLOCK_BYTES), 0);
        }
        let read = self.input.read_some(&mut self.buffer[self.filled..])?;
        self.filled += read;
        self.ended = read == 0;
        Ok(())
    }

    /// Drops a block of blank lines.
    fn skip(&mut self, block: usize) {
        self.lines += lines(&self.buffer[..block]).count() as u64;
        self.buffer.copy_within(block..self.filled, 0);
        self.filled -= block;
    }

    /// Moves the block into the batch and parses its lines.
    fn parse_block(&mut self, block: usize, batch: &mut Batch) -> Result<()> {
        self.check_utf8(block)?;
        let mut text = batch.text.take().unwrap_or_default();
        let rest = self.filled - block;
        mem::swap(&mut text.bytes, &mut self.buffer);
        if self.buffer.len() < rest {
            self.buffer.resize(rest.max(BLOCK_BYTES), 0);
        }
        self.buffer[..rest].copy_from_slice(&text.bytes[block..block + rest]);
        self.filled = rest;

        text.lines.clear();
        let mut count = 0;
        for (number, start, end) in lines(&text.bytes[..block]) {
            count = number;
            if !blank(&text.bytes[start..end]) {
                text.lines.push(Line { number: self.lines + number, start, close: 0, end });
            }
        }
        self.parse_lines(&mut text, batch)?;
        self.lines += count;
        self.rows += batch.rows() as u64;
        batch.text = Some(text);
        Ok(())
    }

    /// Parses every line; once more with a floating-point field where the first batch has fractions in an integer field.
    fn parse_lines(&mut self, text: &mut Text, batch: &mut Batch) -> Result<()> {
        while let Some(index) = self.try_lines(text, batch)? {
            self.schema = Arc::new(widened(&self.schema, index, self.selection.float));
        }
        Ok(())
    }

    /// Parses every line; returns the index of an integer field with a fraction, which must become floating-point.
    fn try_lines(&self, text: &mut Text, batch: &mut Batch) -> Result<Option<usize>> {
        let schema = &self.schema;
        let fields = schema.fields().len();
        text.spans.resize(text.lines.len() * fields, (0, 0));
        text.edited.clear();
        text.edited.resize(fields, false);
        batch.start_packed(self.input.shared_name(), schema, self.rows, text.lines.len());
        let (packed, heap) = batch.parts();
        let rows = packed.chunks_exact_mut(schema.row_bytes()).zip(text.spans.chunks_exact_mut(fields));
        for (line, (row, spans)) in text.lines.iter_mut().zip(rows) {
            let bytes = &text.bytes[line.start..line.end];
            match row::parse(bytes, (schema, &self.accepts), &self.selection, row, heap, spans) {
                Ok(close) => line.close = line.start + close,
                Err(RowError::NotAnInteger(index)) if !self.settled => return Ok(Some(index)),
                Err(error) => {
                    return Err(Location::line(self.input.shared_name(), line.number).error(describe(error, schema)));
                }
            }
            spans.iter_mut().for_each(|span| *span = (span.0 + line.start, span.1 + line.start));
        }
        Ok(None)
    }

    fn check_utf8(&self, block: usize) -> Result<()> {
        let bytes = &self.buffer[..block];
        simdutf8::compat::from_utf8(bytes).map(drop).map_err(|e| {
            let before = &bytes[..e.valid_up_to()];
            let line = memchr::memchr_iter(b'\n', before).count() as u64 + 1;
            let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
            self.location(line).error(Error::Json(format!("not UTF-8 (column {column})")))
        })
    }
}

fn describe(error: RowError, schema: &Schema) -> Error {
    match error {
        RowError::Invalid(error) => error,
        RowError::NotAnInteger(index) => {
            let name = &schema.fields()[index].name;
            Error::Json(format!(
                "field {name:?} held integers so far, and no integer stands here; write the integers as 1.0"
            ))
        }
    }
}

/// The schema with field `index` as floating-point numbers.
fn widened(schema: &Schema, index: usize, float: DType) -> Schema {
    let mut fields: Vec<Field> = schema.fields().to_vec();
    fields[index].dtype = float;
    Schema::new(fields).expect("an i8 field is never smaller than the float that replaces it")
}

/// The lines of a block: their number from 1, and where they start and end.
fn lines(block: &[u8]) -> impl Iterator<Item = (u64, usize, usize)> + '_ {
    let last = (block.last() != Some(&b'\n')).then_some(block.len());
    let mut start = 0;
    memchr::memchr_iter(b'\n', block).chain(last).zip(1..).map(move |(end, number)| {
        let line = (number, start, end);
        start = end + 1;
        line
    })
}

fn blank(line: &[u8]) -> bool {
    Cursor::new(line).peek().is_none()
}
