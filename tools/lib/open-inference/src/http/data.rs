//! The elements of a JSON tensor, parsed into memory of their type.

use super::{
    error::{Problem, Result, Within},
    json::Cursor,
    number::Decimal,
};
use crate::DataType;
use bytemuck::NoUninit;
use bytes::Bytes;

/// Bytes of JSON that an element has at least: a digit and a comma or bracket.
const JSON_BYTES: usize = 2;

/// Bytes of the length in front of an element of `BYTES`.
const LENGTH: usize = size_of::<u32>();

/// Parses an array of `shape` and type at the cursor: flat, or nested as the shape or a part of its dimensions is. Returns the
/// elements as a [`Tensor`](crate::Tensor) holds them, aligned for their type.
pub(super) fn parse(cursor: &mut Cursor<'_>, data_type: DataType, shape: &[usize], elements: usize) -> Result<Bytes> {
    // No more than the text can fill, whatever the shape says.
    let capacity = elements.min((cursor.bytes.len() - cursor.at) / JSON_BYTES);
    let target = Target { shape, elements };
    match data_type {
        DataType::Bool => numbers::<Boolean>(cursor, &target, capacity),
        DataType::Uint8 => numbers::<u8>(cursor, &target, capacity),
        DataType::Uint16 => numbers::<u16>(cursor, &target, capacity),
        DataType::Uint32 => numbers::<u32>(cursor, &target, capacity),
        DataType::Uint64 => numbers::<u64>(cursor, &target, capacity),
        DataType::Int8 => numbers::<i8>(cursor, &target, capacity),
        DataType::Int16 => numbers::<i16>(cursor, &target, capacity),
        DataType::Int32 => numbers::<i32>(cursor, &target, capacity),
        DataType::Int64 => numbers::<i64>(cursor, &target, capacity),
        DataType::Fp32 => numbers::<f32>(cursor, &target, capacity),
        DataType::Fp64 => numbers::<f64>(cursor, &target, capacity),
        DataType::Bytes => {
            let mut strings = Strings::default();
            arrays(cursor, &target, &mut strings)?;
            Ok(strings.data.into())
        }
        DataType::Fp16 | DataType::Bf16 => Err(Problem::NoJsonForm(data_type).into()),
    }
}

/// What is expected.
struct Target<'a> {
    shape: &'a [usize],
    /// The product of `shape`.
    elements: usize,
}

/// Where elements go.
trait Sink {
    /// Elements so far.
    fn len(&self) -> usize;

    /// Parses one and appends it.
    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<()>;
}

/// The walk over nested arrays: brackets are counted, not recursed into.
fn arrays(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Result<()> {
    if cursor.peek() != Some(b'[') {
        return Err(cursor.mismatch("an array"));
    }
    let deepest = target.shape.len().max(1);
    let mut nesting = Nesting::default();
    loop {
        // An array or a run of elements begins here.
        match cursor.peek() {
            Some(b'[') => {
                if nesting.open.len() == deepest {
                    return Err(Problem::TooDeep(target.shape.to_vec()).into());
                }
                cursor.at += 1;
                nesting.open.push(0);
                if !cursor.take(b']') {
                    continue;
                }
            }
            _ => {
                let before = sink.len();
                elements(cursor, target, sink)?;
                if let Some(length) = nesting.open.last_mut() {
                    *length += sink.len() - before;
                }
            }
        }
        // An innermost array ended here.
        nesting.innermost()?;
        loop {
            nesting.close()?;
            if nesting.open.is_empty() {
                return nesting.check(target, sink.len());
            }
            if cursor.more(b']', "',' or ']'")? {
                break;
            }
        }
    }
}

/// Consumes elements of an array and its closing bracket.
#[inline]
fn elements(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Result<()> {
    loop {
        if sink.len() == target.elements {
            // What is no element at all is worse than one too many.
            sink.element(cursor).within(|| format!("[{}]", sink.len()))?;
            return Err(target.wrong_number(target.elements, true));
        }
        sink.element(cursor).within(|| format!("[{}]", sink.len()))?;
        if !cursor.more(b']', "',' or ']'")? {
            return Ok(());
        }
    }
}

impl Target<'_> {
    #[cold]
    fn wrong_number(&self, found: usize, more: bool) -> Box<super::RequestError> {
        Problem::Elements { shape: self.shape.to_vec(), expected: self.elements, found, more }.into()
    }
}

/// Open and closed arrays.
#[derive(Default)]
struct Nesting {
    /// Elements so far of each array that is open, from the outside in.
    open: Vec<usize>,
    /// Length of the arrays at each depth; None before one was closed.
    lengths: Vec<Option<usize>>,
    /// Depth of the arrays that have no arrays in them.
    depth: Option<usize>,
}

impl Nesting {
    /// Notes that the array that is open last is an innermost one.
    fn innermost(&mut self) -> Result<()> {
        if *self.depth.get_or_insert(self.open.len()) == self.open.len() { Ok(()) } else { Err(Problem::Ragged.into()) }
    }

    /// Closes the array that was opened last: an element of the one around it.
    fn close(&mut self) -> Result<()> {
        let length = self.open.pop().unwrap_or(0);
        let depth = self.open.len();
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, None);
        }
        if *self.lengths[depth].get_or_insert(length) != length {
            return Err(Problem::Ragged.into());
        }
        if let Some(outer) = self.open.last_mut() {
            *outer += 1;
        }
        Ok(())
    }

    /// After the last bracket: as many elements as the shape has, and every array one that the shape has too. Its lengths
    /// are then the shape, or products of consecutive dimensions of it.
    fn check(self, target: &Target<'_>, elements: usize) -> Result<()> {
        if elements != target.elements {
            return Err(target.wrong_number(elements, false));
        }
        let found: Vec<usize> = self.lengths.into_iter().flatten().collect();
        let products = |dims: &[usize]| {
            dims.iter()
                .scan(1_usize, |product, &dim| {
                    *product = product.saturating_mul(dim);
                    Some(*product)
                })
                .collect::<Vec<_>>()
        };
        let mut bounds = products(target.shape).into_iter();
        let scalar = target.shape.is_empty();
        if scalar || products(&found).into_iter().all(|product| bounds.any(|bound| bound == product)) {
            return Ok(());
        }
        Err(Problem::Nesting { found, shape: target.shape.to_vec() }.into())
    }
}

