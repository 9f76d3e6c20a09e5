//! Parsing one line into one packed row.

use super::{cursor::Cursor, infer};
use crate::{DType, Error, Field, Result, Schema, selection::Selection, source_text::TextSpan};

/// Why a line is not a row of the schema.
pub(crate) enum RowError {
    Invalid(Error),
    /// Field `index` was inferred as integers or booleans, and its value here is a fraction or null.
    NotAnInteger(usize),
}

impl<E: Into<Error>> From<E> for RowError {
    fn from(error: E) -> Self {
        Self::Invalid(error.into())
    }
}

/// Parses `line` into `row`, its texts into `heap`, and sets `spans` to the start and end of each field's value in the line;
/// returns the offset of the closing brace. `accepts` has one entry a field.
pub(crate) fn parse(
    line: &[u8],
    (schema, accepts): (&Schema, &[Accepts]),
    selection: &Selection,
    row: &mut [u8],
    heap: &mut Vec<u8>,
    spans: &mut [(usize, usize)],
) -> std::result::Result<usize, RowError> {
    let mut cursor = Cursor::new(line);
    spans.fill((0, 0));
    cursor.expect(b'{')?;
    if !cursor.take(b'}') {
        // Rows of one stream mostly have one order: the field after the last is tried first.
        let mut next = 0;
        loop {
            let name = cursor.string()?;
            cursor.expect(b':')?;
            if let Some(remedy) = added(selection, name)? {
                return Err(crate::reader::already_there(&infer::decode(name)?, remedy).into());
            }
            match find(schema, name, next)? {
                Some(index) => {
                    next = index + 1;
                    let out = &mut Target { row, heap, accepts: accepts[index] };
                    field(&mut cursor, schema, index, out, &mut spans[index])?;
                }
                None if selection.all => return Err(unknown(name, schema).into()),
                None => cursor.skip_value()?,
            }
            if !cursor.take(b',') {
                break;
            }
        }
        cursor.expect(b'}').map_err(|_| cursor.unexpected("',' or '}'"))?;
    }
    let close = cursor.at - 1;
    if cursor.peek().is_some() {
        return Err(cursor.unexpected("the end of the line").into());
    }
    for missing in spans.iter().enumerate().filter(|(_, span)| span.1 == 0).map(|(missing, _)| missing) {
        let field = &schema.fields()[missing];
        if !accepts[missing].absent {
            return Err(Error::Json(format!("no field {:?}", field.name)).into());
        }
        let offset = schema.offset(missing);
        row[offset..offset + field.bytes()].copy_from_slice(bytemuck::bytes_of(&TextSpan::push(heap, b"")?));
    }
    Ok(close)
}

/// If the tool adds a field of this name, with whatever escapes JSON writes it: the option that gives it another name.
fn added<'s>(selection: &'s Selection, name: &[u8]) -> Result<Option<&'s str>> {
    if selection.adds.is_empty() {
        return Ok(None);
    }
    let find =
        |name: &[u8]| selection.adds.iter().find(|(added, _)| added.as_bytes() == name).map(|(_, remedy)| remedy);
    Ok(match memchr::memchr(b'\\', name) {
        None => find(name),
        Some(_) => find(infer::decode(name)?.as_bytes()),
    }
    .map(String::as_str))
}

/// Where values are written, and what is accepted.
struct Target<'a> {
    row: &'a mut [u8],
    heap: &'a mut Vec<u8>,
    accepts: Accepts,
}

/// What a field accepts besides values of its type.
#[derive(Clone, Copy)]
pub(crate) struct Accepts {
    pub null: bool,
    /// In a field of floating-point numbers, true and false instead of numbers.
    pub booleans: bool,
    /// In a field of text, any scalar, as it is written.
    pub verbatim: bool,
    /// In such a field, a list, an object, or no value at all; it is then empty.
    pub absent: bool,
}

impl Accepts {
    pub fn of(name: &str, booleans: bool, selection: &Selection) -> Self {
        let verbatim = selection.is_verbatim(name);
        Self { null: selection.allows_missing(name), booleans, verbatim, absent: verbatim && !selection.requires(name) }
    }
}

fn unknown(name: &[u8], schema: &Schema) -> Error {
    Error::Json(format!("field {:?} is new; rows of this stream have {schema}", String::from_utf8_lossy(name)))
}

/// The index of the field called `name`; `next` is tried first.
fn find(schema: &Schema, name: &[u8], next: usize) -> Result<Option<usize>> {
    let fields = schema.fields();
    if fields.get(next).is_some_and(|field| field.name.as_bytes() == name) {
        return Ok(Some(next));
    }
    if memchr::memchr(b'\\', name).is_none() {
        return Ok(fields.iter().position(|field| field.name.as_bytes() == name));
    }
    let name = infer::decode(name)?;
    Ok(fields.iter().position(|field| field.name == name))
}

