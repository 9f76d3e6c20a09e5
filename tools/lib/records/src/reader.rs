//! Reading a stream in any encoding.

use crate::{
    Batch, DType, Encoding, Error, Location, Result, Schema,
    csv::{CsvReader, delimiter_flag},
    format::{self, Format},
    ndjson::NdjsonReader,
    npy::NpyReader,
    selection::Selection,
};
use files::Input;
use std::{path::Path, sync::Arc};

/// Default of [`ReadOptions::fortran_bytes`].
const FORTRAN_BYTES: u64 = 1 << 30;

/// Which fields a tool needs of its input, and how they are parsed.
#[derive(Debug, Clone)]
pub struct ReadOptions<'a> {
    /// Required fields of numbers; in NDJSON and CSV parsed as [`ReadOptions::float`], also where they look like integers.
    pub floats: Vec<&'a str>,
    /// Required fields of numbers, likewise, or of text.
    pub any: Vec<&'a str>,
    /// Required fields that are parsed as text, whatever they look like.
    pub texts: Vec<&'a str>,
    /// Whether values of required fields may be missing: they are NaN, or an empty text.
    pub missing: bool,
    /// Parse every other scalar of NDJSON and CSV as text too; what is no scalar becomes an empty text.
    pub others_as_text: bool,
    /// Parse every other field of NDJSON and CSV too, with the type that it looks like.
    pub all_fields: bool,
    /// The encoding that the rows will be written in, if known: converting to another encoding needs every field.
    pub to: Option<Encoding>,
    /// The field name of a plain (unstructured) NPY array.
    pub plain_name: &'a str,
    /// The element type of floating-point numbers in NDJSON and CSV: `f2`, `f4` or `f8` (default).
    pub float: DType,
    /// The fields that the tool will add, each with the option that names it. An input that already has one is an error.
    pub adds: Vec<(&'a str, &'a str)>,
    /// What to do about a missing field, by field: for instance the setting that names it.
    pub remedies: Vec<(&'a str, String)>,
    /// Bytes of the first rows, at least, that types are inferred from. Default and minimum: 512 KiB.
    pub first_block: usize,
    /// Fail unless exactly this many rows are read.
    pub expect_rows: Option<u64>,
    /// The delimiter of CSV. None: a tab for a `.tsv` file, otherwise a comma.
    pub delimiter: Option<u8>,
    /// How messages write the option that sets another delimiter. Default: [`crate::delimiter_flag`].
    pub delimiter_option: fn(u8) -> String,
    /// The largest array in Fortran order that is read from a pipe: it is held in memory. Default: 1 GiB.
    pub fortran_bytes: u64,
    /// The longest row: bytes of a line of NDJSON, of the cells of CSV, of a packed row of NPY. None: 1 GiB of NDJSON, 256 MiB of
    /// the others.
    pub max_row_bytes: Option<usize>,
    /// Bytes of a batch of NPY in C order, at most, where a row is not longer. Default: 512 KiB.
    pub batch_bytes: usize,
}