/// Elements of `BYTES`: strings.
#[derive(Default)]
struct Strings {
    data: Vec<u8>,
    number: usize,
}

impl Sink for Strings {
    fn len(&self) -> usize {
        self.number
    }

    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let text = cursor.string()?;
        let length = u32::try_from(text.len()).map_err(|_| too_long(&text))?;
        self.data.reserve(LENGTH + text.len());
        self.data.extend(length.to_le_bytes());
        self.data.extend(text.as_bytes());
        self.number += 1;
        Ok(())
    }
}

#[cold]
fn too_long(text: &str) -> Box<super::RequestError> {
    Problem::OutOfRange { text: format!("a string of {} bytes", text.len()), data_type: DataType::Bytes }.into()
}

/// An element with a JSON form of fixed size.
trait Number: NoUninit + Send + Sync {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self>;
}

impl<T: Number> Sink for Vec<T> {
    #[inline]
    fn len(&self) -> usize {
        Vec::len(self)
    }

    #[inline]
    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        self.push(T::parse(cursor)?);
        Ok(())
    }
}

fn numbers<T: Number>(cursor: &mut Cursor<'_>, target: &Target<'_>, capacity: usize) -> Result<Bytes> {
    let mut values: Vec<T> = Vec::with_capacity(capacity);
    arrays(cursor, target, &mut values)?;
    Ok(Bytes::from_owner(Aligned(values)))
}

/// Numbers as the bytes that they are.
struct Aligned<T>(Vec<T>);

impl<T: NoUninit> AsRef<[u8]> for Aligned<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// An element of `BOOL`: 0 or 1.
#[derive(Clone, Copy, NoUninit)]
#[repr(transparent)]
struct Boolean(u8);

impl Number for Boolean {
    /// Beside booleans, the numbers 0 and 1.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        match cursor.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let (decimal, text) = cursor.number()?;
                match decimal.integer(text) {
                    Some((false, value @ (0 | 1))) => Ok(Self(value as u8)),
                    _ => Err(out_of_range(text, DataType::Bool)),
                }
            }
            _ => cursor.boolean().map(|value| Self(value.into())),
        }
    }
}

macro_rules! integers {
    ($($number:ty: $data_type:ident),+) => {$(
        impl Number for $number {
            #[inline]
            fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
                let (decimal, text) = cursor.number()?;
                signed(&decimal, text).and_then(|value| value.try_into().ok()).ok_or_else(|| no_integer(&decimal, text, DataType::$data_type))
            }
        }
    )+};
}

integers!(u8: Uint8, u16: Uint16, u32: Uint32, u64: Uint64, i8: Int8, i16: Int16, i32: Int32, i64: Int64);

#[inline]
fn signed(decimal: &Decimal, text: &[u8]) -> Option<i128> {
    let (negative, magnitude) = decimal.integer(text)?;
    Some(if negative { -i128::from(magnitude) } else { magnitude.into() })
}

macro_rules! floats {
    ($($number:ty: $data_type:ident, $round:ident);+) => {$(
        impl Number for $number {
            #[inline]
            fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
                let (decimal, text) = cursor.number()?;
                let value = decimal.$round(text);
                if value.is_finite() { Ok(value) } else { Err(out_of_range(text, DataType::$data_type)) }
            }
        }
    )+};
}

floats!(f32: Fp32, to_f32; f64: Fp64, to_f64);

#[cold]
fn no_integer(decimal: &Decimal, text: &[u8], data_type: DataType) -> Box<super::RequestError> {
    if decimal.is_real() { Problem::NotAnInteger(quoted(text)).into() } else { out_of_range(text, data_type) }
}

#[cold]
fn out_of_range(text: &[u8], data_type: DataType) -> Box<super::RequestError> {
    Problem::OutOfRange { text: quoted(text), data_type }.into()
}

/// The beginning of a number, for an error.
pub(super) fn quoted(text: &[u8]) -> String {
    /// Digits of a number that tell which one it is.
    const SHOWN: usize = 32;
    let text = String::from_utf8_lossy(text);
    match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => format!("{start}…"),
        _ => text.into_owned(),
    }
}
