//! Some rows in memory: packed as NPY packs them, and with their text where they came as NDJSON.

use crate::{DType, Element, Encoding, Error, Field, Place, Result, Schema};
use half::f16;
use std::sync::Arc;

/// Consecutive rows of a stream.
///
/// Rows are packed without padding, fields in schema order, little-endian. Rows that came as NDJSON
/// keep their text as well, so that what no tool asked for passes through byte for byte.
pub struct Batch {
    source: Arc<str>,
    schema: Arc<Schema>,
    first_row: u64,
    rows: usize,
    packed: Vec<u8>,
    pub(crate) text: Option<Text>,
    /// On the first batch of an array: how many rows the array promises.
    pub(crate) announced: Option<u64>,
}

/// The lines that rows came from.
#[derive(Default)]
pub(crate) struct Text {
    /// The lines, with whatever stood between them.
    pub bytes: Vec<u8>,
    pub lines: Vec<Line>,
    /// For each row and each field that was parsed, where its value stands within `bytes`.
    pub spans: Vec<(usize, usize)>,
    /// For each field that was parsed, whether a tool has set it since.
    pub edited: Vec<bool>,
}

/// One line that holds a row; offsets into [`Text::bytes`].
pub(crate) struct Line {
    /// Counted from 1 in the whole stream; blank lines count.
    pub number: u64,
    pub start: usize,
    /// Where the closing brace stands.
    pub close: usize,
    /// Where the line ends, without its newline.
    pub end: usize,
}

impl Batch {
    /// An empty batch, to be filled by [`crate::Reader::read`].
    pub fn new() -> Self {
        let schema = Schema::new(vec![Field::new("values", DType::F4, &[])]);
        Self {
            source: "".into(),
            schema: Arc::new(schema.expect("one scalar field is a valid schema")),
            first_row: 0,
            rows: 0,
            packed: Vec::new(),
            text: None,
            announced: None,
        }
    }

    /// A batch of packed rows that a tool made: `packed` holds whole rows of `schema`.
    ///
    /// # Errors
    /// When `packed` is not a whole number of rows.
    pub fn from_packed(source: &str, schema: &Arc<Schema>, first_row: u64, packed: Vec<u8>) -> Result<Self> {
        let source: Arc<str> = source.into();
        if !packed.len().is_multiple_of(schema.row_bytes()) {
            return Err(Place::whole(&source).error("packed bytes are not a whole number of rows"));
        }
        let rows = packed.len() / schema.row_bytes();
        Ok(Self { source, schema: schema.clone(), first_row, rows, packed, text: None, announced: None })
    }

    /// Starts over with `rows` packed rows and no text; the bytes returned are to be overwritten.
    pub(crate) fn start_packed(
        &mut self,
        source: &Arc<str>,
        schema: &Arc<Schema>,
        first_row: u64,
        rows: usize,
    ) -> &mut [u8] {
        self.source = source.clone();
        self.schema = schema.clone();
        (self.first_row, self.rows, self.text, self.announced) = (first_row, rows, None, None);
        // Only bytes beyond the last batch's are zeroed.
        self.packed.resize(rows * schema.row_bytes(), 0);
        &mut self.packed
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The position of the first row in the whole stream, counted from 0.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// What every row looks like.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The rows, packed.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The encoding the rows came in.
    pub fn encoding(&self) -> Encoding {
        if self.text.is_some() { Encoding::Ndjson } else { Encoding::Npy }
    }

    /// Where row `index` of this batch stands in the stream, for messages.
    pub fn place(&self, index: usize) -> Place {
        match &self.text {
            Some(text) => Place::line(&self.source, text.lines[index].number),
            None => Place::row(&self.source, self.first_row + index as u64),
        }
    }

    /// The field called `name`.
    ///
    /// # Errors
    /// One line with the fields that there are.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.index_of(name).map(|index| &self.schema.fields()[index])
    }

    fn index_of(&self, name: &str) -> Result<usize> {
        self.schema.index_of(name).map_err(|e| Place::whole(&self.source).error(e))
    }

    /// Copies a field's values, row by row, to `values` (overwritten): `[rows × elements]`.
    ///
    /// # Errors
    /// When there is no such field, or its element type is another.
    pub fn column<T: Element>(&self, name: &str, values: &mut Vec<T>) -> Result<()> {
        let index = self.index_of(name)?;
        let field = &self.schema.fields()[index];
        if field.dtype != T::DTYPE {
            return Err(self.wrong_dtype(field, T::DTYPE.name()));
        }
        values.resize(self.rows * field.elements(), T::zeroed());
        let target: &mut [u8] = bytemuck::cast_slice_mut(values);
        let (size, offset) = (field.bytes(), self.schema.offset(index));
        if size == self.schema.row_bytes() {
            target.copy_from_slice(&self.packed);
            return Ok(());
        }
        let rows = self.packed.chunks_exact(self.schema.row_bytes());
        for (row, value) in rows.zip(target.chunks_exact_mut(size)) {
            value.copy_from_slice(&row[offset..offset + size]);
        }
        Ok(())
    }

