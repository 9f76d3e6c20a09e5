//! Rows of a file, read in any order.

use super::{
    MAGIC,
    read::{read_header, swap_big_endian},
};
use crate::{Batch, Field, Result, Schema};
use files::{Input, RandomAccess};
use std::sync::Arc;

/// The rows of an NPY file: one array, or several of one dtype back to back. They are read where they are needed, by
/// several threads, and are little-endian in memory whatever the file has.
#[derive(Debug)]
pub struct RowFile {
    file: RandomAccess,
    schema: Arc<Schema>,
    arrays: Vec<Array>,
}

/// One array of the file.
#[derive(Debug)]
struct Array {
    /// The row of the file that is its first, and the one after its last.
    first: u64,
    end: u64,
    /// Offset of its first row.
    offset: u64,
    big_endian: Vec<bool>,
}

impl RowFile {
    /// The rows of `input` from where it is, which is where it stays. None unless it is a regular file of NPY arrays in C
    /// order. A plain array is a field called `plain_name`.
    ///
    /// Only headers are read. An array that is damaged, truncated or of another dtype ends the rows: [`crate::Reader`] has the
    /// error.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(input: &mut Input, plain_name: &str) -> Result<Option<Self>> {
        let (Some(file), Some(start)) = (input.random_access()?, input.position()?) else { return Ok(None) };
        let found = arrays(input, plain_name, file.bytes());
        input.seek(start)?;
        Ok(found?.map(|(schema, arrays)| Self { file, schema, arrays }))
    }

    /// The fields of every row.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The field called `name`.
    ///
    /// # Errors
    /// [`crate::Error::NoField`], which lists the fields.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.schema.index_of(name).map(|index| &self.schema.fields()[index])
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.arrays.last().map_or(0, |array| array.end)
    }

    /// Fills `batch` with the rows at `indices`.
    ///
    /// # Errors
    /// I/O errors; and when the file has changed since it was opened.
    ///
    /// # Panics
    /// When there is no row of such an index.
    pub fn read(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        let row_bytes = self.schema.row_bytes();
        let first = indices.first().map_or(0, |&row| row as u64);
        let packed = batch.start_packed(self.file.name(), &self.schema, first, indices.len());
        let mut ranges = Vec::with_capacity(indices.len());
        let (mut rest, mut begin) = (&mut *packed, 0);
        while begin < indices.len() {
            let (array, run) = self.run(&indices[begin..]);
            let (bytes, others) = std::mem::take(&mut rest).split_at_mut(run * row_bytes);
            let offset = array.offset + (indices[begin] as u64 - array.first) * row_bytes as u64;
            ranges.push((offset, bytes));
            (rest, begin) = (others, begin + run);
        }
        self.file.read(ranges)?;
        self.swap_big_endian(indices, packed);
        Ok(())
    }

    /// The array of the first row, and how many of the rows follow each other in it.
    fn run(&self, indices: &[usize]) -> (&Array, usize) {
        let first = indices[0] as u64;
        let array = &self.arrays[self.arrays.partition_point(|array| array.end <= first)];
        let follows = |i: usize, row: u64| row == first + i as u64 && row < array.end;
        (array, (0..indices.len()).take_while(|&i| follows(i, indices[i] as u64)).count())
    }

    fn swap_big_endian(&self, indices: &[usize], packed: &mut [u8]) {
        let is_big = |array: &Array| array.big_endian.contains(&true);
        if !self.arrays.iter().any(is_big) {
            return;
        }
        let row_bytes = self.schema.row_bytes();
        let mut begin = 0;
        while begin < indices.len() {
            let (array, run) = self.run(&indices[begin..]);
            let bytes = &mut packed[begin * row_bytes..(begin + run) * row_bytes];
            swap_big_endian(&self.schema, &array.big_endian, bytes);
            begin += run;
        }
    }
}

