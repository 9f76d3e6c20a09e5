//! The rows held out for the test, as they were read: what `infer` and `score` take.

use crate::data::{Kept, Part, Read};
use records::{Batch, DType, Encoding, Field, Output, Values, Writer};
use std::path::Path;

/// Rows that are written at a time.
const ROWS: usize = 1024;

/// A field of the rows, and its values.
enum Column<'a> {
    Read(Read<'a>),
    /// Of the rows held out alone.
    Kept(Kept<'a>),
}

/// Writes all numbers of the rows to `npy`; where they have text, all scalars to `csv`.
pub fn write(npy: &Path, csv: &Path, part: Part<'_>) -> anyhow::Result<()> {
    let read = part.table.read().into_iter().map(|(field, read)| (field, Column::Read(read)));
    let others = part.table.others().of_rows(part.rows);
    let columns: Vec<_> = read.chain(others.into_iter().map(|(field, kept)| (field, Column::Kept(kept)))).collect();
    let numbers: Vec<_> = columns.iter().filter(|(field, _)| field.dtype != DType::Text).collect();
    if !numbers.is_empty() {
        write_file(npy, Encoding::Npy, &numbers, part.rows)?;
    }
    if numbers.len() < columns.len() {
        let scalars: Vec<_> = columns.iter().filter(|(field, _)| field.shape.is_empty()).collect();
        write_file(csv, Encoding::Csv { delimiter: b',' }, &scalars, part.rows)?;
    }
    Ok(())
}

fn write_file(path: &Path, encoding: Encoding, columns: &[&(Field, Column<'_>)], rows: &[usize]) -> anyhow::Result<()> {
    let mut writer = Writer::new(Output::create(Some(path))?, encoding, Some(rows.len() as u64));
    for (chunk, rows) in rows.chunks(ROWS).enumerate() {
        let first = chunk * ROWS;
        let packed: Vec<Vec<u8>> = columns.iter().map(|(field, column)| packed(field, column, rows, first)).collect();
        let values = columns
            .iter()
            .zip(&packed)
            .map(|((field, column), packed)| (field.clone(), values(column, packed, rows, first)));
        let values: Vec<_> = values.collect();
        writer.write(&Batch::from_columns("the rows held out", first as u64, rows.len(), &values)?)?;
    }
    Ok(writer.finish()?)
}

/// The numbers of some rows, little-endian; nothing of a text. `first` is the place of the first among those held out.
fn packed(field: &Field, column: &Column<'_>, rows: &[usize], first: usize) -> Vec<u8> {
    let width = field.elements();
    match column {
        Column::Read(Read::Bytes(bytes)) => {
            rows.iter().flat_map(|row| &bytes[row * width..(row + 1) * width]).copied().collect()
        }
        Column::Read(Read::Numbers(values)) => {
            let values = rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]);
            values.flat_map(|value| value.to_le_bytes()).collect()
        }
        Column::Kept(Kept::Packed(bytes)) => {
            bytes[first * field.bytes()..(first + rows.len()) * field.bytes()].to_vec()
        }
        Column::Read(Read::Texts(_)) | Column::Kept(Kept::Texts(_)) => Vec::new(),
    }
}

fn values<'a>(column: &'a Column<'_>, packed: &'a [u8], rows: &[usize], first: usize) -> Values<'a> {
    match column {
        Column::Read(Read::Texts(texts)) => Values::Texts(rows.iter().map(|&row| texts.get(row)).collect()),
        Column::Kept(Kept::Texts(texts)) => Values::Texts(texts[first..first + rows.len()].to_vec()),
        _ => Values::Packed(packed),
    }
}
