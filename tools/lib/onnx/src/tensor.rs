//! Constant tensors, whichever way a file stores them.

use crate::{
    Problem,
    proto::{
        TensorProto,
        tensor_proto::{DataLocation, DataType},
    },
};
use half::{bf16, f16};

/// A constant tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    dtype: DataType,
    dims: Vec<usize>,
    data: Elements,
}

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
enum Elements {
    /// Little-endian; elements of less than a byte are packed as ONNX packs them.
    Bytes(Vec<u8>),
    /// Of [`DataType::String`].
    Strings(Vec<Vec<u8>>),
}

/// Bits of an element; None for strings, and for types that this version does not know.
pub fn bits(dtype: DataType) -> Option<usize> {
    use DataType::{
        Bfloat16, Bool, Complex64, Complex128, Double, Float, Float4e2m1, Float8e4m3fn, Float8e4m3fnuz, Float8e5m2,
        Float8e5m2fnuz, Float8e8m0, Float16, Int2, Int4, Int8, Int16, Int32, Int64, Uint2, Uint4, Uint8, Uint16,
        Uint32, Uint64,
    };
    Some(match dtype {
        Uint2 | Int2 => 2,
        Uint4 | Int4 | Float4e2m1 => 4,
        Bool | Uint8 | Int8 | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float8e8m0 => 8,
        Uint16 | Int16 | Float16 | Bfloat16 => 16,
        Float | Int32 | Uint32 => 32,
        Double | Int64 | Uint64 | Complex64 => 64,
        Complex128 => 128,
        _ => return None,
    })
}

/// The name that ONNX's text form and NumPy use: `float32`, `int8`.
pub fn type_name(dtype: DataType) -> String {
    match dtype {
        DataType::Float => "float32".into(),
        DataType::Double => "float64".into(),
        other => other.as_str_name().to_lowercase(),
    }
}

/// Bytes of `dims` elements; None where the type has no fixed size or the number does not fit.
pub(crate) fn byte_length(dtype: DataType, dims: &[usize]) -> Option<usize> {
    let elements = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
    Some(elements.checked_mul(bits(dtype)?)?.div_ceil(8))
}

/// Type and dimensions that a message states.
fn declared(proto: &TensorProto) -> Result<(DataType, Vec<usize>), Problem> {
    let dtype = DataType::try_from(proto.data_type()).unwrap_or(DataType::Undefined);
    let dims = proto.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let negative = |_| Problem::tensor(proto.name(), format!("a negative dimension in {:?}", proto.dims));
    Ok((dtype, dims.map_err(negative)?))
}

/// Bytes of the data that a message's type and dimensions call for.
///
/// # Errors
/// When a dimension is negative, they are too many, or the type is unknown or has no fixed size.
pub(crate) fn expected_length(proto: &TensorProto) -> Result<usize, Problem> {
    let (dtype, dims) = declared(proto)?;
    byte_length(dtype, &dims).ok_or_else(|| {
        let (code, name) = (proto.data_type(), type_name(dtype));
        Problem::tensor(proto.name(), format!("type {code} ({name}) of shape {dims:?} is not supported"))
    })
}

impl Tensor {
    /// A tensor over little-endian bytes; None if there are not as many as the type and shape need.
    pub fn new(dtype: DataType, dims: &[usize], bytes: Vec<u8>) -> Option<Self> {
        (byte_length(dtype, dims)? == bytes.len()).then(|| Self {
            dtype,
            dims: dims.into(),
            data: Elements::Bytes(bytes),
        })
    }

    /// A float32 tensor.
    ///
    /// # Panics
    /// If the number of values is not that of the shape.
    pub fn from_f32(dims: &[usize], values: &[f32]) -> Self {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "values for {dims:?}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: DataType::Float, dims: dims.into(), data: Elements::Bytes(bytes) }
    }

    /// An int64 tensor.
    ///
    /// # Panics
    /// If the number of values is not that of the shape.
    pub fn from_i64(dims: &[usize], values: &[i64]) -> Self {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "values for {dims:?}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: DataType::Int64, dims: dims.into(), data: Elements::Bytes(bytes) }
    }

    /// A tensor of floating-point elements, each the nearest to its value; None if `dtype` is none of float16, float32 and
    /// float64, or the number of values is not that of the shape.
    pub fn from_f64(dtype: DataType, dims: &[usize], values: &[f64]) -> Option<Self> {
        let bytes = match dtype {
            DataType::Float16 => values.iter().flat_map(|&value| f16::from_f64(value).to_le_bytes()).collect(),
            DataType::Float => values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
            DataType::Double => values.iter().flat_map(|&value| value.to_le_bytes()).collect(),
            _ => return None,
        };
        Self::new(dtype, dims, bytes)
    }

    /// A tensor of strings; None if there are not as many as the shape has elements.
    pub fn from_strings(dims: &[usize], values: &[String]) -> Option<Self> {
        let count = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
        let strings = values.iter().map(|value| value.clone().into_bytes()).collect();
        let data = Elements::Strings(strings);
        (count == values.len()).then(|| Self { dtype: DataType::String, dims: dims.into(), data })
    }

