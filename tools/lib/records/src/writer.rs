//! Writing a stream in any encoding.

use crate::{Batch, DType, Encoding, Result, Schema, csv::CsvFormat, ndjson::NdjsonFormat, npy::Header};
use files::Output;
use std::sync::Arc;

/// A stream of rows being written. Its schema is that of the first batch.
pub struct Writer {
    output: Output,
    encoding: Encoding,
    /// The number of rows of the stream, if known ahead.
    total: Option<u64>,
    stream: Option<Stream>,
    buffer: Vec<u8>,
}

/// The format, which depends on the first batch.
enum Stream {
    Ndjson(Arc<Schema>, NdjsonFormat),
    Npy(Arrays),
    Csv(CsvFormat),
}

/// Arrays of one dtype, back to back.
struct Arrays {
    schema: Arc<Schema>,
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
    /// I/O errors; in NDJSON, NaN or infinity in a field that the tool set; in NPY, a text.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => empty.insert(Stream::new(batch, self.encoding)?),
        };
        self.buffer.clear();
        match stream {
            Stream::Ndjson(schema, format) => {
                check_same(schema, batch)?;
                format.append(batch, &mut self.buffer)?;
                Ok(self.output.write_all(&self.buffer)?)
            }
            Stream::Csv(format) => {
                format.check(batch)?;
                format.append(batch, &mut self.buffer)?;
                Ok(self.output.write_all(&self.buffer)?)
            }
            Stream::Npy(arrays) => {
                check_same(&arrays.schema, batch)?;
                if let Some(rows) = arrays.next_header(batch, self.total, self.output.can_patch()) {
                    self.output.write_all(&Header::format(&arrays.schema, rows))?;
                }
                self.output.write_all(batch.packed())?;
                arrays.promised = arrays.promised.saturating_sub(batch.rows() as u64);
                arrays.rows += batch.rows() as u64;
                Ok(())
            }
        }
    }

    /// The fields that CSV cannot hold, as `name dtype[shape]`: those that are no scalars.
    pub fn omitted_fields(&self) -> &[String] {
        match &self.stream {
            Some(Stream::Csv(format)) => &format.omitted_fields,
            _ => &[],
        }
    }

    /// Ends the stream: corrects the header of an NPY file, and renames the file to its final name.
    ///
    /// # Errors
    /// As of [`Output::finish`].
    pub fn finish(mut self) -> Result<()> {
        if let Some(Stream::Npy(arrays)) = &self.stream
            && self.output.can_patch()
        {
            // The header keeps its length: NumPy's padding leaves room for any row count.
            self.output.patch(0, &Header::format(&arrays.schema, arrays.rows))?;
        }
        Ok(self.output.finish()?)
    }
}

impl Stream {
    fn new(batch: &Batch, encoding: Encoding) -> Result<Self> {
        let schema = batch.schema().clone();
        Ok(match encoding {
            Encoding::Ndjson => Self::Ndjson(schema.clone(), NdjsonFormat::new(&schema)),
            Encoding::Csv { delimiter } => Self::Csv(CsvFormat::new(batch, delimiter)),
            Encoding::Npy => match schema.fields().iter().find(|field| field.dtype == DType::Text) {
                Some(field) => {
                    let name = &field.name;
                    return Err(batch.error(format!("field {name:?} holds text, which NPY cannot carry (--to csv)")));
                }
                None => Self::Npy(Arrays { schema, rows: 0, promised: 0 }),
            },
        })
    }
}

fn check_same(schema: &Schema, batch: &Batch) -> Result<()> {
    match *schema == **batch.schema() {
        true => Ok(()),
        false => Err(batch.location(0).error(format!("rows changed from {schema} to {}", batch.schema()))),
    }
}

impl Arrays {
    /// The row count for the header before `batch`, or None where none is due.
    ///
    /// A file gets one header, corrected at the end. A pipe gets the arrays that the input had, so that one array in is one
    /// array out. Without a count, each batch is an array.
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
