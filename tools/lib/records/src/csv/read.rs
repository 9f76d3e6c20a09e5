//! Reading a table: the header, the types of its columns, and rows of them.

use super::{
    cells::{BLOCK_BYTES, Records},
    kind::{self, Kind},
};
use crate::{
    Batch, DType, Field, Result, Schema,
    origin::{Cells, TextSpan},
    reader::already_there,
    wanted::Wanted,
};
use files::Input;
use std::{collections::HashMap, sync::Arc};

/// Characters of a cell that a message shows.
const SHOWN_CHARS: usize = 40;

/// Rows from a table of text.
pub(crate) struct CsvReader {
    records: Records,
    pub schema: Arc<Schema>,
    /// The rows that the types were read off, until they are handed on.
    first: Option<Cells>,
    /// The header, and what is read from each column; without rows.
    layout: Cells,
    /// For each field, how the cells of its column are read.
    columns: Vec<Column>,
    pub rows: u64,
}

impl CsvReader {
    /// Reads the header and the first rows, which say the types.
    pub fn open(input: Input, delimiter: u8, wanted: Wanted) -> Result<Self> {
        let mut records = Records::new(input, delimiter);
        let Some((names, line)) = records.one()? else {
            return Err(crate::Place::whole(records.source()).error("no rows"));
        };
        let header = check_header(names, delimiter, &wanted).map_err(|e| records.place(line).error(e))?;
        let empty = || Cells { header: header.clone(), delimiter, ..Cells::default() };
        let mut first = empty();
        if !records.block(&mut first, wanted.first_block.max(BLOCK_BYTES), wanted.infers())? {
            return Err(records.place(line).error("no rows under the header"));
        }
        let Layout { schema, fields, columns } = layout(&first, &wanted).map_err(|e| records.place(line).error(e))?;
        let booleans = columns.iter().map(|column| column.is_boolean).collect();
        let layout = Cells { fields: fields.clone(), booleans, edited: vec![false; schema.fields().len()], ..empty() };
        first.fields = fields;
        Ok(Self { records, schema: Arc::new(schema), first: Some(first), layout, columns, rows: 0 })
    }

    pub fn source(&self) -> &Arc<str> {
        self.records.source()
    }

    /// What stands between the cells.
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

    /// Parses the cells of a row that are wanted into `values`.
    fn parse(&self, cells: &Cells, row: usize, values: &mut [u8], heap: &mut Vec<u8>) -> Result<()> {
        for (column, field) in cells.fields.iter().enumerate() {
            let Some(index) = *field else { continue };
            // Records are checked to be UTF-8 as they are split.
            let cell = std::str::from_utf8(cells.cell(row, column)).unwrap_or_default();
            let field = &self.schema.fields()[index];
            let value = &mut values[self.schema.offset(index)..][..field.bytes()];
            put(cell, self.columns[index], value, heap).map_err(|problem| {
                self.records.place(cells.lines[row]).error(format!("column {:?}{problem}", field.name))
            })?;
        }
        Ok(())
    }
}

/// What the cells of a column are read as.
#[derive(Clone, Copy)]
struct Column {
    dtype: DType,
    /// Whether numbers stand for true and false.
    is_boolean: bool,
    takes_missing: bool,
}