    /// As [`Batch::column`], from any element type to the nearest `f32`.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn column_f32(&self, name: &str, values: &mut Vec<f32>) -> Result<()> {
        self.convert(name, values, ToF32)
    }

    /// As [`Batch::column`], from any element type to the nearest `f64`.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn column_f64(&self, name: &str, values: &mut Vec<f64>) -> Result<()> {
        self.convert(name, values, ToF64)
    }

    /// As [`Batch::column`], from any element type to bytes, where all values are some.
    ///
    /// # Errors
    /// When there is no such field, or a value is no whole number from 0 to 255: its place is named.
    pub fn column_u8(&self, name: &str, values: &mut Vec<u8>) -> Result<()> {
        let field = self.field(name)?;
        if field.dtype == DType::U1 {
            return self.column(name, values);
        }
        let mut reals = Vec::new();
        self.column_f64(name, &mut reals)?;
        // A cast saturates: what does not come back the same was no byte.
        if let Some(bad) = reals.iter().position(|&x| f64::from(x as u8) != x) {
            let problem = format!("field {name:?} has {}; expected whole numbers from 0 to 255", reals[bad]);
            return Err(self.place(bad / field.elements()).error(problem));
        }
        values.clear();
        values.extend(reals.iter().map(|&x| x as u8));
        Ok(())
    }

    fn convert<C: Convert>(&self, name: &str, values: &mut Vec<C::Output>, convert: C) -> Result<()> {
        fn through<T: Element, C: Convert>(
            batch: &Batch,
            name: &str,
            values: &mut Vec<C::Output>,
            convert: C,
        ) -> Result<()> {
            let mut exact = Vec::<T>::new();
            batch.column(name, &mut exact)?;
            values.clear();
            values.extend(exact.into_iter().map(|v| convert.apply(v)));
            Ok(())
        }
        match self.field(name)?.dtype {
            DType::U1 => through::<u8, C>(self, name, values, convert),
            DType::I4 => through::<i32, C>(self, name, values, convert),
            DType::I8 => through::<i64, C>(self, name, values, convert),
            DType::F2 => through::<f16, C>(self, name, values, convert),
            DType::F4 => through::<f32, C>(self, name, values, convert),
            DType::F8 => through::<f64, C>(self, name, values, convert),
            DType::B1 => through::<Bool, C>(self, name, values, convert),
        }
    }

    /// Sets a field of every row: overwrites the one of that name, or adds it at the end.
    /// `values` is `[rows × product(shape)]`.
    ///
    /// # Errors
    /// When a field of that name exists with another element type or shape, or `values` has another length.
    pub fn set_column<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) -> Result<()> {
        let field = Field::new(name, T::DTYPE, shape);
        if values.len() != self.rows * field.elements() {
            return Err(Place::whole(&self.source).error(format!(
                "{} values for field {name:?} of {} rows",
                values.len(),
                self.rows
            )));
        }
        match self.schema.index_of(name) {
            Ok(index) if self.schema.fields()[index] != field => {
                let existing = &self.schema.fields()[index];
                Err(Place::whole(&self.source).error(format!("field {existing} cannot be replaced by {field}")))
            }
            Ok(index) => {
                self.overwrite(index, bytemuck::cast_slice(values));
                Ok(())
            }
            Err(_) => self.append(field, bytemuck::cast_slice(values)),
        }
    }

    fn overwrite(&mut self, index: usize, values: &[u8]) {
        let (size, offset) = (self.schema.fields()[index].bytes(), self.schema.offset(index));
        for (row, value) in self.packed.chunks_exact_mut(self.schema.row_bytes()).zip(values.chunks_exact(size)) {
            row[offset..offset + size].copy_from_slice(value);
        }
        if let Some(edited) = self.text.as_mut().and_then(|text| text.edited.get_mut(index)) {
            *edited = true;
        }
    }

    fn append(&mut self, field: Field, values: &[u8]) -> Result<()> {
        let size = field.bytes();
        let fields = self.schema.fields().iter().cloned().chain([field]).collect();
        let schema = Schema::new(fields).map_err(|e| Place::whole(&self.source).error(e))?;
        let mut packed = Vec::with_capacity(self.rows * schema.row_bytes());
        for (row, value) in self.packed.chunks_exact(self.schema.row_bytes()).zip(values.chunks_exact(size)) {
            packed.extend_from_slice(row);
            packed.extend_from_slice(value);
        }
        (self.packed, self.schema) = (packed, Arc::new(schema));
        Ok(())
    }

    /// The error for a field whose element type a tool cannot use.
    pub fn wrong_dtype(&self, field: &Field, expected: &str) -> Error {
        let problem = format!("field {:?} has dtype {}, expected {expected}", field.name, field.dtype);
        Place::whole(&self.source).error(problem)
    }

    /// The error for a field whose shape a tool cannot use.
    pub fn wrong_shape(&self, field: &Field, expected: &str) -> Error {
        Place::whole(&self.source).error(format!("field {field} has the wrong shape, expected {expected}"))
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// A boolean byte; any value but 0 counts as true, as in NumPy.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
struct Bool(u8);

impl Element for Bool {
    const DTYPE: DType = DType::B1;
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self.0 != 0))
    }
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
}

/// Which of an element's two widenings is wanted.
trait Convert: Copy {
    type Output;
    fn apply<T: Element>(self, value: T) -> Self::Output;
}

#[derive(Clone, Copy)]
struct ToF32;
#[derive(Clone, Copy)]
struct ToF64;

impl Convert for ToF32 {
    type Output = f32;
    fn apply<T: Element>(self, value: T) -> f32 {
        value.to_f32()
    }
}

impl Convert for ToF64 {
    type Output = f64;
    fn apply<T: Element>(self, value: T) -> f64 {
        value.to_f64()
    }
}
