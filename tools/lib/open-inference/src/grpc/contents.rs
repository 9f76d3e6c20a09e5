//! Typed data: a field of the message for each kind of value.

use super::{RequestError, proto::InferTensorContents, request::Header};
use crate::DataType;
use bytemuck::NoUninit;
use bytes::{BufMut, Bytes, BytesMut};

// Values are used as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"), "tensors are little-endian");

/// The data of a tensor, as [`crate::Tensor::new`] takes it. Values of 32 and 64 bits are not copied.
pub(super) fn to_bytes(contents: InferTensorContents, header: &Header) -> Result<Bytes, RequestError> {
    let found = single_field(&contents, header)?;
    if found != header.elements {
        let (name, shape) = (header.name.clone(), header.shape.clone());
        return Err(RequestError::Count { name, shape, expected: header.elements, found });
    }
    Ok(match header.data_type {
        DataType::Bool => Bytes::from_owner(Values(contents.bool_contents)),
        DataType::Int8 => narrow::<i8, _>(contents.int_contents, header)?,
        DataType::Int16 => narrow::<i16, _>(contents.int_contents, header)?,
        DataType::Int32 => Bytes::from_owner(Values(contents.int_contents)),
        DataType::Int64 => Bytes::from_owner(Values(contents.int64_contents)),
        DataType::Uint8 => narrow::<u8, _>(contents.uint_contents, header)?,
        DataType::Uint16 => narrow::<u16, _>(contents.uint_contents, header)?,
        DataType::Uint32 => Bytes::from_owner(Values(contents.uint_contents)),
        DataType::Uint64 => Bytes::from_owner(Values(contents.uint64_contents)),
        DataType::Fp32 => Bytes::from_owner(Values(contents.fp32_contents)),
        DataType::Fp64 => Bytes::from_owner(Values(contents.fp64_contents)),
        DataType::Bytes => with_lengths(&contents.bytes_contents, header)?,
        // They have no field: values were none, and so are elements.
        DataType::Fp16 | DataType::Bf16 => Bytes::new(),
    })
}

/// The number of values in the field for the tensor's type.
fn single_field(contents: &InferTensorContents, header: &Header) -> Result<usize, RequestError> {
    let fields = [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ];
    let (name, data_type) = (header.name.clone(), header.data_type);
    let all: usize = fields.iter().map(|(_, values)| values).sum();
    let field = match header.data_type {
        DataType::Bool => "bool_contents",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int_contents",
        DataType::Int64 => "int64_contents",
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => "uint_contents",
        DataType::Uint64 => "uint64_contents",
        DataType::Fp32 => "fp32_contents",
        DataType::Fp64 => "fp64_contents",
        DataType::Bytes => "bytes_contents",
        DataType::Fp16 | DataType::Bf16 if all == 0 && header.elements == 0 => return Ok(0),
        DataType::Fp16 | DataType::Bf16 => return Err(RequestError::RawOnly { name, data_type }),
    };
    let found = fields.iter().find(|(other, _)| *other == field).map_or(0, |(_, values)| *values);
    if found == all { Ok(found) } else { Err(RequestError::Field { name, data_type, field }) }
}

/// Values of the message as bytes.
struct Values<T>(Vec<T>);

impl<T: NoUninit> AsRef<[u8]> for Values<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Integers that are sent in 32 bits and have fewer.
fn narrow<To, From>(values: Vec<From>, header: &Header) -> Result<Bytes, RequestError>
where
    To: NoUninit + Send + 'static + TryFrom<From>,
    From: Copy + Into<i64>,
{
    let narrowed = values.iter().enumerate().map(|(index, &value)| {
        To::try_from(value).map_err(|_| RequestError::Range {
            name: header.name.clone(),
            data_type: header.data_type,
            index,
            value: value.into(),
        })
    });
    Ok(Bytes::from_owner(Values(narrowed.collect::<Result<Vec<To>, _>>()?)))
}

/// Strings, each with its length in front.
fn with_lengths(strings: &[Bytes], header: &Header) -> Result<Bytes, RequestError> {
    let mut data = BytesMut::with_capacity(strings.iter().map(|string| size_of::<u32>() + string.len()).sum());
    for (index, string) in strings.iter().enumerate() {
        let length = u32::try_from(string.len()).map_err(|_| crate::TensorError::Strings {
            name: header.name.clone(),
            elements: header.elements,
            index,
        })?;
        data.put_u32_le(length);
        data.put_slice(string);
    }
    Ok(data.freeze())
}
