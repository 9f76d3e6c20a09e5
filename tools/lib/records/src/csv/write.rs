//! Writing rows as CSV.

use crate::{
    Batch, DType, Error, Result, Schema,
    source_text::{Cells, Text, TextSpan},
};
use half::f16;
use std::sync::Arc;

/// The columns, and where their cells come from.
pub(crate) struct CsvFormat {
    schema: Arc<Schema>,
    delimiter: u8,
    columns: Vec<Column>,
    /// Fields that are no scalars, which CSV cannot hold.
    pub omitted_fields: Vec<String>,
    has_header: bool,
    float: zmij::Buffer,
    integer: itoa::Buffer,
}

struct Column {
    name: String,
    /// The column of the CSV that the rows were read from, if any.
    cell: Option<usize>,
    /// The field of the schema, if the column was parsed, or added by the tool.
    field: Option<usize>,
}

impl CsvFormat {
    /// For rows like those of `batch`.
    pub fn new(batch: &Batch, delimiter: u8) -> Self {
        let schema = batch.schema().clone();
        let (mut columns, mut parsed) = (Vec::new(), 0);
        if let Some(Cells { header, fields, edited, .. }) = &batch.cells {
            let column = |(cell, (name, field)): (usize, (&String, &Option<usize>))| Column {
                name: name.clone(),
                cell: Some(cell),
                field: *field,
            };
            columns.extend(header.iter().zip(fields.iter()).enumerate().map(column));
            parsed = edited.len();
        }
        let mut omitted_fields = Vec::new();
        for (index, field) in schema.fields().iter().enumerate().skip(parsed) {
            match field.shape.is_empty() {
                true => columns.push(Column { name: field.name.clone(), cell: None, field: Some(index) }),
                false => omitted_fields.push(field.to_string()),
            }
        }
        let (float, integer) = (zmij::Buffer::new(), itoa::Buffer::new());
        Self { schema, delimiter, columns, omitted_fields, has_header: false, float, integer }
    }

    /// Adds the lines of `batch` to `out`, under a header where they are the first.
    pub fn append(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Result<()> {
        if self.columns.is_empty() {
            return Err(batch.error(format!("no scalar field for a column of CSV (there is {})", self.schema)));
        }
        let buffer = std::mem::take(out);
        let mut writer = csv::WriterBuilder::new().delimiter(self.delimiter).from_writer(buffer);
        let written = self.lines(batch, &mut writer);
        *out = writer.into_inner().map_err(|e| batch.error(e.to_string()))?;
        written.map_err(|e| batch.error(e.to_string()))
    }

    fn lines(&mut self, batch: &Batch, writer: &mut csv::Writer<Vec<u8>>) -> csv::Result<()> {
        if !std::mem::replace(&mut self.has_header, true) {
            writer.write_record(self.columns.iter().map(|column| &column.name))?;
        }
        let row_bytes = self.schema.row_bytes();
        let Self { schema, columns, float, integer, .. } = self;
        for (row, packed) in batch.packed().chunks_exact(row_bytes).enumerate() {
            for column in columns.iter() {
                match (&batch.cells, column) {
                    (Some(cells), Column { cell: Some(cell), field, .. })
                        if field.is_none_or(|field| !cells.edited[field]) =>
                    {
                        writer.write_field(cells.cell(row, *cell))?;
                    }
                    (_, Column { field: Some(field), .. })
                        if let Some(written) = batch.text.as_ref().and_then(|text| as_written(text, row, *field)) =>
                    {
                        writer.write_field(written)?;
                    }
                    (_, Column { field, .. }) => {
                        // A column without a cell has a field.
                        let index = field.unwrap_or_default();
                        let (field, offset) = (&schema.fields()[index], schema.offset(index));
                        let bytes = &packed[offset..offset + field.bytes()];
                        writer.write_field(scalar(field.dtype, bytes, &batch.heap, float, integer))?;
                    }
                }
            }
            writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// # Errors
    /// When rows of another schema follow.
    pub fn check(&self, batch: &Batch) -> Result<()> {
        match self.schema == *batch.schema() {
            true => Ok(()),
            false => Err::<(), Error>(batch.error(format!("rows changed from {} to {}", self.schema, batch.schema()))),
        }
    }
}

/// A number or a boolean as the line of JSON has it, unless the tool has set it.
fn as_written(text: &Text, row: usize, field: usize) -> Option<&[u8]> {
    let parsed = text.edited.len();
    if field >= parsed || text.edited[field] {
        return None;
    }
    let (start, end) = text.spans[row * parsed + field];
    let value = &text.bytes[start..end];
    value.first().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b't' | b'f')).then_some(value)
}

/// A value as a cell; NaN is an empty cell.
fn scalar<'a>(
    dtype: DType,
    bytes: &'a [u8],
    heap: &'a [u8],
    float: &'a mut zmij::Buffer,
    integer: &'a mut itoa::Buffer,
) -> &'a [u8] {
    let real = |value: f64| match value {
        value if value.is_nan() => Some(""),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    };
    match dtype {
        DType::Text => load::<TextSpan>(bytes).of(heap),
        DType::B1 if bytes[0] == 0 => b"false",
        DType::B1 => b"true",
        DType::F8 => real(load(bytes)).unwrap_or_else(|| float.format_finite(load::<f64>(bytes))).as_bytes(),
        DType::F2 | DType::F4 => {
            let value = if dtype == DType::F4 { load::<f32>(bytes) } else { load::<f16>(bytes).to_f32() };
            real(value.into()).unwrap_or_else(|| float.format_finite(value)).as_bytes()
        }
        DType::I1 => integer.format(load::<i8>(bytes)).as_bytes(),
        DType::I2 => integer.format(load::<i16>(bytes)).as_bytes(),
        DType::I4 => integer.format(load::<i32>(bytes)).as_bytes(),
        DType::I8 => integer.format(load::<i64>(bytes)).as_bytes(),
        DType::U1 => integer.format(load::<u8>(bytes)).as_bytes(),
        DType::U2 => integer.format(load::<u16>(bytes)).as_bytes(),
        DType::U4 => integer.format(load::<u32>(bytes)).as_bytes(),
        DType::U8 => integer.format(load::<u64>(bytes)).as_bytes(),
    }
}

/// One element; `bytes` has its size.
fn load<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> T {
    bytemuck::pod_read_unaligned(bytes)
}
