//! Consecutive rows in memory: packed as in NPY, with the text that they were parsed from.

use crate::{
    DType, Element, Encoding, Error, Field, Location, Result, Schema,
    convert::{Bool, Convert, ToF32, ToF64},
    source_text::{Cells, Text, TextSpan},
};
use half::f16;
use std::sync::Arc;

/// Consecutive rows of a stream.
///
/// Rows are packed without padding, fields in schema order, little-endian. Rows from NDJSON or CSV keep their text as
/// well, so that fields that the tool does not select are written as they were read.
pub struct Batch {
    source: Arc<str>,
    schema: Arc<Schema>,
    first_row: u64,
    rows: usize,
    packed: Vec<u8>,
    /// The bytes of texts: elements of type [`DType::Text`] are spans of it.
    pub(crate) heap: Vec<u8>,
    pub(crate) text: Option<Text>,
    pub(crate) cells: Option<Cells>,
    /// For each field, whether the tool has set it. May be shorter than the schema: the others are not set.
    computed: Vec<bool>,
    /// On the first batch of an array: the number of rows in its header.
    pub(crate) announced: Option<u64>,
}

/// The values of a column, row by row.
#[derive(Debug, Clone)]
pub enum Values<'a> {
    /// `[rows, shape…]`, little-endian, of the field's element type.
    Packed(&'a [u8]),
    /// `[rows]`; a missing text is empty.
    Texts(Vec<&'a str>),
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
            heap: Vec::new(),
            text: None,
            cells: None,
            computed: Vec::new(),
            announced: None,
        }
    }

    /// A batch that a tool computed: `packed` holds whole rows of `schema`, which has no text. Messages name it `source`, and
    /// count rows from `first_row`.
    ///
    /// # Errors
    /// When `packed` is not a whole number of rows, or a field is text.
    pub fn from_packed(source: &str, schema: &Arc<Schema>, first_row: u64, packed: Vec<u8>) -> Result<Self> {
        let source: Arc<str> = source.into();
        if !packed.len().is_multiple_of(schema.row_bytes()) {
            return Err(Location::whole(&source).error("packed bytes are not a whole number of rows"));
        }
        if let Some(text) = schema.fields().iter().find(|field| field.dtype == DType::Text) {
            return Err(Location::whole(&source).error(format!("packed bytes hold no text, and field {text} is one")));
        }
        let rows = packed.len() / schema.row_bytes();
        let computed = vec![true; schema.fields().len()];
        Ok(Self { source, schema: schema.clone(), first_row, rows, packed, computed, ..Self::new() })
    }

    /// A batch of `rows` rows that a tool computed, from columns in this order.
    ///
    /// # Errors
    /// When a column has another number of rows or another type than its field, or [`Schema::new`] refuses the fields.
    pub fn from_columns(source: &str, first_row: u64, rows: usize, columns: &[(Field, Values<'_>)]) -> Result<Self> {
        let source: Arc<str> = source.into();
        let location = || Location::whole(&source);
        let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect());
        let schema = schema.map_err(|e| location().error(e))?;
        let mut packed = vec![0; rows * schema.row_bytes()];
        let mut heap = Vec::new();
        for (index, (field, values)) in columns.iter().enumerate() {
            let spans: Vec<TextSpan>;
            let (bytes, is_text): (&[u8], _) = match values {
                Values::Packed(bytes) => (bytes, false),
                Values::Texts(texts) => {
                    let span = |text: &&str| TextSpan::push(&mut heap, text.as_bytes());
                    spans = texts
                        .iter()
                        .map(span)
                        .collect::<std::result::Result<_, _>>()
                        .map_err(|e| location().error(e))?;
                    (bytemuck::cast_slice(&spans), true)
                }
            };
            if bytes.len() != rows * field.bytes() || is_text != (field.dtype == DType::Text) {
                return Err(location().error(format!("field {field} has values of another number or type")));
            }
            let (size, offset) = (field.bytes(), schema.offset(index));
            for (row, value) in packed.chunks_exact_mut(schema.row_bytes()).zip(bytes.chunks_exact(size)) {
                row[offset..offset + size].copy_from_slice(value);
            }
        }
        Ok(Self { source, schema: Arc::new(schema), first_row, rows, packed, heap, ..Self::new() })
    }

    /// Resets the batch to `rows` packed rows and no text. The rows that are returned hold old bytes, to be overwritten.
    pub(crate) fn start_packed(
        &mut self,
        source: &Arc<str>,
        schema: &Arc<Schema>,
        first_row: u64,
        rows: usize,
    ) -> &mut [u8] {
        self.source = source.clone();
        self.schema = schema.clone();
        (self.first_row, self.rows, self.announced) = (first_row, rows, None);
        (self.text, self.cells) = (None, None);
        self.computed.clear();
        self.heap.clear();
        // Zeroes only bytes beyond those of the previous batch.
        self.packed.resize(rows * schema.row_bytes(), 0);
        &mut self.packed
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The index of the first row in the stream, from 0.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// The fields of every row.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// `[rows, row_bytes]`, packed.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Packed rows and the heap of their texts, to be written by a parser.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut Vec<u8>) {
        (&mut self.packed, &mut self.heap)
    }

    /// The encoding that the rows were read in; NPY for rows that a tool computed.
    pub fn encoding(&self) -> Encoding {
        match (&self.text, &self.cells) {
            (Some(_), _) => Encoding::Ndjson,
            (None, Some(cells)) => Encoding::Csv { delimiter: cells.delimiter },
            (None, None) => Encoding::Npy,
        }
    }

    /// Whether field `index` is as it was read: then NaN stands for a missing value.
    pub(crate) fn is_as_read(&self, index: usize) -> bool {
        match self.text.is_some() || self.cells.is_some() {
            true => self.is_parsed(index),
            false => !self.computed.get(index).copied().unwrap_or(false),
        }
    }

    /// Whether field `index` was parsed from text, and no tool has set it since.
    pub(crate) fn is_parsed(&self, index: usize) -> bool {
        let edited = self.text.as_ref().map(|text| &text.edited).or(self.cells.as_ref().map(|cells| &cells.edited));
        edited.and_then(|edited| edited.get(index)).is_some_and(|edited| !edited)
    }

    /// The location of row `index` of this batch in the stream, for messages.
    pub fn location(&self, index: usize) -> Location {
        match (&self.text, &self.cells) {
            (Some(text), _) => Location::line(&self.source, text.lines[index].number),
            (None, Some(cells)) => Location::line(&self.source, cells.lines[index]),
            (None, None) => Location::row(&self.source, self.first_row + index as u64),
        }
    }

    /// The field called `name`.
    ///
    /// # Errors
    /// [`Error::NoField`], which lists the fields.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.index_of(name).map(|index| &self.schema.fields()[index])
    }

    fn index_of(&self, name: &str) -> Result<usize> {
        self.schema.index_of(name).map_err(|e| Location::whole(&self.source).error(e))
    }

    /// Copies a field to `values` (overwritten): `[rows, shape…]`.
    ///
    /// # Errors
    /// When there is no such field, or its element type is another.
    pub fn column<T: Element>(&self, name: &str, values: &mut Vec<T>) -> Result<()> {
        values.resize(self.rows * self.field(name)?.elements(), T::zeroed());
        self.copy_column(name, values)
    }

    /// As [`Batch::column`], to `values` of that length.
    ///
    /// # Errors
    /// As [`Batch::column`].
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn copy_column<T: Element>(&self, name: &str, values: &mut [T]) -> Result<()> {
        let index = self.index_of(name)?;
        let field = &self.schema.fields()[index];
        if field.dtype != T::DTYPE {
            return Err(self.wrong_dtype(field, T::DTYPE.name()));
        }
        assert_eq!(values.len(), self.rows * field.elements(), "elements of field {name}");
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

    /// Appends a field, `[rows, shape…]` as packed bytes, to `bytes`.
    ///
    /// # Errors
    /// When there is no such field, or it is text.
    pub fn append_packed(&self, name: &str, bytes: &mut Vec<u8>) -> Result<()> {
        let index = self.index_of(name)?;
        let field = &self.schema.fields()[index];
        if field.dtype == DType::Text {
            return Err(Location::whole(&self.source).error(Error::NotNumeric(name.to_owned())));
        }
        let offset = self.schema.offset(index);
        let rows = self.packed.chunks_exact(self.schema.row_bytes());
        rows.for_each(|row| bytes.extend_from_slice(&row[offset..offset + field.bytes()]));
        Ok(())
    }

    /// The line that row `index` of this batch begins on, from 1; None for rows that are not from text.
    pub fn line(&self, index: usize) -> Option<u64> {
        let of_text = self.text.as_ref().map(|text| text.lines[index].number);
        of_text.or_else(|| self.cells.as_ref().map(|cells| cells.lines[index]))
    }

    /// As [`Batch::column`], converted from any numeric element type to the nearest `f32`.
    ///
    /// # Errors
    /// When there is no such field, or it is text.
    pub fn column_f32(&self, name: &str, values: &mut Vec<f32>) -> Result<()> {
        if self.field(name)?.dtype == DType::F4 {
            return self.column(name, values);
        }
        self.convert(name, values, ToF32)
    }

    /// As [`Batch::column`], converted from any numeric element type to `f64`, exactly.
    ///
    /// # Errors
    /// When there is no such field, it is text, or an integer is no `f64`: the error has its location.
    pub fn column_f64(&self, name: &str, values: &mut Vec<f64>) -> Result<()> {
        let field = self.field(name)?;
        if field.dtype == DType::F8 {
            return self.column(name, values);
        }
        self.convert(name, values, ToF64)?;
        let inexact = match field.dtype {
            DType::I8 => self.first_inexact::<i64>(name, values, |exact, x| x as i128 == i128::from(exact))?,
            DType::U8 => self.first_inexact::<u64>(name, values, |exact, x| x as i128 == i128::from(exact))?,
            _ => None,
        };
        match inexact {
            Some((bad, exact)) => {
                let problem = format!("field {name:?} has {exact}, which no f8 holds exactly (beyond 2^53)");
                Err(self.location(bad / field.elements()).error(problem))
            }
            None => Ok(()),
        }
    }

    /// The first integer that its `f64` does not equal: index and text.
    fn first_inexact<T: Element + std::fmt::Display>(
        &self,
        name: &str,
        reals: &[f64],
        same: impl Fn(T, f64) -> bool,
    ) -> Result<Option<(usize, String)>> {
        let mut exact = Vec::<T>::new();
        self.column(name, &mut exact)?;
        let bad = exact.iter().zip(reals).position(|(&exact, &x)| !same(exact, x));
        Ok(bad.map(|bad| (bad, exact[bad].to_string())))
    }

    /// The texts of a field, `[rows]`; a missing one is empty.
    ///
    /// # Errors
    /// When there is no such field, or it holds numbers.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let index = self.index_of(name)?;
        let field = &self.schema.fields()[index];
        if field.dtype != DType::Text {
            return Err(self.wrong_dtype(field, "text"));
        }
        let offset = self.schema.offset(index);
        let rows = self.packed.chunks_exact(self.schema.row_bytes());
        let text = |row: &[u8]| {
            let span: TextSpan = bytemuck::pod_read_unaligned(&row[offset..offset + size_of::<TextSpan>()]);
            // Readers check that their input is UTF-8, and tools hand in `str`.
            std::str::from_utf8(span.of(&self.heap)).unwrap_or_default()
        };
        // Borrowed from the heap for as long as the batch is.
        Ok(rows.map(text).collect())
    }

    /// Adds a field of texts, one a row.
    ///
    /// # Errors
    /// When a field of that name exists, or there is another number of texts.
    pub fn add_texts<'a>(&mut self, name: &str, texts: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let location = Location::whole(&self.source);
        let mut spans = Vec::with_capacity(self.rows);
        for text in texts {
            let span = TextSpan::push(&mut self.heap, text.as_bytes());
            spans.push(span.map_err(|problem| location.clone().error(format!("field {name:?}: {problem}")))?);
        }
        if spans.len() != self.rows {
            return Err(location.error(format!("{} texts for field {name:?} of {} rows", spans.len(), self.rows)));
        }
        match self.schema.index_of(name) {
            Ok(_) => Err(location.error(format!("field {name:?} is already there"))),
            Err(_) => self.append(Field::new(name, DType::Text, &[]), bytemuck::cast_slice(&spans)),
        }
    }

    /// As [`Batch::column`], converted from any numeric element type to bytes.
    ///
    /// # Errors
    /// When there is no such field, or a value is no integer from 0 to 255: the error has its location.
    pub fn column_u8(&self, name: &str, values: &mut Vec<u8>) -> Result<()> {
        let field = self.field(name)?;
        if field.dtype == DType::U1 {
            return self.column(name, values);
        }
        let mut reals = Vec::new();
        self.column_f64(name, &mut reals)?;
        // The cast truncates and saturates: a value that it changes is no byte.
        if let Some(bad) = reals.iter().position(|&x| f64::from(x as u8) != x) {
            let problem = format!("field {name:?} has {}; expected whole numbers from 0 to 255", reals[bad]);
            return Err(self.location(bad / field.elements()).error(problem));
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
            DType::I1 => through::<i8, C>(self, name, values, convert),
            DType::I2 => through::<i16, C>(self, name, values, convert),
            DType::I4 => through::<i32, C>(self, name, values, convert),
            DType::I8 => through::<i64, C>(self, name, values, convert),
            DType::U1 => through::<u8, C>(self, name, values, convert),
            DType::U2 => through::<u16, C>(self, name, values, convert),
            DType::U4 => through::<u32, C>(self, name, values, convert),
            DType::U8 => through::<u64, C>(self, name, values, convert),
            DType::F2 => through::<f16, C>(self, name, values, convert),
            DType::F4 => through::<f32, C>(self, name, values, convert),
            DType::F8 => through::<f64, C>(self, name, values, convert),
            DType::B1 => through::<Bool, C>(self, name, values, convert),
            DType::Text => Err(Location::whole(&self.source).error(Error::NotNumeric(name.to_owned()))),
        }
    }

    /// Sets a field to `values`, `[rows, shape…]`: the one of that name, or a new one after the others.
    ///
    /// # Errors
    /// When a field of that name exists with another element type or shape, or `values` has another length.
    pub fn set_column<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) -> Result<()> {
        let field = Field::new(name, T::DTYPE, shape);
        if values.len() != self.rows * field.elements() {
            return Err(Location::whole(&self.source).error(format!(
                "{} values for field {name:?} of {} rows",
                values.len(),
                self.rows
            )));
        }
        match self.schema.index_of(name) {
            Ok(index) if self.schema.fields()[index] != field => {
                let existing = &self.schema.fields()[index];
                Err(Location::whole(&self.source).error(format!("field {existing} cannot be replaced by {field}")))
            }
            Ok(index) => {
                self.overwrite(index, bytemuck::cast_slice(values));
                Ok(())
            }
            Err(_) => self.append(field, bytemuck::cast_slice(values)),
        }
    }

    /// As [`Batch::set_column`], for an existing field, whose element type and shape may change.
    ///
    /// # Errors
    /// When there is no such field, or `values` has another length.
    pub fn replace_column<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) -> Result<()> {
        let index = self.index_of(name)?;
        let field = Field::new(name, T::DTYPE, shape);
        if self.schema.fields()[index] == field {
            return self.set_column(name, shape, values);
        }
        let size = field.bytes();
        if values.len() != self.rows * field.elements() {
            let (found, rows) = (values.len(), self.rows);
            return Err(
                Location::whole(&self.source).error(format!("{found} values for field {name:?} of {rows} rows"))
            );
        }
        let old = self.schema.offset(index)..self.schema.offset(index) + self.schema.fields()[index].bytes();
        let mut fields = self.schema.fields().to_vec();
        fields[index] = field;
        let schema = Schema::new(fields).map_err(|e| Location::whole(&self.source).error(e))?;
        let mut packed = Vec::with_capacity(self.rows * schema.row_bytes());
        let values: &[u8] = bytemuck::cast_slice(values);
        for (row, value) in self.packed.chunks_exact(self.schema.row_bytes()).zip(values.chunks_exact(size)) {
            packed.extend_from_slice(&row[..old.start]);
            packed.extend_from_slice(value);
            packed.extend_from_slice(&row[old.end..]);
        }
        (self.packed, self.schema) = (packed, Arc::new(schema));
        self.mark_edited(index);
        Ok(())
    }

    fn overwrite(&mut self, index: usize, values: &[u8]) {
        let (size, offset) = (self.schema.fields()[index].bytes(), self.schema.offset(index));
        for (row, value) in self.packed.chunks_exact_mut(self.schema.row_bytes()).zip(values.chunks_exact(size)) {
            row[offset..offset + size].copy_from_slice(value);
        }
        self.mark_edited(index);
    }

    fn mark_edited(&mut self, index: usize) {
        self.computed.resize(self.computed.len().max(index + 1), false);
        self.computed[index] = true;
        let texts = self.text.as_mut().map(|text| &mut text.edited);
        let edited = texts.or(self.cells.as_mut().map(|cells| &mut cells.edited));
        if let Some(edited) = edited.and_then(|edited| edited.get_mut(index)) {
            *edited = true;
        }
    }

    fn append(&mut self, field: Field, values: &[u8]) -> Result<()> {
        let size = field.bytes();
        let fields = self.schema.fields().iter().cloned().chain([field]).collect();
        let schema = Schema::new(fields).map_err(|e| Location::whole(&self.source).error(e))?;
        let mut packed = Vec::with_capacity(self.rows * schema.row_bytes());
        for (row, value) in self.packed.chunks_exact(self.schema.row_bytes()).zip(values.chunks_exact(size)) {
            packed.extend_from_slice(row);
            packed.extend_from_slice(value);
        }
        (self.packed, self.schema) = (packed, Arc::new(schema));
        self.mark_edited(self.schema.fields().len() - 1);
        Ok(())
    }

    /// The error, located at the stream as a whole.
    pub fn error(&self, error: impl Into<Error>) -> Error {
        Location::whole(&self.source).error(error)
    }

    /// [`Error::WrongDType`] of a field.
    pub fn wrong_dtype(&self, field: &Field, expected: &str) -> Error {
        let (name, expected) = (field.name.clone(), expected.to_owned());
        Location::whole(&self.source).error(Error::WrongDType { name, found: field.dtype, expected })
    }

    /// [`Error::WrongShape`] of a field.
    pub fn wrong_shape(&self, field: &Field, expected: &str) -> Error {
        let (field, expected) = (field.to_string(), expected.to_owned());
        Location::whole(&self.source).error(Error::WrongShape { field, expected })
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
