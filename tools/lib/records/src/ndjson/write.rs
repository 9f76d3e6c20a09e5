//! Writing rows as NDJSON.

use super::cursor::Cursor;
use crate::{
    Batch, DType, Field, Result, Schema,
    csv::is_missing,
    source_text::{Cells, Text, TextSpan},
};
use half::f16;
use std::sync::Arc;

/// The schema, and its names as JSON keys.
pub(crate) struct NdjsonFormat {
    schema: Arc<Schema>,
    /// `"name":` for each field.
    keys: Vec<String>,
    /// Whether NaN of the current field is written as null.
    nulls: bool,
    float: zmij::Buffer,
    integer: itoa::Buffer,
}

/// A packed row, and the heap of its texts.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// Its index in the batch.
    number: usize,
    bytes: &'a [u8],
    heap: &'a [u8],
}

/// A floating-point value that JSON has no number for.
struct NotFinite;

impl NdjsonFormat {
    pub fn new(schema: &Arc<Schema>) -> Self {
        let key = |field: &Field| format!("{}:", serde_json::Value::from(field.name.as_str()));
        Self {
            schema: schema.clone(),
            keys: schema.fields().iter().map(key).collect(),
            nulls: false,
            float: zmij::Buffer::new(),
            integer: itoa::Buffer::new(),
        }
    }