    /// Reads a tensor in any of the format's storage forms, external data excepted; raw bytes are taken, not copied.
    ///
    /// # Errors
    /// When its type is unknown, a dimension is negative, an element does not fit the type, or the data is not as long as the
    /// shape says.
    pub fn from_proto(proto: TensorProto) -> Result<Self, Problem> {
        let (dtype, dims) = declared(&proto)?;
        if proto.segment.is_some() {
            return Err(Problem::tensor(proto.name(), "a segment of a tensor, which is not supported"));
        }
        if proto.data_location() == DataLocation::External {
            return Err(Problem::tensor(proto.name(), "its data is in another file"));
        }
        if dtype == DataType::String {
            let count = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
            if count != Some(proto.string_data.len()) {
                let reason = format!("{} strings for the shape {dims:?}", proto.string_data.len());
                return Err(Problem::tensor(proto.name(), reason));
            }
            return Ok(Self { dtype, dims, data: Elements::Strings(proto.string_data) });
        }
        let expected = expected_length(&proto)?;
        let name = proto.name().to_owned();
        let Some(bytes) = stored_bytes(proto, dtype) else {
            return Err(Problem::tensor(&name, format!("an element does not fit {}", type_name(dtype))));
        };
        if bytes.len() != expected {
            let reason = format!("{} bytes, expected {expected} for {} {dims:?}", bytes.len(), type_name(dtype));
            return Err(Problem::tensor(&name, reason));
        }
        Ok(Self { dtype, dims, data: Elements::Bytes(bytes) })
    }

    /// The tensor as the format's message; numbers as `raw_data`.
    pub fn to_proto(&self, name: &str) -> TensorProto {
        let mut proto = TensorProto {
            name: Some(name.into()),
            dims: self.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: Some(self.dtype.into()),
            ..TensorProto::default()
        };
        match &self.data {
            Elements::Bytes(bytes) => proto.raw_data = Some(bytes.clone()),
            Elements::Strings(strings) => proto.string_data.clone_from(strings),
        }
        proto
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Little-endian bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Elements::Bytes(bytes) => bytes,
            Elements::Strings(_) => &[],
        }
    }

    /// The values as float32, if they are of a floating-point type of 16, 32 or 64 bits.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        let bytes = self.bytes();
        Some(match self.dtype {
            DataType::Float => elements(bytes).map(f32::from_le_bytes).collect(),
            DataType::Double => elements(bytes).map(|b| f64::from_le_bytes(b) as f32).collect(),
            DataType::Float16 => elements(bytes).map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            DataType::Bfloat16 => elements(bytes).map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            _ => return None,
        })
    }

    /// The values as float64, if they are of a floating-point type of 16, 32 or 64 bits; exact.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        let bytes = self.bytes();
        Some(match self.dtype {
            DataType::Float => elements(bytes).map(|b| f32::from_le_bytes(b).into()).collect(),
            DataType::Double => elements(bytes).map(f64::from_le_bytes).collect(),
            DataType::Float16 => elements(bytes).map(|b| f16::from_le_bytes(b).to_f64()).collect(),
            DataType::Bfloat16 => elements(bytes).map(|b| bf16::from_le_bytes(b).to_f64()).collect(),
            _ => return None,
        })
    }

    /// The values as int64, if they are integers or booleans of at least a byte; None for a uint64 beyond int64 too.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        let bytes = self.bytes();
        Some(match self.dtype {
            DataType::Int64 => elements(bytes).map(i64::from_le_bytes).collect(),
            DataType::Int32 => elements(bytes).map(|b| i32::from_le_bytes(b).into()).collect(),
            DataType::Int16 => elements(bytes).map(|b| i16::from_le_bytes(b).into()).collect(),
            DataType::Int8 => elements(bytes).map(|b| i8::from_le_bytes(b).into()).collect(),
            DataType::Uint64 => {
                return elements(bytes).map(|b| i64::try_from(u64::from_le_bytes(b)).ok()).collect();
            }
            DataType::Uint32 => elements(bytes).map(|b| u32::from_le_bytes(b).into()).collect(),
            DataType::Uint16 => elements(bytes).map(|b| u16::from_le_bytes(b).into()).collect(),
            DataType::Uint8 | DataType::Bool => bytes.iter().map(|&b| b.into()).collect(),
            _ => return None,
        })
    }
}

fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The elements of a message, from the field that has them, as little-endian bytes; None if one does not fit the type.
fn stored_bytes(proto: TensorProto, dtype: DataType) -> Option<Vec<u8>> {
    if let Some(raw) = proto.raw_data {
        return Some(raw);
    }
    Some(match dtype {
        DataType::Float | DataType::Complex64 => proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DataType::Double | DataType::Complex128 => proto.double_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DataType::Int64 => proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DataType::Uint64 => proto.uint64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DataType::Uint32 => {
            let elements = proto.uint64_data.iter().map(|&x| u32::try_from(x).ok()).collect::<Option<Vec<_>>>()?;
            elements.into_iter().flat_map(u32::to_le_bytes).collect()
        }
        DataType::Int32 => proto.int32_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        // Elements of 16 bits, or packed bytes, one an int32.
        _ if bits(dtype) == Some(16) => {
            fitting(&proto.int32_data, 16)?.iter().flat_map(|&x| (x as u16).to_le_bytes()).collect()
        }
        _ => fitting(&proto.int32_data, 8)?.iter().map(|&x| x as u8).collect(),
    })
}

/// The elements, if as many bits hold each, signed or unsigned.
fn fitting(elements: &[i32], bits: u32) -> Option<&[i32]> {
    let limits = -(1 << (bits - 1))..1 << bits;
    elements.iter().all(|element| limits.contains(element)).then_some(elements)
}
