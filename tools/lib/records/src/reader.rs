//! Reading a stream in any encoding.

use crate::{
    Batch, DType, Encoding, Place, Result, Schema,
    csv::CsvReader,
    format::{self, Format},
    ndjson::NdjsonReader,
    npy::NpyReader,
    wanted::Wanted,
};
use files::Input;
use std::{path::Path, sync::Arc};

/// Most bytes of an array in Fortran order that a pipe may bring, where no setting says.
const FORTRAN_BYTES: u64 = 1 << 30;

/// What a tool wants of its input.
#[derive(Debug, Clone)]
pub struct ReadOptions<'a> {
    /// Fields that must be there and hold numbers; in text, floating-point ones also where they are written as `1`.
    pub floats: Vec<&'a str>,
    /// Fields that must be there and hold numbers, likewise, or text.
    pub any: Vec<&'a str>,
    /// Fields that must be there and are read as text, whatever they look like: a number as it is written.
    pub texts: Vec<&'a str>,
    /// Whether values of these fields may be missing: NaN, or an empty text.
    pub missing: bool,
    /// Read every other scalar of NDJSON and CSV as text too, as it is written; an empty text where it is none.
    pub others_as_text: bool,
    /// Parse every field of NDJSON and CSV, not only those named.
    pub all_fields: bool,
    /// The encoding that the rows will be written in, if it is known: another one than theirs needs every field.
    pub to: Option<Encoding>,
    /// What a plain NPY array is called, which has no field names.
    pub plain_name: &'a str,
    /// The element type of floating-point numbers in NDJSON and CSV: `f4` or `f8`.
    pub float: DType,
    /// The fields that the tool will add, which must not be there yet, each with what gives it another name.
    pub adds: Vec<(&'a str, &'a str)>,
    /// What a person does about a field that is not there: for instance the setting that names it.
    pub remedies: Vec<(&'a str, String)>,
    /// Bytes of the first rows, at least, that say the types of fields; half a megabyte is the least.
    pub first_block: usize,
    /// Fail unless so many rows are read.
    pub expect_rows: Option<u64>,
    /// What stands between the cells of CSV; None is a tab for a `.tsv` file, otherwise a comma.
    pub delimiter: Option<u8>,
    /// Most bytes of an array in Fortran order that comes over a pipe, and so is held in memory.
    pub fortran_bytes: u64,
}

impl<'a> ReadOptions<'a> {
    /// For a tool that needs these floating-point fields; a plain array is the first of them.
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
            fortran_bytes: FORTRAN_BYTES,
        }
    }

    /// For a tool that needs these fields, be they numbers or text; a plain array is the first of them.
    pub fn any(names: &[&'a str]) -> Self {
        Self { any: names.to_vec(), floats: Vec::new(), ..Self::floats(names) }
    }

    /// What is parsed of rows that came as NDJSON, or else as CSV.
    fn wanted(&self, ndjson: bool) -> Wanted {
        let as_it_came = |to: Encoding| match to {
            Encoding::Ndjson => ndjson,
            Encoding::Csv { .. } => !ndjson,
            Encoding::Npy => false,
        };
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Wanted {
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
            first_block: self.first_block,
        }
    }

    /// What stands between the cells of CSV from an input of this name.
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
    /// Recognises the encoding and reads what says how a row looks.
    ///
    /// # Errors
    /// When the input is empty, is in another format, or lacks a field that the tool needs.
    pub fn open(mut input: Input, options: &ReadOptions<'_>) -> Result<Self> {
        let rows = match format::sniff(&mut input)? {
            Format::Npy => Rows::Npy(NpyReader::open(input, options.plain_name, options.fortran_bytes)?),
            Format::Ndjson => Rows::Ndjson(NdjsonReader::open(input, options.wanted(true))?),
            Format::Csv => {
                let delimiter = options.delimiter_of(input.name());
                Rows::Csv(Box::new(CsvReader::open(input, delimiter, options.wanted(false))?))
            }
        };
        let reader = Self { rows, expect_rows: options.expect_rows };
        if reader.encoding() == Encoding::Npy {
            reader.check_fields(options)?;
        }
        Ok(reader)
    }

    fn check_fields(&self, options: &ReadOptions<'_>) -> Result<()> {
        let place = || Place::whole(self.source());
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
            found.map_err(|e| place().error(e + &remedy_of(name).unwrap_or_default()))?;
        }
        match options.adds.iter().find(|(name, _)| self.schema().index_of(name).is_ok()) {
            Some((name, remedy)) => Err(place().error(already_there(name, remedy))),
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

    /// What every row looks like. In NDJSON an integer field may turn out to be floating-point in
    /// the first batch.
    pub fn schema(&self) -> &Arc<Schema> {
        match &self.rows {
            Rows::Ndjson(rows) => &rows.schema,
            Rows::Npy(rows) => &rows.schema,
            Rows::Csv(rows) => &rows.schema,
        }
    }

    /// What messages call the input.
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
    /// One line saying where and what: damaged or truncated data, no rows at all, or another number
    /// of rows than expected.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let (more, rows) = match &mut self.rows {
            Rows::Ndjson(reader) => (reader.read(batch)?, reader.rows),
            Rows::Npy(reader) => (reader.read(batch)?, reader.rows),
            Rows::Csv(reader) => (reader.read(batch)?, reader.rows),
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

/// What to do about a field that is not there: `key` is the setting or flag that names it.
pub fn chosen_by(key: &str) -> String {
    format!("choose another with {key}")
}

/// The message that a field which a tool adds exists.
pub(crate) fn already_there(name: &str, remedy: &str) -> String {
    format!("field {name:?} is already there; choose another name with {remedy}")
}