    /// Adds the lines of `batch` to `out`.
    pub fn append(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Result<()> {
        let heap = &batch.heap;
        for (i, row) in batch.packed().chunks_exact(self.schema.row_bytes()).enumerate() {
            let row = Row { number: i, bytes: row, heap };
            let printed = match &batch.text {
                Some(text) => self.edited_line(text, i, row, out),
                None => self.line(batch, row, out),
            };
            printed.map_err(|(field, NotFinite)| {
                let name = &self.schema.fields()[field].name;
                batch
                    .location(i)
                    .error(format!("field {name:?} is NaN or infinite, which JSON cannot say (use --to npy or csv)"))
            })?;
        }
        Ok(())
    }

    fn line(&mut self, batch: &Batch, row: Row<'_>, out: &mut Vec<u8>) -> std::result::Result<(), (usize, NotFinite)> {
        for index in 0..self.keys.len() {
            out.push(if index == 0 { b'{' } else { b',' });
            out.extend_from_slice(self.keys[index].as_bytes());
            let start = out.len();
            let cell = batch.cells.as_ref().filter(|_| batch.is_parsed(index));
            if cell.is_some_and(|cells| as_written(cells, row.number, index, self.schema.fields()[index].dtype, out)) {
                continue;
            }
            out.truncate(start);
            self.nulls = batch.is_as_read(index);
            let printed = self.value(index, row, out);
            self.nulls = false;
            printed.map_err(|e| (index, e))?;
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// The line as it was read, with the values that the tool has set replaced, and new fields at the end.
    fn edited_line(
        &mut self,
        text: &Text,
        index: usize,
        row: Row<'_>,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), (usize, NotFinite)> {
        let line = &text.lines[index];
        let parsed = text.edited.len();
        let spans = &text.spans[index * parsed..(index + 1) * parsed];
        // A line may have its fields in another order than the first line.
        let mut edits: Vec<usize> = (0..parsed).filter(|&field| text.edited[field]).collect();
        edits.sort_by_key(|&field| spans[field]);
        let mut done = line.start;
        for field in edits {
            out.extend_from_slice(&text.bytes[done..spans[field].0]);
            self.value(field, row, out).map_err(|e| (field, e))?;
            done = spans[field].1;
        }
        out.extend_from_slice(&text.bytes[done..line.close]);
        // The line has a parsed field, so the object is not empty.
        for field in parsed..self.keys.len() {
            out.push(b',');
            out.extend_from_slice(self.keys[field].as_bytes());
            self.value(field, row, out).map_err(|e| (field, e))?;
        }
        out.extend_from_slice(&text.bytes[line.close..line.end]);
        out.push(b'\n');
        Ok(())
    }

    fn value(&mut self, index: usize, row: Row<'_>, out: &mut Vec<u8>) -> std::result::Result<(), NotFinite> {
        let schema = self.schema.clone();
        let (field, offset) = (&schema.fields()[index], schema.offset(index));
        let bytes = &row.bytes[offset..offset + field.bytes()];
        if field.dtype == DType::Text {
            text(load::<TextSpan>(bytes).of(row.heap), out);
            return Ok(());
        }
        self.tensor(field.dtype, &field.shape, bytes, out)
    }

    fn tensor(
        &mut self,
        dtype: DType,
        dims: &[usize],
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), NotFinite> {
        let Some((&dim, inner)) = dims.split_first() else {
            return self.scalar(dtype, bytes, out);
        };
        let separators = std::iter::once(b'[').chain(std::iter::repeat(b','));
        for (value, separator) in bytes.chunks_exact(bytes.len() / dim).zip(separators) {
            out.push(separator);
            self.tensor(dtype, inner, value, out)?;
        }
        out.push(b']');
        Ok(())
    }

    #[inline]
    fn scalar(&mut self, dtype: DType, bytes: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), NotFinite> {
        match dtype {
            DType::I1 => out.extend_from_slice(self.integer.format(bytes[0] as i8).as_bytes()),
            DType::I2 => out.extend_from_slice(self.integer.format(load::<i16>(bytes)).as_bytes()),
            DType::U1 => out.extend_from_slice(self.integer.format(bytes[0]).as_bytes()),
            DType::U2 => out.extend_from_slice(self.integer.format(load::<u16>(bytes)).as_bytes()),
            DType::U4 => out.extend_from_slice(self.integer.format(load::<u32>(bytes)).as_bytes()),
            DType::U8 => out.extend_from_slice(self.integer.format(load::<u64>(bytes)).as_bytes()),
            // Written by `value`.
            DType::Text => {}
            DType::B1 => out.extend_from_slice(if bytes[0] == 0 { b"false" } else { b"true" }),
            DType::I4 => out.extend_from_slice(self.integer.format(load::<i32>(bytes)).as_bytes()),
            DType::I8 => out.extend_from_slice(self.integer.format(load::<i64>(bytes)).as_bytes()),
            DType::F2 => self.float32(load::<f16>(bytes).to_f32(), out)?,
            DType::F4 => self.float32(load(bytes), out)?,
            DType::F8 => {
                let value: f64 = load(bytes);
                match value.is_finite() {
                    true => out.extend_from_slice(self.float.format_finite(value).as_bytes()),
                    false => self.missing(value.is_nan(), out)?,
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn float32(&mut self, value: f32, out: &mut Vec<u8>) -> std::result::Result<(), NotFinite> {
        if !value.is_finite() {
            return self.missing(value.is_nan(), out);
        }
        out.extend_from_slice(self.float.format_finite(value).as_bytes());
        Ok(())
    }

    /// A value that is not finite: NaN is null where it stands for a missing value (`nulls`).
    fn missing(&self, is_nan: bool, out: &mut Vec<u8>) -> std::result::Result<(), NotFinite> {
        if !(is_nan && self.nulls) {
            return Err(NotFinite);
        }
        out.extend_from_slice(b"null");
        Ok(())
    }
}

/// Writes the cell that a field was parsed from, if it is JSON as it is: a number, a boolean, a missing value. False where
/// it is not.
fn as_written(cells: &Cells, row: usize, field: usize, dtype: DType, out: &mut Vec<u8>) -> bool {
    let Some(column) = cells.fields.iter().position(|of| *of == Some(field)) else { return false };
    let cell = std::str::from_utf8(cells.cell(row, column)).unwrap_or_default();
    if dtype == DType::Text {
        return false;
    }
    let written = cell.trim_ascii();
    if is_missing(written) {
        out.extend_from_slice(b"null");
    } else if cells.booleans.get(field) == Some(&true) {
        out.extend_from_slice(written.to_ascii_lowercase().as_bytes());
    } else {
        let mut cursor = Cursor::new(written.as_bytes());
        if cursor.number().is_err() || cursor.at != written.len() {
            return false;
        }
        out.extend_from_slice(written.as_bytes());
    }
    true
}

/// A text as JSON; a missing one is null.
fn text(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() => {
            // Writing to memory never fails.
            let _ = serde_json::to_writer(out, text);
        }
        _ => out.extend_from_slice(b"null"),
    }
}

/// One element; `bytes` has its size.
fn load<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> T {
    bytemuck::pod_read_unaligned(bytes)
}
