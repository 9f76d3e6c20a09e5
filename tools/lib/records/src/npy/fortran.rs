//! Arrays in Fortran order, whose columns are contiguous: what `np.save` writes for a pandas DataFrame.

use super::Header;
use crate::{Location, Result};
use files::Input;
use std::io::Read;

/// The columns of an array: `[elements of a row, rows]` in memory.
pub(crate) struct Columns {
    data: Data,
    /// Rows of the array.
    rows: u64,
    /// Size of one element in bytes.
    size: usize,
    /// For each element of a row in C order, which column it is.
    order: Vec<usize>,
}

enum Data {
    /// In a file, from this byte on: read column by column.
    File { start: u64 },
    /// From a pipe: held in memory.
    Memory(Vec<u8>),
}

impl Columns {
    /// Larger than a batch in C order, since each of its columns is one read.
    pub const BATCH_BYTES: usize = 8 << 20;

    /// The columns of the array that follows its `header`. From a pipe, the whole array is read, at most `limit` bytes.
    pub fn open(input: &mut Input, header: &Header, limit: u64) -> Result<Self> {
        let field = &header.schema.fields()[0];
        let (rows, size) = (header.rows, field.dtype.size());
        let data = match input.position()? {
            Some(start) => Data::File { start },
            None => Data::Memory(whole(input, rows, field.bytes() as u64, limit)?),
        };
        Ok(Self { data, rows, size, order: column_order(&field.shape) })
    }

    /// Fills `packed` with rows from `first` on; returns the bytes of those that are complete.
    pub fn rows(&self, input: &mut Input, first: u64, packed: &mut [u8]) -> Result<usize> {
        let row_bytes = self.order.len() * self.size;
        let count = packed.len() / row_bytes;
        let mut piece = vec![0; count * self.size];
        let mut whole = count;
        for (element, &column) in self.order.iter().enumerate() {
            let offset = (column as u64 * self.rows + first) * self.size as u64;
            let filled = self.fill(input, offset, &mut piece)?;
            whole = whole.min(filled / self.size);
            for (row, value) in packed.chunks_exact_mut(row_bytes).zip(piece.chunks_exact(self.size)) {
                row[element * self.size..(element + 1) * self.size].copy_from_slice(value);
            }
        }
        Ok(whole * row_bytes)
    }

    fn fill(&self, input: &mut Input, offset: u64, piece: &mut [u8]) -> Result<usize> {
        match &self.data {
            Data::File { start } => {
                input.seek(start.saturating_add(offset))?;
                Ok(input.fill(piece)?)
            }
            Data::Memory(bytes) => {
                // What is in memory can be counted in usize.
                let rest = bytes.get(offset as usize..).unwrap_or_default();
                let count = rest.len().min(piece.len());
                piece[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }

    /// Skips to the end of the array.
    pub fn finish(self, input: &mut Input) -> Result<()> {
        match self.data {
            Data::File { start } => Ok(input.seek(start + self.rows * (self.order.len() * self.size) as u64)?),
            Data::Memory(_) => Ok(()),
        }
    }
}

/// All bytes of an array from a pipe. Memory grows with the bytes that arrive, not with what the header claims.
fn whole(input: &mut Input, rows: u64, row_bytes: u64, limit: u64) -> Result<Vec<u8>> {
    let location = Location::whole(input.shared_name());
    let bytes = rows.checked_mul(row_bytes).filter(|bytes| *bytes <= limit).ok_or_else(|| {
        location.error(format!(
            "an array in Fortran order of {rows} rows of {row_bytes} bytes; from a pipe at most {limit} bytes are read \
             (the setting fortran_bytes): hand in the file, or save it with np.ascontiguousarray"
        ))
    })?;
    let mut data = Vec::new();
    let name = input.shared_name().clone();
    input.by_ref().take(bytes).read_to_end(&mut data).map_err(|e| files::Error::io(&name, e))?;
    Ok(data)
}

/// For each element of a row of `shape` in C order, its index in Fortran order.
fn column_order(shape: &[usize]) -> Vec<usize> {
    let elements = shape.iter().product::<usize>();
    let column = |element: usize| {
        let (mut rest, mut index, mut stride) = (element, 0, elements);
        // From the last dimension on: in C order it varies fastest, in Fortran order slowest.
        for &dim in shape.iter().rev() {
            stride /= dim;
            index += rest % dim * stride;
            rest /= dim;
        }
        index
    };
    (0..elements).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::column_order;

    #[test]
    fn elements_of_a_row_are_found_in_fortran_order() {
        // By hand: the element (j, k) of a row [2, 3] is at j + 2 k.
        assert_eq!(column_order(&[2, 3]), [0, 2, 4, 1, 3, 5]);
        assert_eq!(column_order(&[3]), [0, 1, 2]);
        // (j, k, l) of [2, 2, 2] at j + 2 k + 4 l.
        assert_eq!(column_order(&[2, 2, 2]), [0, 4, 2, 6, 1, 5, 3, 7]);
    }
}
