//! The fields that nothing is learned from, such as ids: they go with the rows that are held out.

use dataset::Texts;
use records::{Batch, Encoding, Field};

/// Scalars of every row.
pub enum Others {
    /// Of NPY: numbers, as they are packed.
    Packed(Vec<(Field, Vec<u8>)>),
    /// Of NDJSON and CSV: as they are written.
    Written(Vec<(String, Texts)>),
}

impl Others {
    /// Those of rows like a batch's; none of the fields that are `used`.
    pub fn like(batch: &Batch, used: &[&str]) -> Self {
        let fields = batch.schema().fields().iter();
        let unused = fields.filter(|field| field.shape.is_empty() && !used.contains(&field.name.as_str()));
        match batch.encoding() {
            Encoding::Npy => Self::Packed(unused.map(|field| (field.clone(), Vec::new())).collect()),
            _ => Self::Written(unused.map(|field| (field.name.clone(), Texts::default())).collect()),
        }
    }

    /// Adds those of a batch's rows.
    pub fn extend(&mut self, batch: &Batch) -> records::Result<()> {
        match self {
            Self::Packed(fields) => {
                fields.iter_mut().try_for_each(|(field, all)| batch.append_packed(&field.name, all))
            }
            Self::Written(fields) => fields.iter_mut().try_for_each(|(name, all)| {
                batch.texts(name)?.into_iter().for_each(|text| all.push(text));
                Ok(())
            }),
        }
    }

    /// The values of some rows; what is written is numbers where those of all rows are.
    pub fn of_rows(&self, rows: &[usize]) -> Vec<(Field, Kept<'_>)> {
        match self {
            Self::Packed(fields) => {
                let kept = |(field, all): &(Field, Vec<u8>)| {
                    let size = field.bytes();
                    let bytes = rows.iter().flat_map(|row| &all[row * size..(row + 1) * size]).copied().collect();
                    (field.clone(), Kept { packed: bytes, written: None })
                };
                fields.iter().map(kept).collect()
            }
            Self::Written(fields) => fields.iter().map(|(name, all)| written(name, all, rows)).collect(),
        }
    }
}

/// Values that go into a file.
pub struct Kept<'a> {
    /// Numbers, little-endian; none of text.
    pub packed: Vec<u8>,
    /// As they were written, where they were.
    pub written: Option<Vec<&'a str>>,
}

fn written<'a>(name: &str, all: &'a Texts, rows: &[usize]) -> (Field, Kept<'a>) {
    // The type is that of all rows, whichever are held out.
    let dtype = records::dtype_of_texts(all.iter());
    let texts: Vec<&str> = rows.iter().map(|&row| all.get(row)).collect();
    let packed = records::pack_texts(&texts, dtype);
    (Field::new(name, dtype, &[]), Kept { packed, written: Some(texts) })
}
