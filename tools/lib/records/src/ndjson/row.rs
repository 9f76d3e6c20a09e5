//! One line into one packed row.

use super::{cursor::Cursor, infer};
use crate::{DType, Field, Schema, origin::TextSpan, wanted::Wanted};

/// Why a line is no row.
pub(crate) enum Problem {
    /// One line for the user.
    Bad(String),
    /// Field `index` was taken for integers or booleans, and here is a fraction or a null.
    NotAnInteger(usize),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Bad(problem)
    }
}

/// Parses `line` into `row`, its texts into `heap`, and notes in `spans` where the fields' values stand; returns where
/// the object closes. With the schema goes, for each field, what may stand in it.
pub(crate) fn parse(
    line: &[u8],
    (schema, takes): (&Schema, &[Takes]),
    wanted: &Wanted,
    row: &mut [u8],
    heap: &mut Vec<u8>,
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
            if let Some(remedy) = added(wanted, name)? {
                return Err(Problem::Bad(crate::reader::already_there(&infer::decode(name)?, remedy)));
            }
            match find(schema, name, next)? {
                Some(index) => {
                    next = index + 1;
                    let out = &mut Target { row, heap, takes: takes[index] };
                    field(&mut cursor, schema, index, out, &mut spans[index])?;
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
    for missing in spans.iter().enumerate().filter(|(_, span)| span.1 == 0).map(|(missing, _)| missing) {
        let field = &schema.fields()[missing];
        if !takes[missing].absent {
            return Err(Problem::Bad(format!("no field {:?}", field.name)));
        }
        let offset = schema.offset(missing);
        row[offset..offset + field.bytes()].copy_from_slice(bytemuck::bytes_of(&TextSpan::push(heap, b"")?));
    }
    Ok(close)
}

/// What gives a field that the tool adds another name, if one of this name, however JSON spells it, is added.
fn added<'w>(wanted: &'w Wanted, name: &[u8]) -> Result<Option<&'w str>, String> {
    if wanted.adds.is_empty() {
        return Ok(None);
    }
    let find = |name: &[u8]| wanted.adds.iter().find(|(added, _)| added.as_bytes() == name).map(|(_, remedy)| remedy);
    Ok(match memchr::memchr(b'\\', name) {
        None => find(name),
        Some(_) => find(infer::decode(name)?.as_bytes()),
    }
    .map(String::as_str))
}

/// Where values go, and what may stand for them.
struct Target<'a> {
    row: &'a mut [u8],
    heap: &'a mut Vec<u8>,
    takes: Takes,
}

/// What may stand in a field of floating-point numbers beside them, or for them.
#[derive(Clone, Copy)]
pub(crate) struct Takes {
    pub null: bool,
    /// True and false for 1 and 0.
    pub booleans: bool,
    /// Any scalar, as it is written.
    pub literal: bool,
    /// Nothing at all, or a list or an object, in place of a literal.
    pub absent: bool,
}

