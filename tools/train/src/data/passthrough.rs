//! Columns that are neither input nor target, such as ids: passed through to the test split's files.

use dataset::Texts;
use records::{Batch, Encoding, Field};

/// Scalar columns of all rows.
pub enum Passthrough {
    /// In the file of the inputs.
    InFile(Vec<Field>),
    /// From NPY: packed values.
    Packed(Vec<(Field, Vec<u8>)>),
    /// From NDJSON and CSV: the text as read.
    Written(Vec<(String, Texts)>),
}

impl Passthrough {
    /// The scalar columns of a batch's schema, without those that are `used`.
    pub fn in_file(batch: &Batch, used: &[&str]) -> Self {
        Self::InFile(unused(batch, used).cloned().collect())
    }

    /// No rows yet; the scalar columns of a batch's schema, without those that are `used`.
    pub fn like(batch: &Batch, used: &[&str]) -> Self {
        let unused = unused(batch, used);
        match batch.encoding() {
            Encoding::Npy => Self::Packed(unused.map(|field| (field.clone(), Vec::new())).collect()),
            _ => Self::Written(unused.map(|field| (field.name.clone(), Texts::default())).collect()),
        }
    }

    /// Appends a batch's rows.
    pub fn extend(&mut self, batch: &Batch) -> records::Result<()> {
        match self {
            Self::InFile(_) => Ok(()),
            Self::Packed(fields) => {
                fields.iter_mut().try_for_each(|(field, all)| batch.append_packed(&field.name, all))
            }
            Self::Written(fields) => fields.iter_mut().try_for_each(|(name, all)| {
                batch.texts(name)?.into_iter().for_each(|text| all.push(text));
                Ok(())
            }),
        }
    }

    /// The values at `rows`. A column from text is numeric where it is in all rows.
    pub fn of_rows(&self, rows: &[usize]) -> Vec<(Field, PassthroughColumn<'_>)> {
        match self {
            Self::InFile(fields) => fields.iter().map(|field| (field.clone(), PassthroughColumn::InFile)).collect(),
            Self::Packed(fields) => {
                let kept = |(field, all): &(Field, Vec<u8>)| {
                    let size = field.bytes();
                    let bytes = rows.iter().flat_map(|row| &all[row * size..(row + 1) * size]).copied().collect();
                    (field.clone(), PassthroughColumn::Packed { packed: bytes, written: None })
                };
                fields.iter().map(kept).collect()
            }
            Self::Written(fields) => fields.iter().map(|(name, all)| written(name, all, rows)).collect(),
        }
    }
}

/// Values of a passed-through column, in the order of the rows asked for.
pub enum PassthroughColumn<'a> {
    /// In the file of the inputs.
    InFile,
    Packed {
        /// Little-endian; empty for text.
        packed: Vec<u8>,
        /// The text as read; None from NPY.
        written: Option<Vec<&'a str>>,
    },
}

/// The scalar fields that are not `used`.
fn unused<'b>(batch: &'b Batch, used: &[&str]) -> impl Iterator<Item = &'b Field> {
    let fields = batch.schema().fields().iter();
    fields.filter(move |field| field.shape.is_empty() && !used.contains(&field.name.as_str()))
}

fn written<'a>(name: &str, all: &'a Texts, rows: &[usize]) -> (Field, PassthroughColumn<'a>) {
    // By all rows, so that the dtype does not depend on the split.
    let dtype = records::dtype_of_texts(all.iter());
    let texts: Vec<&str> = rows.iter().map(|&row| all.get(row)).collect();
    let packed = records::pack_texts(&texts, dtype);
    (Field::new(name, dtype, &[]), PassthroughColumn::Packed { packed, written: Some(texts) })
}
