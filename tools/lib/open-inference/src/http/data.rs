//! The elements of a JSON tensor, parsed into memory of their type.

use super::{
    error::{Problem, Result, Within},
    json::Cursor,
    number::{Boolean, Number},
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
    let target = Target { shape: Some(shape), depth: shape.len().max(1), elements };
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
            Ok(strings.into_bytes())
        }
        DataType::Fp16 | DataType::Bf16 => Err(Problem::NoJsonForm(data_type).into()),
    }
}

/// What is expected.
pub(super) struct Target<'a> {
    /// None where the text says it.
    pub shape: Option<&'a [usize]>,
    /// The deepest that arrays may be nested.
    pub depth: usize,
    /// The product of `shape`; without one, the most elements that there may be.
    pub elements: usize,
}

/// Where elements go.
pub(super) trait Sink {
    /// Elements so far.
    fn len(&self) -> usize;

    /// Parses one and appends it.
    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<()>;

    /// Parses and appends elements that are as most are, and stops in front of the first that is not; at most `elements` in
    /// all. Whether the array's closing bracket was consumed.
    fn simple(&mut self, _cursor: &mut Cursor<'_>, _elements: usize) -> bool {
        false
    }
}

/// The walk over nested arrays: brackets are counted, not recursed into. Returns the lengths of the arrays, from the outside
/// in.
pub(super) fn arrays(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Result<Vec<usize>> {
    if cursor.peek() != Some(b'[') {
        return Err(cursor.mismatch("an array"));
    }
    if let Some(flat) = flat(cursor, target, sink) {
        return flat;
    }
    let mut nesting = Nesting::default();
    loop {
        // An array or a run of elements begins here.
        match cursor.peek() {
            Some(b'[') => {
                if nesting.open.len() == target.depth {
                    return Err(target.too_deep());
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

/// Consumes an array without arrays in it; None, and nothing is consumed, if it begins with one or is empty.
fn flat(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Option<Result<Vec<usize>>> {
    let mut inside = Cursor { at: cursor.at + 1, ..*cursor };
    if matches!(inside.peek(), Some(b'[' | b']')) {
        return None;
    }
    cursor.at = inside.at;
    let before = sink.len();
    let read = elements(cursor, target, sink).and_then(|()| target.check(sink.len()));
    Some(read.map(|()| vec![sink.len() - before]))
}

/// Consumes elements of an array and its closing bracket.
#[inline]
fn elements(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Result<()> {
    loop {
        if sink.simple(cursor, target.elements) {
            return Ok(());
        }
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
    /// Whether `found` elements are all.
    fn check(&self, found: usize) -> Result<()> {
        if found == self.elements || self.shape.is_none() { Ok(()) } else { Err(self.wrong_number(found, false)) }
    }

    #[cold]
    pub fn wrong_number(&self, found: usize, more: bool) -> Box<super::RequestError> {
        let limit = self.elements;
        match self.shape {
            Some(shape) => Problem::Elements { shape: shape.to_vec(), expected: limit, found, more },
            None => Problem::Limit { what: "elements", found: found + 1, limit, setting: "serve.max_elements" },
        }
        .into()
    }

    #[cold]
    fn too_deep(&self) -> Box<super::RequestError> {
        let limit = self.depth;
        match self.shape {
            Some(shape) => Problem::TooDeep(shape.to_vec()),
            None => Problem::Limit { what: "dimensions", found: limit + 1, limit, setting: "serve.max_dimensions" },
        }
        .into()
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
    fn check(self, target: &Target<'_>, elements: usize) -> Result<Vec<usize>> {
        target.check(elements)?;
        let found: Vec<usize> = self.lengths.into_iter().flatten().collect();
        let Some(shape) = target.shape else { return Ok(found) };
        let mut bounds = products(shape);
        if shape.is_empty() || products(&found).all(|product| bounds.any(|bound| bound == product)) {
            return Ok(found);
        }
        Err(Problem::Nesting { found, shape: shape.to_vec() }.into())
    }
}

/// The products of the first dimension, the first two, and so on.
fn products(dims: &[usize]) -> impl Iterator<Item = usize> {
    dims.iter().scan(1_usize, |product, &dim| {
        *product = product.saturating_mul(dim);
        Some(*product)
    })
}

/// Elements of `BYTES`: strings.
#[derive(Default)]
pub(super) struct Strings {
    data: Vec<u8>,
    number: usize,
}

impl Strings {
    pub fn into_bytes(self) -> Bytes {
        self.data.into()
    }
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

impl<T: Number> Sink for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        self.push(T::parse(cursor)?);
        Ok(())
    }

    fn simple(&mut self, cursor: &mut Cursor<'_>, elements: usize) -> bool {
        let mut text = &cursor.bytes[cursor.at..];
        let mut closed = false;
        while !closed && self.len() < elements {
            while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
                text = rest;
            }
            let Some((value, rest)) = T::simple(text) else { break };
            match rest {
                [b',', after @ ..] => text = after,
                [b']', after @ ..] => (text, closed) = (after, true),
                _ => break,
            }
            self.push(value);
        }
        cursor.at = cursor.bytes.len() - text.len();
        closed
    }
}

fn numbers<T: Number>(cursor: &mut Cursor<'_>, target: &Target<'_>, capacity: usize) -> Result<Bytes> {
    let mut values: Vec<T> = Vec::with_capacity(capacity);
    arrays(cursor, target, &mut values)?;
    Ok(Bytes::from_owner(Aligned(values)))
}

/// Numbers as the bytes that they are.
pub(super) struct Aligned<T>(pub Vec<T>);

impl<T: NoUninit> AsRef<[u8]> for Aligned<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