impl Takes {
    pub fn of(name: &str, booleans: bool, wanted: &Wanted) -> Self {
        let literal = wanted.is_literal(name);
        Self { null: wanted.takes_null(name), booleans, literal, absent: literal && !wanted.computes(name) }
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
    out: &mut Target<'_>,
    span: &mut (usize, usize),
) -> Result<(), Problem> {
    let field = &schema.fields()[index];
    if span.1 != 0 {
        return Err(Problem::Bad(format!("field {:?} appears twice", field.name)));
    }
    let first = cursor.peek();
    let start = cursor.at;
    let offset = schema.offset(index);
    let mut target = &mut out.row[offset..offset + field.bytes()];
    let parsed = match first {
        Some(b'n') if out.takes.null && field.dtype != DType::Text => null(cursor, field, target),
        _ if out.takes.literal => literal(cursor, &field.name, out.takes, target, out.heap),
        _ if field.dtype == DType::Text => text(cursor, field, out.takes.null, target, out.heap),
        _ => tensor(cursor, field, &field.shape, out.takes, &mut target),
    };
    *span = (start, cursor.at);
    parsed.map_err(|problem| match problem {
        Scalar::NotAnInteger => Problem::NotAnInteger(index),
        Scalar::Bad(problem) => Problem::Bad(problem),
        Scalar::Other(problem) => Problem::Bad(format!("field {:?}: {problem}", field.name)),
    })
}

/// Takes a null in place of a whole value: a missing one, whose elements are NaN.
fn null(cursor: &mut Cursor<'_>, field: &Field, target: &mut [u8]) -> Result<(), Scalar> {
    if !cursor.bytes[cursor.at..].starts_with(b"null") {
        return Err(cursor.unexpected("a value").into());
    }
    cursor.word()?;
    if !field.dtype.is_float() {
        return Err(Scalar::NotAnInteger);
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

/// Takes a string; puts the text that it stands for into `heap`.
fn string(cursor: &mut Cursor<'_>, heap: &mut Vec<u8>) -> Result<TextSpan, String> {
    let raw = cursor.string()?;
    match memchr::memchr(b'\\', raw) {
        None => TextSpan::push(heap, raw),
        Some(_) => TextSpan::push(heap, infer::decode(raw)?.as_bytes()),
    }
}

/// Takes any scalar as it is written, a string as what it says.
fn literal(
    cursor: &mut Cursor<'_>,
    name: &str,
    takes: Takes,
    target: &mut [u8],
    heap: &mut Vec<u8>,
) -> Result<(), Scalar> {
    let start = cursor.at;
    let span = match cursor.peek() {
        Some(b'"') => string(cursor, heap)?,
        Some(b'n') if !takes.null => return Err(Scalar::Bad(infer::is_null(name))),
        Some(b'[' | b'{') if !takes.absent => return Err(cursor.unexpected("text or a number").into()),
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

/// Takes a string, or null where a text may be missing.
fn text(
    cursor: &mut Cursor<'_>,
    field: &Field,
    takes_null: bool,
    target: &mut [u8],
    heap: &mut Vec<u8>,
) -> Result<(), Scalar> {
    let span = match cursor.peek() {
        Some(b'"') => string(cursor, heap)?,
        Some(b'n') if !takes_null => {
            cursor.word()?;
            return Err(Scalar::Bad(infer::is_null(&field.name)));
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
fn tensor(
    cursor: &mut Cursor<'_>,
    field: &Field,
    dims: &[usize],
    takes: Takes,
    target: &mut &mut [u8],
) -> Result<(), Scalar> {
    let Some((&dim, inner)) = dims.split_first() else {
        return scalar(cursor, field, takes, target);
    };
    cursor.expect(b'[')?;
    for i in 0..dim {
        if i > 0 && !cursor.take(b',') {
            return Err(ragged(cursor, field, dim, i));
        }
        tensor(cursor, field, inner, takes, target)?;
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
fn scalar(cursor: &mut Cursor<'_>, field: &Field, takes: Takes, target: &mut &mut [u8]) -> Result<(), Scalar> {
    match field.dtype {
        dtype if dtype.is_float() => match cursor.peek() {
            Some(b'-' | b'0'..=b'9') if !takes.booleans => number(cursor, dtype, target)?,
            Some(b't' | b'f') if takes.booleans => put_float(dtype, boolean(cursor)?, target),
            Some(b'n') if cursor.bytes[cursor.at..].starts_with(b"null") => {
                cursor.word()?;
                if !takes.null {
                    return Err(Scalar::Bad(infer::is_null(&field.name)));
                }
                put_float(dtype, f64::NAN, target);
            }
            _ if takes.booleans => return Err(cursor.unexpected("true or false").into()),
            _ => return Err(cursor.unexpected("a number").into()),
        },
        DType::I8 => match cursor.peek() {
            Some(b'n') if takes.null => return Err(Scalar::NotAnInteger),
            _ => put(target, integer(cursor)?.to_le_bytes()),
        },
        DType::B1 => match cursor.peek() {
            Some(b't' | b'f') => put(target, [u8::from(boolean(cursor)? != 0.0)]),
            _ => return Err(cursor.unexpected("true or false").into()),
        },
        dtype => return Err(Scalar::Other(format!("{dtype} is never inferred from JSON"))),
    }
    Ok(())
}

#[inline]
fn number(cursor: &mut Cursor<'_>, dtype: DType, target: &mut &mut [u8]) -> Result<(), Scalar> {
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

/// Takes `true` or `false`, as 1 or 0.
fn boolean(cursor: &mut Cursor<'_>) -> Result<f64, Scalar> {
    Ok(f64::from(u8::from(cursor.word()? == "true")))
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
