//! The rows of the test split, as read, for `infer` and `score`: `test.npy`, `test.csv`, `test.ndjson`.

use crate::data::{ColumnValues, PassthroughColumn, Split};
use files::Output;
use records::{Batch, DType, Encoding, Field, Values, Writer};
use std::path::Path;

/// Rows per written batch.
const ROWS: usize = 1024;
/// Numeric columns.
const NUMBERS: &str = "test.npy";
/// All scalar columns, where some are text.
const SCALARS: &str = "test.csv";
/// All columns, where some are text and some vectors.
const EVERYTHING: &str = "test.ndjson";
pub const FILES: [&str; 3] = [NUMBERS, SCALARS, EVERYTHING];

/// The values of a column.
enum Column<'a> {
    /// Of all rows.
    Used(ColumnValues<'a>),
    /// Of the test rows alone.
    Passthrough(PassthroughColumn<'a>),
}

/// Writes the rows of the test split to the run folder.
pub fn write(folder: &Path, split: Split<'_>) -> anyhow::Result<()> {
    let used = split.dataset.columns().into_iter();
    let used: Vec<_> = used.map(|(field, values)| (field, Column::Used(values))).collect();
    let is_text = |field: &Field| field.dtype == DType::Text;
    let mixed = used.iter().any(|(field, _)| is_text(field)) && used.iter().any(|(field, _)| !field.shape.is_empty());
    let others = split.dataset.passthrough().of_rows(split.rows).into_iter();
    let others = others.map(|(field, values)| (field, Column::Passthrough(values)));
    let columns: Vec<_> = used.into_iter().chain(others).collect();
    let some = |wanted: &dyn Fn(&Field) -> bool| columns.iter().filter(|(field, _)| wanted(field)).collect::<Vec<_>>();
    let numbers = some(&|field| !is_text(field));
    if !numbers.is_empty() {
        write_file(&folder.join(NUMBERS), Encoding::Npy, &numbers, split)?;
    }
    if numbers.len() < columns.len() {
        let csv = Encoding::Csv { delimiter: b',' };
        write_file(&folder.join(SCALARS), csv, &some(&|field| field.shape.is_empty()), split)?;
    }
    if mixed {
        write_file(&folder.join(EVERYTHING), Encoding::Ndjson, &some(&|_| true), split)?;
    }
    Ok(())
}

fn write_file(
    path: &Path,
    encoding: Encoding,
    columns: &[&(Field, Column<'_>)],
    split: Split<'_>,
) -> anyhow::Result<()> {
    let as_written = matches!(encoding, Encoding::Csv { .. });
    let mut writer = Writer::new(Output::create(Some(path))?, encoding, Some(split.rows.len() as u64));
    for (chunk, rows) in split.rows.chunks(ROWS).enumerate() {
        let first = chunk * ROWS;
        let in_file = split.dataset.read(rows)?;
        let packed = |(field, column): &&(Field, Column<'_>)| packed(field, column, rows, first, in_file.as_ref());
        let packed = columns.iter().map(packed).collect::<records::Result<Vec<_>>>()?;
        let values = columns.iter().zip(&packed).map(|((field, column), packed)| {
            match texts(field, column, rows, first, as_written) {
                Some(texts) => (Field::new(&field.name, DType::Text, &[]), Values::Texts(texts)),
                None => (field.clone(), Values::Packed(packed)),
            }
        });
        let values: Vec<_> = values.collect();
        writer.write(&Batch::from_columns("the test rows", first as u64, rows.len(), &values)?)?;
    }
    Ok(writer.finish()?)
}

/// The numeric values of some rows, little-endian; empty for text. `first` is the index of `rows[0]` in the split; `in_file`
/// are those rows, where they are in a file.
fn packed(
    field: &Field,
    column: &Column<'_>,
    rows: &[usize],
    first: usize,
    in_file: Option<&Batch>,
) -> records::Result<Vec<u8>> {
    let width = field.elements();
    Ok(match column {
        Column::Used(ColumnValues::InFile) | Column::Passthrough(PassthroughColumn::InFile) => {
            in_file.map_or(Ok(Vec::new()), |batch| packed_of(field, batch))?
        }
        Column::Used(ColumnValues::Bytes(bytes)) => {
            rows.iter().flat_map(|row| &bytes[row * width..(row + 1) * width]).copied().collect()
        }
        Column::Used(ColumnValues::Numbers(values)) => {
            let values = rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]);
            values.flat_map(|value| value.to_le_bytes()).collect()
        }
        Column::Passthrough(PassthroughColumn::Packed { packed, .. }) if field.dtype != DType::Text => {
            packed[first * field.bytes()..(first + rows.len()) * field.bytes()].to_vec()
        }
        Column::Used(ColumnValues::Texts(_)) | Column::Passthrough(_) => Vec::new(),
    })
}

/// A field of a batch, as the dtype of `field` says: that of the file, or `f4`.
fn packed_of(field: &Field, batch: &Batch) -> records::Result<Vec<u8>> {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    if batch.field(&field.name)?.dtype == field.dtype {
        batch.append_packed(&field.name, &mut bytes)?;
        return Ok(bytes);
    }
    batch.column_f32(&field.name, &mut values)?;
    Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// The texts of some rows; of numeric columns their text as read, where `as_written` asks for it.
fn texts<'a>(
    field: &Field,
    column: &'a Column<'_>,
    rows: &[usize],
    first: usize,
    as_written: bool,
) -> Option<Vec<&'a str>> {
    match column {
        Column::Used(ColumnValues::Texts(texts)) => Some(rows.iter().map(|&row| texts.get(row)).collect()),
        Column::Passthrough(PassthroughColumn::Packed { written: Some(written), .. })
            if as_written || field.dtype == DType::Text =>
        {
            Some(written[first..first + rows.len()].to_vec())
        }
        _ => None,
    }
}