fn field(
    cursor: &mut Cursor<'_>,
    schema: &Schema,
    index: usize,
    out: &mut Target<'_>,
    span: &mut (usize, usize),
) -> std::result::Result<(), RowError> {
    let field = &schema.fields()[index];
    if span.1 != 0 {
        return Err(Error::DuplicateField(field.name.clone()).into());
    }
    let first = cursor.peek();
    let start = cursor.at;
    let offset = schema.offset(index);
    let mut target = &mut out.row[offset..offset + field.bytes()];
    let parsed = match first {
        Some(b'n') if out.accepts.null && field.dtype != DType::Text => null(cursor, field, target),
        _ if out.accepts.verbatim => verbatim(cursor, &field.name, out.accepts, target, out.heap),
        _ if field.dtype == DType::Text => text(cursor, field, out.accepts.null, target, out.heap),
        _ => tensor(cursor, field, &field.shape, out.accepts, &mut target),
    };
    *span = (start, cursor.at);
    parsed.map_err(|error| match error {
        ValueError::NotAnInteger => RowError::NotAnInteger(index),
        ValueError::Field(error) => RowError::Invalid(*error),
        ValueError::Value(error) => RowError::Invalid(Error::Json(format!("field {:?}: {error}", field.name))),
    })
}

/// Consumes a null instead of a value: it is missing, and its elements are NaN.
fn null(cursor: &mut Cursor<'_>, field: &Field, target: &mut [u8]) -> ValueResult<()> {
    if !cursor.bytes[cursor.at..].starts_with(b"null") {
        return Err(cursor.unexpected("a value").into());
    }
    cursor.word()?;
    if !field.dtype.is_float() {
        return Err(ValueError::NotAnInteger);
    }
    let size = field.dtype.size();
    let nan: &[u8] = match field.dtype {
        DType::F2 => &half::f16::NAN.to_le_bytes(),
        DType::F4 => &f32::NAN.to_le_bytes(),
        _ => &f64::NAN.to_le_bytes(),
    };
    target.chunks_exact_mut(size).for_each(|element| element.copy_from_slice(nan));
    Ok(())
}

/// Consumes a string; appends its text, without escapes, to `heap`.
fn string(cursor: &mut Cursor<'_>, heap: &mut Vec<u8>) -> Result<TextSpan> {
    let raw = cursor.string()?;
    match memchr::memchr(b'\\', raw) {
        None => TextSpan::push(heap, raw),
        Some(_) => TextSpan::push(heap, infer::decode(raw)?.as_bytes()),
    }
}

/// Consumes any scalar; its text is as it is written, that of a string without escapes.
fn verbatim(
    cursor: &mut Cursor<'_>,
    name: &str,
    accepts: Accepts,
    target: &mut [u8],
    heap: &mut Vec<u8>,
) -> ValueResult<()> {
    let start = cursor.at;
    let span = match cursor.peek() {
        Some(b'"') => string(cursor, heap)?,
        Some(b'n') if !accepts.null => return Err(ValueError::Field(Box::new(infer::is_null(name)))),
        Some(b'[' | b'{') if !accepts.absent => return Err(cursor.unexpected("text or a number").into()),
        Some(b'[' | b'{' | b'n') => {
            cursor.skip_value()?;
            TextSpan::push(heap, b"")?
        }
        _ => {
            cursor.skip_value()?;
            TextSpan::push(heap, &cursor.bytes[start..cursor.at])?
        }
    };
    target.copy_from_slice(bytemuck::bytes_of(&span));
    Ok(())
}

/// Consumes a string, or null where a text may be missing.
fn text(
    cursor: &mut Cursor<'_>,
    field: &Field,
    allows_missing: bool,
    target: &mut [u8],
    heap: &mut Vec<u8>,
) -> ValueResult<()> {
    let span = match cursor.peek() {
        Some(b'"') => string(cursor, heap)?,
        Some(b'n') if !allows_missing => {
            cursor.word()?;
            return Err(ValueError::Field(Box::new(infer::is_null(&field.name))));
        }
        Some(b'n') => {
            cursor.word()?;
            TextSpan::push(heap, b"")?
        }
        _ => return Err(cursor.unexpected("text, as in the rows before").into()),
    };
    target.copy_from_slice(bytemuck::bytes_of(&span));
    Ok(())
}

/// Why a value is not of its field's type or shape. Errors are boxed: they are rare, and every number returns a result.
enum ValueError {
    NotAnInteger,
    /// The error names the field.
    Field(Box<Error>),
    /// The error does not name the field.
    Value(Box<Error>),
}

type ValueResult<T> = std::result::Result<T, ValueError>;

impl<E: Into<Error>> From<E> for ValueError {
    fn from(error: E) -> Self {
        Self::Value(Box::new(error.into()))
    }
}

