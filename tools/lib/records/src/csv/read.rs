//! Reading CSV: the header, the types of its columns, rows.

use super::{
    cells::{BLOCK_BYTES, Records},
    delimiter::other_delimiter,
    kind::{self, Kind},
};
use crate::{
    Batch, DType, Error, Field, Result, Schema,
    reader::already_there,
    selection::Selection,
    source_text::{Cells, TextSpan},
};
use files::Input;
use std::{collections::HashMap, sync::Arc};

/// Characters of a cell that a message shows.
const SHOWN_CHARS: usize = 40;

/// Rows from CSV.
pub(crate) struct CsvReader {
    records: Records,
    pub schema: Arc<Schema>,
    /// The rows that the types were inferred from, until they are delivered.
    first: Option<Cells>,
    /// The header and the selected columns; without rows.
    layout: Cells,
    /// For each field, how the cells of its column are read.
    columns: Vec<Column>,
    pub rows: u64,
}

impl CsvReader {
    /// Reads the header and the first rows, from which the types are inferred.
    pub fn open(input: Input, delimiter: u8, selection: Selection) -> Result<Self> {
        let mut records = Records::new(input, delimiter, selection.max_row_bytes);
        let Some((names, line)) = records.one()? else {
            return Err(crate::Location::whole(records.source()).error(Error::NoRows("")));
        };
        let header = check_header(names, delimiter, &selection).map_err(|e| records.location(line).error(e))?;
        if let [only] = header.as_ref()
            && let Some(other) = other_delimiter(only, delimiter)
        {
            // Decimal commas split what is one column to the header.
            records.remedy = format!("; {}?", (selection.delimiter_option)(other));
        }
        let empty = || Cells { header: header.clone(), delimiter, ..Cells::default() };
        let mut first = empty();
        if !records.block(&mut first, selection.first_block.max(BLOCK_BYTES), selection.infers())? {
            return Err(records.location(line).error(Error::NoRows(" under the header")));
        }
        let Layout { schema, fields, columns } =
            layout(&first, &selection).map_err(|e| records.location(line).error(e))?;
        let booleans = columns.iter().map(|column| column.is_boolean).collect();
        let layout = Cells { fields: fields.clone(), booleans, edited: vec![false; schema.fields().len()], ..empty() };
        first.fields = fields;
        Ok(Self { records, schema: Arc::new(schema), first: Some(first), layout, columns, rows: 0 })
    }

    pub fn source(&self) -> &Arc<str> {
        self.records.source()
    }

    /// What separates cells.
    pub fn delimiter(&self) -> u8 {
        self.layout.delimiter
    }

    /// The rows of the next block of lines; false at end of input.
    pub fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let mut cells = match (self.first.take(), batch.cells.take()) {
            (Some(first), _) => first,
            (None, used) => {
                let mut cells = used.unwrap_or_default();
                cells.header.clone_from(&self.layout.header);
                if !self.records.block(&mut cells, BLOCK_BYTES, false)? {
                    return Ok(false);
                }
                cells
            }
        };
        cells.delimiter = self.layout.delimiter;
        cells.fields.clone_from(&self.layout.fields);
        cells.booleans.clone_from(&self.layout.booleans);
        cells.edited.clone_from(&self.layout.edited);
        batch.start_packed(self.records.source(), &self.schema, self.rows, cells.lines.len());
        let (packed, heap) = batch.parts();
        for (row, values) in packed.chunks_exact_mut(self.schema.row_bytes()).enumerate() {
            self.parse(&cells, row, values, heap)?;
        }
        self.rows += cells.lines.len() as u64;
        batch.cells = Some(cells);
        Ok(true)
    }

    /// Parses the selected cells of a row into `values`.
    fn parse(&self, cells: &Cells, row: usize, values: &mut [u8], heap: &mut Vec<u8>) -> Result<()> {
        for (column, field) in cells.fields.iter().enumerate() {
            let Some(index) = *field else { continue };
            // Records are checked to be UTF-8 as they are split.
            let cell = std::str::from_utf8(cells.cell(row, column)).unwrap_or_default();
            let field = &self.schema.fields()[index];
            let value = &mut values[self.schema.offset(index)..][..field.bytes()];
            put(cell, &field.name, self.columns[index], value, heap)
                .map_err(|e| self.records.location(cells.lines[row]).error(e))?;
        }
        Ok(())
    }
}

/// How the cells of a column are parsed.
#[derive(Clone, Copy)]
struct Column {
    dtype: DType,
    /// Whether the cells are booleans, also where `dtype` is floating-point.
    is_boolean: bool,
    allows_missing: bool,
}

/// Writes a cell of the column called `name` to `value`, as packed rows have it.
fn put(cell: &str, name: &str, column: Column, value: &mut [u8], heap: &mut Vec<u8>) -> Result<()> {
    let invalid = |text: &str| Error::Csv(format!("column {name:?}{text}"));
    let Column { dtype, is_boolean, allows_missing } = column;
    if kind::is_missing(cell) && !allows_missing && (dtype != DType::Text || cell.is_empty()) {
        return Err(invalid(" is empty; a value is needed in every row"));
    }
    if kind::is_missing(cell) && matches!(dtype, DType::I8 | DType::B1) {
        return Err(invalid(&format!(
            " is empty, and the first rows have {dtype} throughout; leave one empty among those, too"
        )));
    }
    match dtype {
        DType::Text => value.copy_from_slice(bytemuck::bytes_of(&TextSpan::push(heap, cell.as_bytes())?)),
        DType::I8 => {
            let integer = kind::integer(cell).ok_or_else(|| {
                invalid(&format!(": {} is no integer, as the rows before have; write the integers as 1.0", shown(cell)))
            })?;
            value.copy_from_slice(&integer.to_le_bytes());
        }
        DType::B1 => value.copy_from_slice(&[u8::from(boolean(cell, invalid)?)]),
        float => {
            let real = match (kind::is_missing(cell), is_boolean) {
                (true, _) => f64::NAN,
                (false, true) => f64::from(u8::from(boolean(cell, invalid)?)),
                (false, false) => {
                    kind::real(cell).ok_or_else(|| invalid(&format!(": {} is no number{}", shown(cell), hint(cell))))?
                }
            };
            match float {
                DType::F4 => value.copy_from_slice(&(real as f32).to_le_bytes()),
                DType::F2 => value.copy_from_slice(&half::f16::from_f64(real).to_le_bytes()),
                _ => value.copy_from_slice(&real.to_le_bytes()),
            }
        }
    }
    Ok(())
}

