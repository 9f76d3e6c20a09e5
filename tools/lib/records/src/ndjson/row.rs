//! One line into one packed row.

use super::{cursor::Cursor, infer};
use crate::{DType, Field, Schema};

/// Which fields a tool wants parsed, and how.
pub(crate) struct Wanted {
    /// These are floating-point numbers, also where they look like integers.
    pub floats: Vec<String>,
    /// Every other field too.
    pub all: bool,
    /// The element type of floating-point numbers, which JSON does not say.
    pub float: DType,
    /// The field that the tool will add, which must not be there yet.
    pub adds: Option<String>,
}

impl Wanted {
    pub fn has(&self, name: &str) -> bool {
        self.all || self.floats.iter().any(|wanted| wanted == name)
    }
}

/// Why a line is no row.
pub(crate) enum Problem {
    /// One line for the user.
    Bad(String),
    /// Field `index` was taken for integers, and here is a fraction.
    NotAnInteger(usize),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Bad(problem)
    }
}

/// Parses `line` into `row` and notes in `spans` where the fields' values stand; returns where the object closes.
pub(crate) fn parse(
    line: &[u8],
    schema: &Schema,
    wanted: &Wanted,
    row: &mut [u8],
    spans: &mut [(usize, usize)],
) -> Result<usize, Problem> {
    let mut cursor = Cursor::new(line);
    spans.fill((0, 0));
    cursor.expect(b'{')?;
    if !cursor.take(b'}') {
        // Rows of one stream mostly have one order: the field after the last is tried first.
        let mut next = 0;
        loop {
            let name = cursor.string()?;
            cursor.expect(b':')?;
            match find(schema, name, next)? {
                _ if wanted.adds.as_ref().is_some_and(|adds| adds.as_bytes() == name) => {
                    return Err(Problem::Bad(crate::reader::already_there(&String::from_utf8_lossy(name))));
                }
                Some(index) => {
                    next = index + 1;
                    field(&mut cursor, schema, index, row, &mut spans[index])?;
                }
                None if wanted.all => return Err(unknown(name, schema).into()),
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
    match spans.iter().position(|span| span.1 == 0) {
        Some(missing) => Err(Problem::Bad(format!("no field {:?}", schema.fields()[missing].name))),
        None => Ok(close),
    }
}

fn unknown(name: &[u8], schema: &Schema) -> String {
    format!("field {:?} is new; rows of this stream have {schema}", String::from_utf8_lossy(name))
}

fn find(schema: &Schema, name: &[u8], next: usize) -> Result<Option<usize>, String> {
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
    row: &mut [u8],
    span: &mut (usize, usize),
) -> Result<(), Problem> {
    let field = &schema.fields()[index];
    if span.1 != 0 {
        return Err(Problem::Bad(format!("field {:?} appears twice", field.name)));
    }
    cursor.peek();
    let start = cursor.at;
    let offset = schema.offset(index);
    let mut target = &mut row[offset..offset + field.bytes()];
    let parsed = tensor(cursor, field, &field.shape, &mut target);
    *span = (start, cursor.at);
    parsed.map_err(|problem| match problem {
        Scalar::NotAnInteger => Problem::NotAnInteger(index),
        Scalar::Bad(problem) => Problem::Bad(problem),
        Scalar::Other(problem) => Problem::Bad(format!("field {:?}: {problem}", field.name)),
    })
}

/// Why a value is not of its field's type or shape.
enum Scalar {
    NotAnInteger,
    /// Names the field itself.
    Bad(String),
    /// Does not name the field.
    Other(String),
}

impl From<String> for Scalar {
    fn from(problem: String) -> Self {
        Self::Other(problem)
    }
}

/// Takes a value of shape `dims`; `target` moves past what is written.
fn tensor(cursor: &mut Cursor<'_>, field: &Field, dims: &[usize], target: &mut &mut [u8]) -> Result<(), Scalar> {
    let Some((&dim, inner)) = dims.split_first() else {
        return scalar(cursor, field.dtype, target);
    };
    cursor.expect(b'[')?;
    for i in 0..dim {
        if i > 0 && !cursor.take(b',') {
            return Err(ragged(cursor, field, dim, i));
        }
        tensor(cursor, field, inner, target)?;
    }
    match cursor.take(b']') {
        true => Ok(()),
        false => Err(ragged(cursor, field, dim, dim)),
    }
}

/// The message that an array is too short or too long, or is no array; `seen` elements were taken.
fn ragged(cursor: &mut Cursor<'_>, field: &Field, expected: usize, mut seen: usize) -> Scalar {
    while cursor.take(b',') {
        if let Err(problem) = cursor.skip_value() {
            return Scalar::Other(problem);
        }
        seen += 1;
    }
    match cursor.take(b']') {
        true => Scalar::Bad(format!("field {:?} has {seen} values, expected {expected}", field.name)),
        false => Scalar::Other(cursor.unexpected("',' or ']'")),
    }
}

#[inline]
fn scalar(cursor: &mut Cursor<'_>, dtype: DType, target: &mut &mut [u8]) -> Result<(), Scalar> {
    match dtype {
        DType::F8 => put(target, float::<f64>(cursor)?.to_le_bytes()),
        DType::F4 => put(target, float::<f32>(cursor)?.to_le_bytes()),
        DType::F2 => put(target, half::f16::from_f64(float::<f64>(cursor)?).to_le_bytes()),
        DType::I8 => put(target, integer(cursor)?.to_le_bytes()),
        DType::B1 => match cursor.peek() {
            Some(b't' | b'f') => put(target, [u8::from(cursor.word()? == "true")]),
            _ => return Err(cursor.unexpected("true or false").into()),
        },
        DType::U1 | DType::I4 => return Err(Scalar::Other(format!("{dtype} is never inferred from JSON"))),
    }
    Ok(())
}

#[inline]
fn put<const N: usize>(target: &mut &mut [u8], bytes: [u8; N]) {
    let (head, tail) = std::mem::take(target).split_at_mut(N);
    head.copy_from_slice(&bytes);
    *target = tail;
}

#[inline]
fn float<T: fast_float2::FastFloat + Finite>(cursor: &mut Cursor<'_>) -> Result<T, Scalar> {
    let (text, _) = cursor.number()?;
    match fast_float2::parse::<T, _>(text) {
        Ok(value) if value.finite() => Ok(value),
        _ => Err(Scalar::Other(format!("{} is out of range", String::from_utf8_lossy(text)))),
    }
}

fn integer(cursor: &mut Cursor<'_>) -> Result<i64, Scalar> {
    let (text, real) = cursor.number()?;
    if real {
        return Err(Scalar::NotAnInteger);
    }
    let text = String::from_utf8_lossy(text);
    text.parse().map_err(|_| Scalar::Other(format!("{text} is out of range for i8, a 64-bit integer")))
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
