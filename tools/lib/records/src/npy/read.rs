//! Reading arrays, one after the other, in batches of whole rows.

use super::{Header, MAGIC, fortran::Columns, header::header_error};
use crate::{Batch, Error, Location, ReadOptions, Result, Schema};
use files::Input;
use std::sync::Arc;

/// The size of a batch: few system calls, and it stays in the L2 cache.
pub(crate) const BATCH_BYTES: usize = 512 << 10;

/// Arrays of one dtype, back to back.
pub(crate) struct NpyReader {
    input: Input,
    header: Header,
    pub schema: Arc<Schema>,
    /// The columns of the current array, if it is in Fortran order.
    columns: Option<Columns>,
    /// Rows of the current array that are not read yet.
    remaining: u64,
    /// Rows read so far, over all arrays.
    pub rows: u64,
    announced: Option<u64>,
    plain_name: String,
    /// [`ReadOptions::fortran_bytes`]
    fortran_bytes: u64,
    /// [`ReadOptions::batch_bytes`]
    batch_bytes: usize,
}

impl NpyReader {
    /// Reads the first header.
    pub fn open(mut input: Input, options: &ReadOptions<'_>) -> Result<Self> {
        let ReadOptions { plain_name, fortran_bytes, batch_bytes, .. } = *options;
        let header = read_header(&mut input, plain_name)?;
        let mut reader = Self {
            schema: Arc::new(header.schema.clone()),
            columns: None,
            remaining: 0,
            announced: None,
            rows: 0,
            plain_name: plain_name.into(),
            fortran_bytes,
            batch_bytes,
            input,
            header: Header { rows: 0, fortran_order: false, ..header.clone() },
        };
        reader.begin(header)?;
        Ok(reader)
    }

    /// Whether the current array is plain (unstructured): its one field is named by the tool.
    pub fn is_plain(&self) -> bool {
        self.header.is_plain
    }

    pub fn source(&self) -> &Arc<str> {
        self.input.shared_name()
    }

    /// Begins an array.
    fn begin(&mut self, header: Header) -> Result<()> {
        (self.remaining, self.announced) = (header.rows, Some(header.rows));
        self.columns = match header.fortran_order {
            true => Some(Columns::open(&mut self.input, &header, self.fortran_bytes)?),
            false => None,
        };
        self.header = header;
        Ok(())
    }

    /// The next rows, about [`ReadOptions::batch_bytes`] of them; false at end of input.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        while self.remaining == 0 {
            if !self.next_array()? {
                return Ok(false);
            }
        }
        let row_bytes = self.schema.row_bytes();
        let bytes = if self.columns.is_some() { Columns::BATCH_BYTES } else { self.batch_bytes };
        let fits = (bytes / row_bytes).max(1);
        let rows = usize::try_from(self.remaining).map_or(fits, |left| left.min(fits));
        let packed = batch.start_packed(self.input.shared_name(), &self.schema, self.rows, rows);
        let filled = match &self.columns {
            Some(columns) => columns.rows(&mut self.input, self.header.rows - self.remaining, packed)?,
            None => self.input.fill(packed)?,
        };
        if filled < packed.len() {
            return Err(self.truncated(self.rows + (filled / row_bytes) as u64));
        }
        swap_big_endian(&self.schema, &self.header.big_endian, packed);
        batch.announced = self.announced.take();
        self.rows += rows as u64;
        self.remaining -= rows as u64;
        Ok(true)
    }

    /// `complete` rows precede the one that is cut off.
    fn truncated(&self, complete: u64) -> Error {
        let promised = self.rows + self.remaining;
        Location::row(self.input.shared_name(), complete).error(Error::Truncated { promised, complete })
    }

    /// Begins the next array; false at end of input.
    fn next_array(&mut self) -> Result<bool> {
        if let Some(columns) = self.columns.take() {
            columns.finish(&mut self.input)?;
        }
        let start = self.input.peek(MAGIC.len())?;
        if start.is_empty() {
            return Ok(false);
        }
        if !MAGIC.starts_with(start) && !start.starts_with(MAGIC) {
            return Err(Location::row(self.input.shared_name(), self.rows)
                .error("after the last row come bytes that are no NPY array (damaged, or two encodings mixed)"));
        }
        let next = read_header(&mut self.input, &self.plain_name)?;
        if next.schema != self.header.schema {
            return Err(Location::row(self.input.shared_name(), self.rows).error(format!(
                "an array with other fields follows: expected {}, found {}",
                self.header.schema, next.schema
            )));
        }
        self.begin(next)?;
        Ok(true)
    }
}

/// Converts the fields of packed rows that are big-endian to little-endian.
pub(super) fn swap_big_endian(schema: &Schema, big_endian: &[bool], packed: &mut [u8]) {
    for (i, _) in big_endian.iter().enumerate().filter(|(_, big)| **big) {
        let (field, offset) = (&schema.fields()[i], schema.offset(i));
        for row in packed.chunks_exact_mut(schema.row_bytes()) {
            let value = &mut row[offset..offset + field.bytes()];
            value.chunks_exact_mut(field.dtype.size()).for_each(<[u8]>::reverse);
        }
    }
}

/// Reads magic, version, length and text.
pub(super) fn read_header(input: &mut Input, plain_name: &str) -> Result<Header> {
    let mut fixed = [0; 8];
    let location = Location::whole(input.shared_name());
    let mut fill = |buffer: &mut [u8]| -> Result<()> {
        match input.fill(buffer)? == buffer.len() {
            true => Ok(()),
            false => Err(location.clone().error(header_error("the data ends within an NPY header (truncated)"))),
        }
    };
    fill(&mut fixed)?;
    let version = fixed[6];
    if !(1..=3).contains(&version) {
        return Err(location.error(Error::NpyHeader(format!("NPY version {version} is not known; 1, 2 and 3 are"))));
    }
    let mut length = vec![0; if version == 1 { 2 } else { 4 }];
    fill(&mut length)?;
    let length = Header::text_length(&length).map_err(|e| location.clone().error(e))?;
    let mut text = vec![0; length];
    fill(&mut text)?;
    Header::parse(&text, version, plain_name).map_err(|e| location.error(e))
}