/// Schema and arrays by the headers; None where the first bytes are no array, or an array is in Fortran order.
fn arrays(input: &mut Input, plain_name: &str, file_bytes: u64) -> Result<Option<(Arc<Schema>, Vec<Array>)>> {
    let (mut schema, mut arrays, mut first) = (None::<Arc<Schema>>, Vec::new(), 0);
    while input.peek(MAGIC.len())?.starts_with(MAGIC) {
        let Ok(header) = read_header(input, plain_name) else { break };
        if header.fortran_order {
            return Ok(None);
        }
        if schema.as_ref().is_some_and(|schema| **schema != header.schema) {
            break;
        }
        let schema = schema.get_or_insert_with(|| Arc::new(header.schema.clone()));
        let Some(offset) = input.position()? else { return Ok(None) };
        let left = file_bytes.saturating_sub(offset) / schema.row_bytes() as u64;
        let rows = header.rows.min(left);
        let end = first + rows;
        arrays.push(Array { first, end, offset, big_endian: header.big_endian });
        if rows < header.rows {
            break;
        }
        first = end;
        input.seek(offset + rows * schema.row_bytes() as u64)?;
    }
    Ok(schema.map(|schema| (schema, arrays)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, ReadOptions, Reader, npy::Header};
    use std::{fs, path::Path};

    /// Rows `id, x, y` with x = id + 0.5 and y = -id, and their columns.
    fn array(first: u32, rows: u32, big: bool) -> Vec<u8> {
        let fields =
            vec![Field::new("id", DType::U4, &[]), Field::new("x", DType::F8, &[1]), Field::new("y", DType::I1, &[2])];
        let mut bytes = Header::format(&Schema::new(fields).expect("valid"), rows.into());
        if big {
            bytes.iter_mut().filter(|byte| **byte == b'<').for_each(|byte| *byte = b'>');
        }
        for id in first..first + rows {
            let x = f64::from(id) + 0.5;
            bytes.extend(if big { id.to_be_bytes() } else { id.to_le_bytes() });
            bytes.extend(if big { x.to_be_bytes() } else { x.to_le_bytes() });
            bytes.extend([id as u8, 9]);
        }
        bytes
    }

    fn open(path: &Path) -> Option<RowFile> {
        let mut input = Input::open(Some(path)).expect("opened");
        let rows = RowFile::open(&mut input, "x").expect("readable");
        assert_eq!(input.position().expect("a file"), Some(0), "the input is where it was");
        rows
    }

    #[test]
    fn rows_in_any_order_are_those_of_the_reader() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x.npy");
        fs::write(&path, [array(0, 5, false), array(5, 0, false), array(5, 4, true), array(9, 2, false)].concat())
            .expect("written");
        let rows = open(&path).expect("NPY");
        assert_eq!(rows.rows(), 11);
        let (mut batch, mut ids, mut x) = (Batch::new(), Vec::<u32>::new(), Vec::<f64>::new());
        for wanted in [&[3, 4, 5, 6, 7, 8, 9, 10][..], &[10, 0, 8, 8, 7, 1, 2, 3], &[6], &[]] {
            rows.read(wanted, &mut batch).expect("inside");
            batch.column("id", &mut ids).expect("u4");
            batch.column("x", &mut x).expect("f8");
            let expected: Vec<u32> = wanted.iter().map(|&row| row as u32).collect();
            assert_eq!((&ids, batch.rows()), (&expected, wanted.len()));
            assert_eq!(x, expected.iter().map(|&id| f64::from(id) + 0.5).collect::<Vec<_>>());
        }
        let mut reader =
            Reader::open(Input::open(Some(&path)).expect("opened"), &ReadOptions::floats(&[])).expect("NPY");
        let (mut read, mut all) = (Batch::new(), Vec::new());
        while reader.read(&mut read).expect("whole") {
            all.extend_from_slice(read.packed());
        }
        rows.read(&(0..11).collect::<Vec<_>>(), &mut batch).expect("inside");
        assert_eq!(batch.packed(), all);
    }

    #[test]
    fn what_is_no_npy_in_c_order_has_no_rows_here() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x.npy");
        let rows = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            open(&path).map(|rows| rows.rows())
        };
        assert_eq!(rows(b""), None);
        assert_eq!(rows(b"{\"x\":1}\n"), None);
        assert_eq!(rows(b"\x93NUMPY"), None);
        let plain = |order: &str| {
            let text = format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': (2, 3), }}\n");
            [&b"\x93NUMPY\x01\0"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &[0; 6]].concat()
        };
        assert_eq!((rows(&plain("False")), rows(&plain("True"))), (Some(2), None));
        // What the reader refuses ends the rows: half a row, another dtype, garbage.
        let whole = array(0, 3, false);
        assert_eq!(rows(&whole[..whole.len() - 1]), Some(2));
        assert_eq!(rows(&[whole.clone(), plain("False")].concat()), Some(3));
        assert_eq!(rows(&[whole, b"garbage".to_vec()].concat()), Some(3));
    }
}