/// Writes a cell to `value` as its column has it; the message is to stand behind the column's name.
fn put(cell: &str, column: Column, value: &mut [u8], heap: &mut Vec<u8>) -> std::result::Result<(), String> {
    let Column { dtype, is_boolean, takes_missing } = column;
    if kind::is_missing(cell) && !takes_missing && (dtype != DType::Text || cell.is_empty()) {
        return Err(" is empty; a value is needed in every row".into());
    }
    if kind::is_missing(cell) && matches!(dtype, DType::I8 | DType::B1) {
        return Err(format!(" is empty, and the first rows have {dtype} throughout; leave one empty among those, too"));
    }
    match dtype {
        DType::Text => value.copy_from_slice(bytemuck::bytes_of(&TextSpan::push(heap, cell.as_bytes())?)),
        DType::I8 => {
            let integer = kind::integer(cell).ok_or_else(|| {
                format!(": {} is no integer, as the rows before have; write the integers as 1.0", shown(cell))
            })?;
            value.copy_from_slice(&integer.to_le_bytes());
        }
        DType::B1 => value.copy_from_slice(&[u8::from(boolean(cell)?)]),
        float => {
            let real = match (kind::is_missing(cell), is_boolean) {
                (true, _) => f64::NAN,
                (false, true) => f64::from(u8::from(boolean(cell)?)),
                (false, false) => {
                    kind::real(cell).ok_or_else(|| format!(": {} is no number{}", shown(cell), hint(cell)))?
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

fn boolean(cell: &str) -> std::result::Result<bool, String> {
    kind::boolean(cell).ok_or_else(|| format!(": {} is neither true nor false, as the rows before are", shown(cell)))
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

/// The names of the columns: each there, and once, and what the tool needs among them.
fn check_header(names: Vec<String>, delimiter: u8, wanted: &Wanted) -> std::result::Result<Arc<[String]>, String> {
    let names: Arc<[String]> = names.iter().map(|name| name.trim_ascii().to_owned()).collect();
    if let Some(binary) = names.iter().position(|name| name.contains(|c: char| c.is_control() && c != '\t')) {
        return Err(format!("column {}: its name has control characters: no NDJSON, NPY or CSV", binary + 1));
    }
    let mut seen = HashMap::new();
    for (column, name) in names.iter().enumerate() {
        if name.is_empty() {
            let index = if column == 0 { " (pandas writes its index so: to_csv(..., index=False))" } else { "" };
            return Err(format!("column {} has no name{index}", column + 1));
        }
        if let Some(before) = seen.insert(name.as_str(), column) {
            return Err(format!("columns {} and {} are both called {name:?}", before + 1, column + 1));
        }
    }
    if names.len() > 1 && names.iter().all(|name| kind::real(name).is_some()) {
        return Err("numbers where the names of the columns are expected: the first line is the header".into());
    }
    if let Some(missing) = wanted.needed().find(|name| !seen.contains_key(name.as_str())) {
        return Err(missing_column(missing, &names, delimiter, wanted));
    }
    match wanted.adds.iter().find(|(name, _)| seen.contains_key(name.as_str())) {
        Some((name, remedy)) => Err(already_there(name, remedy)),
        None => Ok(names),
    }
}

fn missing_column(missing: &str, names: &[String], delimiter: u8, wanted: &Wanted) -> String {
    let other = [(';', "';'"), ('\t', "tab"), ('|', "'|'")];
    let other = other.iter().find(|(c, _)| names.len() == 1 && *c as u8 != delimiter && names[0].contains(*c));
    match other {
        Some((_, name)) => format!("no field {missing:?} (there is {}; --delimiter {name}?)", names[0]),
        None => wanted.lacks(missing, names.iter().map(String::as_str)),
    }
}

/// The fields that are wanted, in the order of the columns; for each column, which field is read from it; for each
/// field, how.
struct Layout {
    schema: Schema,
    fields: Arc<[Option<usize>]>,
    columns: Vec<Column>,
}

fn layout(first: &Cells, wanted: &Wanted) -> std::result::Result<Layout, String> {
    let (mut fields, mut columns, mut of_column) = (Vec::new(), Vec::new(), vec![None; first.header.len()]);
    for (column, name) in first.header.iter().enumerate().filter(|(_, name)| wanted.has(name)) {
        let rows = 0..first.lines.len();
        let cells = rows.map(|row| std::str::from_utf8(first.cell(row, column)).unwrap_or_default());
        let (kind, missing) = Kind::of_column(cells);
        of_column[column] = Some(fields.len());
        let dtype = dtype(name, kind, missing, wanted);
        columns.push(Column { dtype, is_boolean: kind == Kind::Boolean, takes_missing: wanted.takes_null(name) });
        fields.push(Field::new(name, dtype, &[]));
    }
    Ok(Layout { schema: Schema::new(fields)?, fields: of_column.into(), columns })
}

fn dtype(name: &str, kind: Kind, missing: bool, wanted: &Wanted) -> DType {
    if wanted.is_literal(name) {
        return DType::Text;
    }
    if !wanted.computes(name) {
        return match kind.dtype(missing, wanted.float) {
            // What is written as it came may be missing further down.
            DType::I8 | DType::B1 if !wanted.exact => wanted.float,
            dtype => dtype,
        };
    }
    match kind {
        // A boolean that may be missing needs a value that says so.
        Kind::Boolean if !wanted.missing => DType::B1,
        Kind::Text if !wanted.is_float(name) => DType::Text,
        _ => wanted.float,
    }
}