/// Consumes a value of shape `dims`; `target` advances past what is written.
fn tensor(
    cursor: &mut Cursor<'_>,
    field: &Field,
    dims: &[usize],
    accepts: Accepts,
    target: &mut &mut [u8],
) -> ValueResult<()> {
    let Some((&dim, inner)) = dims.split_first() else {
        return scalar(cursor, field, accepts, target);
    };
    cursor.expect(b'[')?;
    for i in 0..dim {
        if i > 0 && !cursor.take(b',') {
            return Err(ragged(cursor, field, dim, i));
        }
        tensor(cursor, field, inner, accepts, target)?;
    }
    match cursor.take(b']') {
        true => Ok(()),
        false => Err(ragged(cursor, field, dim, dim)),
    }
}

/// The error that an array is too short or too long, or is no array; `seen` elements were consumed.
fn ragged(cursor: &mut Cursor<'_>, field: &Field, expected: usize, mut seen: usize) -> ValueError {
    while cursor.take(b',') {
        if let Err(error) = cursor.skip_value() {
            return error.into();
        }
        seen += 1;
    }
    match cursor.take(b']') {
        true => {
            let text = format!("field {:?} has {seen} values, expected {expected}", field.name);
            ValueError::Field(Box::new(Error::Json(text)))
        }
        false => cursor.unexpected("',' or ']'").into(),
    }
}

#[inline]
fn scalar(cursor: &mut Cursor<'_>, field: &Field, accepts: Accepts, target: &mut &mut [u8]) -> ValueResult<()> {
    match field.dtype {
        dtype if dtype.is_float() => match cursor.peek() {
            Some(b'-' | b'0'..=b'9') if !accepts.booleans => number(cursor, dtype, target)?,
            Some(b't' | b'f') if accepts.booleans => put_float(dtype, boolean(cursor)?, target),
            Some(b'n') if cursor.bytes[cursor.at..].starts_with(b"null") => {
                cursor.word()?;
                if !accepts.null {
                    return Err(ValueError::Field(Box::new(infer::is_null(&field.name))));
                }
                put_float(dtype, f64::NAN, target);
            }
            _ if accepts.booleans => return Err(cursor.unexpected("true or false").into()),
            _ => return Err(cursor.unexpected("a number").into()),
        },
        DType::I8 => match cursor.peek() {
            Some(b'n') if accepts.null => return Err(ValueError::NotAnInteger),
            _ => put(target, integer(cursor)?.to_le_bytes()),
        },
        DType::B1 => match cursor.peek() {
            Some(b't' | b'f') => put(target, [u8::from(boolean(cursor)? != 0.0)]),
            _ => return Err(cursor.unexpected("true or false").into()),
        },
        dtype => return Err(Error::Json(format!("{dtype} is never inferred from JSON")).into()),
    }
    Ok(())
}

#[inline]
fn number(cursor: &mut Cursor<'_>, dtype: DType, target: &mut &mut [u8]) -> ValueResult<()> {
    match dtype {
        DType::F8 => put(target, float::<f64>(cursor)?.to_le_bytes()),
        DType::F4 => put(target, float::<f32>(cursor)?.to_le_bytes()),
        _ => put(target, half::f16::from_f64(float::<f64>(cursor)?).to_le_bytes()),
    }
    Ok(())
}

fn put_float(dtype: DType, value: f64, target: &mut &mut [u8]) {
    match dtype {
        DType::F8 => put(target, value.to_le_bytes()),
        DType::F4 => put(target, (value as f32).to_le_bytes()),
        _ => put(target, half::f16::from_f64(value).to_le_bytes()),
    }
}

/// Consumes `true` or `false`; returns 1 or 0.
fn boolean(cursor: &mut Cursor<'_>) -> ValueResult<f64> {
    Ok(f64::from(u8::from(cursor.word()? == "true")))
}

#[inline]
fn put<const N: usize>(target: &mut &mut [u8], bytes: [u8; N]) {
    let (head, tail) = std::mem::take(target).split_at_mut(N);
    head.copy_from_slice(&bytes);
    *target = tail;
}

#[inline]
fn float<T: fast_float2::FastFloat + Finite>(cursor: &mut Cursor<'_>) -> ValueResult<T> {
    let (text, _) = cursor.number()?;
    match fast_float2::parse::<T, _>(text) {
        Ok(value) if value.finite() => Ok(value),
        _ => Err(Error::Json(format!("{} is out of range", String::from_utf8_lossy(text))).into()),
    }
}

fn integer(cursor: &mut Cursor<'_>) -> ValueResult<i64> {
    let (text, real) = cursor.number()?;
    if real {
        return Err(ValueError::NotAnInteger);
    }
    let text = String::from_utf8_lossy(text);
    text.parse().map_err(|_| Error::Json(format!("{text} is out of range for i8, a 64-bit integer")).into())
}

trait Finite: Copy {
    fn finite(self) -> bool;
}

impl Finite for f32 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}

impl Finite for f64 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}
