//! Reading a stream in either encoding.

use crate::{
    Batch, DType, Encoding, Input, Place, Result, Schema,
    ndjson::{NdjsonReader, Wanted},
    npy::{MAGIC, NpyReader},
};
use std::sync::Arc;

/// What a tool wants of its input.
#[derive(Debug, Clone)]
pub struct ReadOptions<'a> {
    /// Fields that must be there; in JSON, floating-point numbers also where they are written as `1`.
    pub floats: Vec<&'a str>,
    /// Parse every field of NDJSON, not only those in `floats`: what writing NPY needs.
    pub all_fields: bool,
    /// What a plain NPY array is called, which has no field names.
    pub plain_name: &'a str,
    /// The element type of NDJSON's floating-point numbers.
    pub float: DType,
    /// The field that the tool will add, which must not be there yet.
    pub adds: Option<&'a str>,
    /// The number of rows that must come, if it is known.
    pub expect_rows: Option<u64>,
}

impl<'a> ReadOptions<'a> {
    /// For a tool that needs these floating-point fields; a plain array is the first of them.
    pub fn floats(names: &[&'a str]) -> Self {
        Self {
            floats: names.to_vec(),
            all_fields: names.is_empty(),
            plain_name: names.first().copied().unwrap_or("values"),
            float: DType::F8,
            adds: None,
            expect_rows: None,
        }
    }
}

/// A stream of rows being read.
pub struct Reader {
    rows: Rows,
    expect_rows: Option<u64>,
}

enum Rows {
    Ndjson(NdjsonReader),
    Npy(NpyReader),
}

impl Reader {
    /// Recognises the encoding and reads what says how a row looks.
    ///
    /// # Errors
    /// When the input is empty, is in neither encoding, or lacks a field that the tool needs.
    pub fn open(mut input: Input, options: &ReadOptions<'_>) -> Result<Self> {
        let mut start = [0; MAGIC.len()];
        // One byte tells; a terminal or a slow pipe is not kept waiting for six.
        let filled = input.fill(&mut start[..1])?;
        if filled == 0 {
            return Err(Place::whole(&input.name).error("no rows: the input is empty"));
        }
        let rows = match start[0] {
            first if first == MAGIC[0] => {
                let filled = 1 + input.fill(&mut start[1..])?;
                if start[..filled] != MAGIC[..filled] {
                    return Err(NdjsonReader::garbage(&input, first));
                }
                Rows::Npy(NpyReader::open(input, &start[..filled], options.plain_name)?)
            }
            b'{' | b' ' | b'\t' | b'\r' | b'\n' => {
                let wanted = Wanted {
                    floats: options.floats.iter().map(ToString::to_string).collect(),
                    all: options.all_fields,
                    float: options.float,
                    adds: options.adds.map(ToString::to_string),
                };
                Rows::Ndjson(NdjsonReader::open(input, &start[..1], wanted)?)
            }
            first => return Err(NdjsonReader::garbage(&input, first)),
        };
        let reader = Self { rows, expect_rows: options.expect_rows };
        if reader.encoding() == Encoding::Npy {
            reader.check_fields(options)?;
        }
        Ok(reader)
    }

    fn check_fields(&self, options: &ReadOptions<'_>) -> Result<()> {
        let place = || Place::whole(self.source());
        for name in &options.floats {
            self.schema().index_of(name).map_err(|e| place().error(e))?;
        }
        match options.adds {
            Some(name) if self.schema().index_of(name).is_ok() => Err(place().error(already_there(name))),
            _ => Ok(()),
        }
    }

    /// The encoding of the input.
    pub fn encoding(&self) -> Encoding {
        match &self.rows {
            Rows::Ndjson(_) => Encoding::Ndjson,
            Rows::Npy(_) => Encoding::Npy,
        }
    }

    /// What every row looks like. In NDJSON an integer field may turn out to be floating-point in
    /// the first batch.
    pub fn schema(&self) -> &Arc<Schema> {
        match &self.rows {
            Rows::Ndjson(rows) => &rows.schema,
            Rows::Npy(rows) => &rows.schema,
        }
    }

    /// What messages call the input.
    pub fn source(&self) -> &Arc<str> {
        match &self.rows {
            Rows::Ndjson(rows) => rows.source(),
            Rows::Npy(rows) => rows.source(),
        }
    }

    /// Fills `batch` with the next rows; false at end of input.
    ///
    /// # Errors
    /// One line saying where and what: damaged or truncated data, no rows at all, or another number
    /// of rows than expected.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let (more, rows) = match &mut self.rows {
            Rows::Ndjson(reader) => (reader.read(batch)?, reader.rows),
            Rows::Npy(reader) => (reader.read(batch)?, reader.rows),
        };
        let place = || Place::whole(self.source());
        match self.expect_rows {
            _ if !more && rows == 0 => Err(place().error("no rows")),
            Some(expected) if rows > expected || (!more && rows < expected) => {
                let found = if more { format!("more than {expected}") } else { rows.to_string() };
                Err(place().error(format!("expected {expected} rows, found {found}")))
            }
            _ => Ok(more),
        }
    }
}

/// The message that a field which a tool adds exists.
pub(crate) fn already_there(name: &str) -> String {
    format!("field {name:?} is already there; choose another name with --out-field")
}
