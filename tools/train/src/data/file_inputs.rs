//! Input fields whose rows stay in their NPY file, and are read where they are needed.

use super::encoded::hash_values;
use anyhow::ensure;
use dataset::{ByteSums, Column, Means, Source, Statistics};
use files::Sha256;
use records::{Batch, DType, Field, RowFile};
use std::{
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

/// Bytes of rows that a scan reads at once.
const BLOCK_BYTES: usize = 1 << 20;
/// A scan reads rows that lie apart one by one where fewer than one in this many are wanted.
const SPARSE: usize = 4;

/// The input fields of a file.
pub struct FileInputs {
    rows: RowFile,
    /// In the order in which their values are concatenated; dtypes are those of the file.
    fields: Vec<Field>,
    /// Elements of a row.
    width: usize,
    /// Of the rows that were added: u8 or little-endian f32.
    digest: Sha256,
    /// One for each thread that reads, once it has read.
    scratch: Mutex<Vec<Scratch>>,
}

#[derive(Default)]
struct Scratch {
    batch: Batch,
    indices: Vec<usize>,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    column: Vec<f32>,
    /// `[rows, width]`
    values: Vec<f32>,
}

/// Rows `[rows, width]` as read: a single field of `u1` as bytes, any others as f32.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    Bytes(&'a [u8]),
    Real(&'a [f32]),
}

impl FileInputs {
    /// The fields called `names` of `rows`.
    pub fn new(rows: RowFile, names: &[String]) -> records::Result<Self> {
        let fields = names.iter().map(|name| rows.field(name).cloned()).collect::<records::Result<Vec<_>>>()?;
        let width = fields.iter().map(Field::elements).sum();
        Ok(Self { rows, fields, width, digest: Sha256::default(), scratch: Mutex::default() })
    }

    /// In the order in which their values are concatenated; dtypes are those of the file.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The only field, if it is of bytes.
    pub fn bytes_field(&self) -> Option<&Field> {
        match self.fields.as_slice() {
            [one] if one.dtype == DType::U1 => Some(one),
            _ => None,
        }
    }

    /// The fields as columns without rows.
    pub fn sources(&self) -> Vec<Source> {
        let source = |field: &Field| Source {
            name: field.name.clone(),
            shape: field.shape.clone(),
            column: Column::numbers(Vec::new(), field.elements()),
        };
        self.fields.iter().map(source).collect()
    }

    /// # Errors
    /// When there are not as many rows as were read before.
    pub fn check_rows(&self, count: usize) -> anyhow::Result<()> {
        let found = self.rows.rows();
        ensure!(found == count as u64, "{found} rows, and {count} when they were read; it has changed");
        Ok(())
    }

    /// All fields of the rows at `indices`, those of the input and others.
    pub fn read(&self, indices: &[usize]) -> records::Result<Batch> {
        let mut batch = Batch::new();
        self.rows.read(indices, &mut batch)?;
        Ok(batch)
    }

    /// Calls `work` with the rows at `indices`.
    pub fn with_rows<R>(
        &self,
        indices: impl Iterator<Item = usize>,
        work: impl FnOnce(Values<'_>) -> R,
    ) -> records::Result<R> {
        let pool = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = pool().pop().unwrap_or_default();
        scratch.indices.clear();
        scratch.indices.extend(indices);
        let result = self.values(&mut scratch).map(work);
        pool().push(scratch);
        result
    }

    /// Reads the rows at `scratch.indices`.
    fn values<'s>(&self, scratch: &'s mut Scratch) -> records::Result<Values<'s>> {
        let Scratch { batch, indices, buffers } = scratch;
        self.rows.read(indices, batch)?;
        self.of_batch(batch, buffers)
    }

    /// The fields of a batch, concatenated.
    fn of_batch<'s>(&self, batch: &'s Batch, buffers: &'s mut Buffers) -> records::Result<Values<'s>> {
        let Buffers { bytes, column, values } = buffers;
        if let Some(field) = self.bytes_field() {
            if field.bytes() == batch.schema().row_bytes() {
                return Ok(Values::Bytes(batch.packed()));
            }
            bytes.clear();
            batch.append_packed(&field.name, bytes)?;
            return Ok(Values::Bytes(bytes));
        }
        if let [one] = self.fields.as_slice() {
            batch.column_f32(&one.name, values)?;
            return Ok(Values::Real(values));
        }
        // Every element is overwritten.
        values.resize(batch.rows() * self.width, 0.0);
        let mut start = 0;
        for field in &self.fields {
            let elements = field.elements();
            batch.column_f32(&field.name, column)?;
            for (row, value) in values.chunks_exact_mut(self.width).zip(column.chunks_exact(elements)) {
                row[start..start + elements].copy_from_slice(value);
            }
            start += elements;
        }
        Ok(Values::Real(values))
    }

    /// Calls `work` with each of `rows`, which ascend, in order, until it breaks. Memory is constant in their number.
    pub fn scan(
        &self,
        rows: impl Iterator<Item = usize>,
        mut work: impl FnMut(Values<'_>) -> ControlFlow<()>,
    ) -> records::Result<()> {
        let block_rows = BLOCK_BYTES.div_ceil(self.rows.schema().row_bytes());
        let (mut rows, mut wanted) = (rows.peekable(), Vec::new());
        while let Some(&first) = rows.peek() {
            wanted.clear();
            while let Some(row) = rows.next_if(|row| row - first < block_rows) {
                wanted.push(row);
            }
            let last = wanted.last().copied().unwrap_or(first);
            let is_sparse = wanted.len() * SPARSE < last - first + 1;
            let mut each = |values: Values<'_>| -> ControlFlow<()> {
                wanted.iter().enumerate().try_for_each(|(i, row)| {
                    let index = if is_sparse { i } else { row - first };
                    work(values.row(index, self.width))
                })
            };
            let flow = match is_sparse {
                true => self.with_rows(wanted.iter().copied(), &mut each)?,
                // One read, although some of its rows are not wanted.
                false => self.with_rows(first..=last, &mut each)?,
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Statistics of `rows`, which ascend: per feature, or per channel of images of this shape.
    pub fn statistics(&self, rows: &[usize], shape: &[usize]) -> records::Result<Vec<Statistics>> {
        if self.bytes_field().is_some() {
            let mut sums = ByteSums::new(shape);
            self.each_bytes(rows, |row| sums.add(row))?;
            return Ok(sums.statistics());
        }
        let mut means = Means::new(shape, rows.len());
        self.each_real(rows, |row| means.add(row))?;
        let mut variances = means.variances();
        self.each_real(rows, |row| variances.add(row))?;
        Ok(variances.statistics())
    }

    fn each_bytes(&self, rows: &[usize], mut work: impl FnMut(&[u8])) -> records::Result<()> {
        self.scan(rows.iter().copied(), |row| {
            if let Values::Bytes(row) = row {
                work(row);
            }
            ControlFlow::Continue(())
        })
    }

    fn each_real(&self, rows: &[usize], mut work: impl FnMut(&[f32])) -> records::Result<()> {
        self.scan(rows.iter().copied(), |row| {
            if let Values::Real(row) = row {
                work(row);
            }
            ControlFlow::Continue(())
        })
    }

    /// Whether all of `rows`, which ascend, are the same.
    pub fn all_same(&self, rows: &[usize]) -> records::Result<bool> {
        let (mut first, mut same) = (None, true);
        self.scan(rows.iter().copied(), |row| {
            let numbers = row.to_numbers();
            same = *first.get_or_insert_with(|| numbers.clone()) == numbers;
            if same { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(same)
    }

    /// Adds the next rows to the digest.
    pub fn add_to_digest(&mut self, batch: &Batch) -> records::Result<()> {
        let mut buffers = Buffers::default();
        self.of_batch(batch, &mut buffers)?.hash(&mut self.digest);
        Ok(())
    }

    /// The digest of the rows that were added.
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// Hashes the first `count` rows.
    pub fn hash(&self, count: usize, hash: &mut Sha256) -> records::Result<()> {
        self.scan(0..count, |row| {
            row.hash(hash);
            ControlFlow::Continue(())
        })
    }
}

impl Values<'_> {
    /// The row at `index`.
    fn row(&self, index: usize, width: usize) -> Self {
        let range = index * width..(index + 1) * width;
        match self {
            Self::Bytes(bytes) => Self::Bytes(&bytes[range]),
            Self::Real(values) => Self::Real(&values[range]),
        }
    }

    /// As u8 or little-endian f32.
    fn hash(&self, hash: &mut Sha256) {
        match self {
            Self::Bytes(bytes) => hash.update(bytes),
            Self::Real(values) => hash_values(values, hash),
        }
    }

    fn to_numbers(self) -> Vec<f32> {
        match self {
            Self::Bytes(bytes) => bytes.iter().copied().map(f32::from).collect(),
            Self::Real(values) => values.to_vec(),
        }
    }
}