fn boolean(cell: &str, invalid: impl Fn(&str) -> Error) -> Result<bool> {
    let text = || format!(": {} is neither true nor false, as the rows before are", shown(cell));
    kind::boolean(cell).ok_or_else(|| invalid(&text()))
}

/// A cell as a message shows it.
fn shown(cell: &str) -> String {
    match cell.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &cell[..end]),
        None => format!("{cell:?}"),
    }
}

/// What may be wrong with a cell that is no number.
fn hint(cell: &str) -> &'static str {
    let without = |unwanted: &[char]| cell.replace(unwanted, "");
    match () {
        () if kind::real(&without(&[',', ' ', '\'', '_', '\u{a0}', '\u{202f}'])).is_some() => {
            " (write it without separators of thousands, and with a decimal point)"
        }
        () if kind::real(without(&['$', '\u{20ac}', '\u{a3}', '%', ',']).trim()).is_some() => {
            " (write the number alone, without its unit)"
        }
        () => "",
    }
}

/// The names of the columns: none empty, no two equal, all required fields among them.
fn check_header(names: Vec<String>, delimiter: u8, selection: &Selection) -> Result<Arc<[String]>> {
    let names: Arc<[String]> = names.iter().map(|name| name.trim_ascii().to_owned()).collect();
    if let Some(binary) = names.iter().position(|name| name.contains(|c: char| c.is_control() && c != '\t')) {
        let text = format!("column {}: its name has control characters: no NDJSON, NPY or CSV", binary + 1);
        return Err(Error::Csv(text));
    }
    let mut seen = HashMap::new();
    for (column, name) in names.iter().enumerate() {
        if name.is_empty() {
            let index = if column == 0 { " (pandas writes its index so: to_csv(..., index=False))" } else { "" };
            return Err(Error::Csv(format!("column {} has no name{index}", column + 1)));
        }
        if let Some(before) = seen.insert(name.as_str(), column) {
            return Err(Error::Csv(format!("columns {} and {} are both called {name:?}", before + 1, column + 1)));
        }
    }
    if names.len() > 1 && names.iter().all(|name| kind::real(name).is_some()) {
        let text = "numbers where the names of the columns are expected: the first line is the header";
        return Err(Error::Csv(text.into()));
    }
    if let Some(missing) = selection.required().find(|name| !seen.contains_key(name.as_str())) {
        return Err(missing_column(missing, &names, delimiter, selection));
    }
    match selection.adds.iter().find(|(name, _)| seen.contains_key(name.as_str())) {
        Some((name, remedy)) => Err(already_there(name, remedy)),
        None => Ok(names),
    }
}

fn missing_column(missing: &str, names: &[String], delimiter: u8, selection: &Selection) -> Error {
    match names {
        [only] if let Some(other) = other_delimiter(only, delimiter) => Error::NoField {
            name: missing.to_owned(),
            known: format!("{only}; {}?", (selection.delimiter_option)(other)),
            remedy: String::new(),
        },
        _ => selection.no_field(missing, names.iter().map(String::as_str)),
    }
}

/// The selected fields, in the order of the columns.
struct Layout {
    schema: Schema,
    /// For each column, the field that is parsed from it.
    fields: Arc<[Option<usize>]>,
    /// For each field, how its cells are parsed.
    columns: Vec<Column>,
}

fn layout(first: &Cells, selection: &Selection) -> Result<Layout> {
    let (mut fields, mut columns, mut of_column) = (Vec::new(), Vec::new(), vec![None; first.header.len()]);
    for (column, name) in first.header.iter().enumerate().filter(|(_, name)| selection.contains(name)) {
        let rows = 0..first.lines.len();
        let cells = rows.map(|row| std::str::from_utf8(first.cell(row, column)).unwrap_or_default());
        let (kind, missing) = Kind::of_column(cells);
        of_column[column] = Some(fields.len());
        let dtype = dtype(name, kind, missing, selection);
        columns.push(Column {
            dtype,
            is_boolean: kind == Kind::Boolean,
            allows_missing: selection.allows_missing(name),
        });
        fields.push(Field::new(name, dtype, &[]));
    }
    Ok(Layout { schema: Schema::new(fields)?, fields: of_column.into(), columns })
}

fn dtype(name: &str, kind: Kind, missing: bool, selection: &Selection) -> DType {
    if selection.is_verbatim(name) {
        return DType::Text;
    }
    if !selection.requires(name) {
        return match kind.dtype(missing, selection.float) {
            // A cell that is written back as it was may be missing further down.
            DType::I8 | DType::B1 if !selection.exact => selection.float,
            dtype => dtype,
        };
    }
    match kind {
        // Booleans have no value for a missing one; NaN is.
        Kind::Boolean if !selection.missing => DType::B1,
        Kind::Text if !selection.is_float(name) => DType::Text,
        _ => selection.float,
    }
}
