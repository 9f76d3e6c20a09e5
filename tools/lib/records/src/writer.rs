//! Writing a stream in either encoding.

use crate::{Batch, Encoding, Output, Result, Schema, ndjson::NdjsonFormat, npy::Header};
use std::sync::Arc;

/// A stream of rows being written. Its schema is that of the first batch.
pub struct Writer {
    output: Output,
    encoding: Encoding,
    /// The number of rows to come, where the tool knows it.
    total: Option<u64>,
    stream: Option<Stream>,
    buffer: Vec<u8>,
}

/// What is known once there is a first batch.
struct Stream {
    schema: Arc<Schema>,
    ndjson: NdjsonFormat,
    rows: u64,
    /// Rows that the current array's header still promises.
    promised: u64,
}

impl Writer {
    /// Writes to `output` in `encoding`. `total` is the number of rows, if it is known ahead.
    pub fn new(output: Output, encoding: Encoding, total: Option<u64>) -> Self {
        Self { output, encoding, total, stream: None, buffer: Vec::new() }
    }

    /// Writes the rows of `batch`.
    ///
    /// # Errors
    /// What the operating system says; in NDJSON, a value that JSON has no number for.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let stream = self.stream.get_or_insert_with(|| Stream::new(batch.schema()));
        if stream.schema != *batch.schema() {
            return Err(batch.place(0).error(format!("rows changed from {} to {}", stream.schema, batch.schema())));
        }
        self.buffer.clear();
        match self.encoding {
            Encoding::Ndjson => {
                stream.ndjson.append(batch, &mut self.buffer)?;
                self.output.write_all(&self.buffer)?;
            }
            Encoding::Npy => {
                if let Some(rows) = stream.next_header(batch, self.total, self.output.can_patch()) {
                    self.output.write_all(&Header::format(&stream.schema, rows))?;
                }
                self.output.write_all(batch.packed())?;
                stream.promised = stream.promised.saturating_sub(batch.rows() as u64);
            }
        }
        stream.rows += batch.rows() as u64;
        Ok(())
    }

    /// Ends the stream; a file gets its name now.
    ///
    /// # Errors
    /// When the file cannot be made durable.
    pub fn finish(mut self) -> Result<()> {
        if let Some(stream) = &self.stream
            && self.encoding == Encoding::Npy
            && self.output.can_patch()
        {
            // The header keeps its length: NumPy's padding leaves room for any row count.
            self.output.patch(0, &Header::format(&stream.schema, stream.rows))?;
        }
        self.output.finish()
    }
}

impl Stream {
    fn new(schema: &Arc<Schema>) -> Self {
        Self { schema: schema.clone(), ndjson: NdjsonFormat::new(schema), rows: 0, promised: 0 }
    }

    /// The row count of the header that must come before `batch`, if one must.
    ///
    /// A file gets one header, corrected at the end. A pipe gets the arrays that the input had, so
    /// that one array in is one array out; where nobody knows a count, each batch is an array.
    fn next_header(&mut self, batch: &Batch, total: Option<u64>, can_patch: bool) -> Option<u64> {
        let rows = match (total, can_patch) {
            (Some(total), _) => (self.rows == 0).then_some(total),
            (None, true) => (self.rows == 0).then_some(0),
            (None, false) => (self.promised == 0).then(|| batch.announced.unwrap_or(batch.rows() as u64)),
        };
        if let Some(rows) = rows {
            self.promised = rows;
        }
        rows
    }
}