impl<'a> ReadOptions<'a> {
    /// Requires these fields, of numbers; a plain array is the first of them. Without names, every field is parsed.
    pub fn floats(names: &[&'a str]) -> Self {
        Self {
            floats: names.to_vec(),
            any: Vec::new(),
            texts: Vec::new(),
            missing: false,
            others_as_text: false,
            all_fields: names.is_empty(),
            to: None,
            plain_name: names.first().copied().unwrap_or("values"),
            float: DType::F8,
            adds: Vec::new(),
            remedies: Vec::new(),
            first_block: 0,
            expect_rows: None,
            delimiter: None,
            delimiter_option: delimiter_flag,
            fortran_bytes: FORTRAN_BYTES,
            max_row_bytes: None,
            batch_bytes: crate::npy::BATCH_BYTES,
        }
    }

    /// Requires these fields, of numbers or text; a plain array is the first of them.
    pub fn any(names: &[&'a str]) -> Self {
        Self { any: names.to_vec(), floats: Vec::new(), ..Self::floats(names) }
    }

    /// The fields that are parsed of NDJSON, or otherwise of CSV.
    fn selection(&self, ndjson: bool) -> Selection {
        let as_it_came = |to: Encoding| match to {
            Encoding::Ndjson => ndjson,
            Encoding::Csv { .. } => !ndjson,
            Encoding::Npy => false,
        };
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Selection {
            floats: owned(&self.floats),
            any: owned(&self.any),
            texts: owned(&self.texts),
            others: self.others_as_text,
            all: self.all_fields || self.to.is_some_and(|to| !as_it_came(to)),
            float: self.float,
            adds: self.adds.iter().map(|(name, remedy)| (name.to_string(), remedy.to_string())).collect(),
            remedies: self.remedies.iter().map(|(name, remedy)| (name.to_string(), remedy.clone())).collect(),
            missing: self.missing,
            exact: self.all_fields || self.to == Some(Encoding::Npy),
            delimiter_option: self.delimiter_option,
            first_block: self.first_block,
            max_row_bytes: self.max_row_bytes,
        }
    }

    /// The delimiter of CSV from an input of this name.
    fn delimiter_of(&self, name: &str) -> u8 {
        match (self.delimiter, Encoding::of_path(Path::new(name))) {
            (Some(delimiter), _) | (None, Some(Encoding::Csv { delimiter })) => delimiter,
            _ => b',',
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
    Csv(Box<CsvReader>),
}

impl Reader {
    /// Detects the encoding, and reads or infers the schema.
    ///
    /// # Errors
    /// When the input is empty, is in another format, or lacks a required field.
    pub fn open(mut input: Input, options: &ReadOptions<'_>) -> Result<Self> {
        let rows = match format::sniff(&mut input)? {
            Format::Npy => Rows::Npy(NpyReader::open(input, options)?),
            Format::Ndjson => Rows::Ndjson(NdjsonReader::open(input, options.selection(true))?),
            Format::Csv => {
                let delimiter = options.delimiter_of(input.name());
                Rows::Csv(Box::new(CsvReader::open(input, delimiter, options.selection(false))?))
            }
        };
        let reader = Self { rows, expect_rows: options.expect_rows };
        if reader.encoding() == Encoding::Npy {
            reader.check_fields(options)?;
            let (bytes, limit) = (reader.schema().row_bytes(), options.max_row_bytes.unwrap_or(usize::MAX));
            if bytes > limit {
                return Err(Location::whole(reader.source()).error(Error::LongRow { what: "row", limit, remedy: "" }));
            }
        }
        Ok(reader)
    }

    fn check_fields(&self, options: &ReadOptions<'_>) -> Result<()> {
        let location = || Location::whole(self.source());
        let plain = match &self.rows {
            Rows::Npy(rows) if rows.is_plain() => ": a plain array is one field; save named columns as CSV (to_csv)",
            _ => "",
        };
        let remedy_of = |name: &str| match plain {
            "" => options.remedies.iter().find(|(field, _)| *field == name).map(|(_, remedy)| format!("; {remedy}")),
            plain => Some(plain.to_owned()),
        };
        for name in options.floats.iter().chain(&options.any).chain(&options.texts) {
            let found = self.schema().index_of(name);
            found.map_err(|e| location().error(e.with_remedy(&remedy_of(name).unwrap_or_default())))?;
        }
        match options.adds.iter().find(|(name, _)| self.schema().index_of(name).is_ok()) {
            Some((name, remedy)) => Err(location().error(already_there(name, remedy))),
            None => Ok(()),
        }
    }

    /// The encoding of the input.
    pub fn encoding(&self) -> Encoding {
        match &self.rows {
            Rows::Ndjson(_) => Encoding::Ndjson,
            Rows::Npy(_) => Encoding::Npy,
            Rows::Csv(rows) => Encoding::Csv { delimiter: rows.delimiter() },
        }
    }

    /// The schema. In NDJSON, a field of integers may change to floating-point with the first batch.
    pub fn schema(&self) -> &Arc<Schema> {
        match &self.rows {
            Rows::Ndjson(rows) => &rows.schema,
            Rows::Npy(rows) => &rows.schema,
            Rows::Csv(rows) => &rows.schema,
        }
    }

    /// The name of the input, for messages.
    pub fn source(&self) -> &Arc<str> {
        match &self.rows {
            Rows::Ndjson(rows) => rows.source(),
            Rows::Npy(rows) => rows.source(),
            Rows::Csv(rows) => rows.source(),
        }
    }

    /// Fills `batch` with the next rows; false at end of input.
    ///
    /// # Errors
    /// When the data is damaged or truncated ([`Error::Truncated`]), there is no row, or another number of rows than expected.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let (more, rows) = match &mut self.rows {
            Rows::Ndjson(reader) => (reader.read(batch)?, reader.rows),
            Rows::Npy(reader) => (reader.read(batch)?, reader.rows),
            Rows::Csv(reader) => (reader.read(batch)?, reader.rows),
        };
        let location = || Location::whole(self.source());
        match self.expect_rows {
            _ if !more && rows == 0 => Err(location().error(Error::NoRows(""))),
            Some(expected) if rows > expected || (!more && rows < expected) => {
                let found = if more { format!("more than {expected}") } else { rows.to_string() };
                Err(location().error(Error::RowCount { expected, found }))
            }
            _ => Ok(more),
        }
    }
}

/// The remedy for a missing field whose name is set by `key`, a setting or flag.
pub fn chosen_by(key: &str) -> String {
    format!("choose another with {key}")
}

/// The error that a field which the tool adds exists.
pub(crate) fn already_there(name: &str, option: &str) -> Error {
    Error::FieldExists { name: name.to_owned(), option: option.to_owned() }
}
