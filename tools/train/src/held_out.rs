//! The rows held out for the test, as they were read: what `infer` and `score` take.

use crate::data::{Kept, Part, Read};
use files::Output;
use records::{Batch, DType, Encoding, Field, Values, Writer};
use std::path::Path;

/// Rows that are written at a time.
const ROWS: usize = 1024;
/// The files: numbers; all scalars, where some are text; all fields, where what goes in is both text and vectors.
const NUMBERS: &str = "test.npy";
const SCALARS: &str = "test.csv";
const EVERYTHING: &str = "test.ndjson";
/// All of them.
pub const FILES: [&str; 3] = [NUMBERS, SCALARS, EVERYTHING];

/// A field of the rows, and its values.
enum Column<'a> {
    Read(Read<'a>),
    /// Of the rows held out alone.
    Kept(Kept<'a>),
}

/// Writes the rows to the files of a run folder.
pub fn write(folder: &Path, part: Part<'_>) -> anyhow::Result<()> {
    let read: Vec<_> = part.table.read().into_iter().map(|(field, read)| (field, Column::Read(read))).collect();
    let is_text = |field: &Field| field.dtype == DType::Text;
    let mixed = read.iter().any(|(field, _)| is_text(field)) && read.iter().any(|(field, _)| !field.shape.is_empty());
    let others = part.table.others().of_rows(part.rows).into_iter().map(|(field, kept)| (field, Column::Kept(kept)));
    let columns: Vec<_> = read.into_iter().chain(others).collect();
    let some = |wanted: &dyn Fn(&Field) -> bool| columns.iter().filter(|(field, _)| wanted(field)).collect::<Vec<_>>();
    let numbers = some(&|field| !is_text(field));
    if !numbers.is_empty() {
        write_file(&folder.join(NUMBERS), Encoding::Npy, &numbers, part.rows)?;
    }
    if numbers.len() < columns.len() {
        let csv = Encoding::Csv { delimiter: b',' };
        write_file(&folder.join(SCALARS), csv, &some(&|field| field.shape.is_empty()), part.rows)?;
    }
    if mixed {
        write_file(&folder.join(EVERYTHING), Encoding::Ndjson, &some(&|_| true), part.rows)?;
    }
    Ok(())
}

fn write_file(path: &Path, encoding: Encoding, columns: &[&(Field, Column<'_>)], rows: &[usize]) -> anyhow::Result<()> {
    let as_written = matches!(encoding, Encoding::Csv { .. });
    let mut writer = Writer::new(Output::create(Some(path))?, encoding, Some(rows.len() as u64));
    for (chunk, rows) in rows.chunks(ROWS).enumerate() {
        let first = chunk * ROWS;
        let packed: Vec<Vec<u8>> = columns.iter().map(|(field, column)| packed(field, column, rows, first)).collect();
        let values = columns.iter().zip(&packed).map(|((field, column), packed)| {
            match texts(field, column, rows, first, as_written) {
                Some(texts) => (Field::new(&field.name, DType::Text, &[]), Values::Texts(texts)),
                None => (field.clone(), Values::Packed(packed)),
            }
        });
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
        Column::Kept(Kept { packed, .. }) if field.dtype != DType::Text => {
            packed[first * field.bytes()..(first + rows.len()) * field.bytes()].to_vec()
        }
        Column::Read(Read::Texts(_)) | Column::Kept(_) => Vec::new(),
    }
}

/// The texts of some rows, and numbers `as_written`.
fn texts<'a>(
    field: &Field,
    column: &'a Column<'_>,
    rows: &[usize],
    first: usize,
    as_written: bool,
) -> Option<Vec<&'a str>> {
    match column {
        Column::Read(Read::Texts(texts)) => Some(rows.iter().map(|&row| texts.get(row)).collect()),
        Column::Kept(Kept { written: Some(written), .. }) if as_written || field.dtype == DType::Text => {
            Some(written[first..first + rows.len()].to_vec())
        }
        _ => None,
    }
}
