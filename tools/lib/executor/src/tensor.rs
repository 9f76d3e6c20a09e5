//! Tensors of any element type.

use half::{bf16, f16};
use ndarray::ArrayD;
use onnx::DataType;

/// A tensor in standard (row-major) layout.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named after their element types")]
pub enum Tensor {
    Bool(ArrayD<bool>),
    U8(ArrayD<u8>),
    U16(ArrayD<u16>),
    U32(ArrayD<u32>),
    U64(ArrayD<u64>),
    I8(ArrayD<i8>),
    I16(ArrayD<i16>),
    I32(ArrayD<i32>),
    I64(ArrayD<i64>),
    F16(ArrayD<f16>),
    Bf16(ArrayD<bf16>),
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
}

/// Evaluates `$body` with `$array` bound to the array of a tensor, whatever its element type.
macro_rules! each {
    ($tensor:expr, $array:ident => $body:expr) => {
        match $tensor {
            $crate::Tensor::Bool($array) => $body,
            $crate::Tensor::U8($array) => $body,
            $crate::Tensor::U16($array) => $body,
            $crate::Tensor::U32($array) => $body,
            $crate::Tensor::U64($array) => $body,
            $crate::Tensor::I8($array) => $body,
            $crate::Tensor::I16($array) => $body,
            $crate::Tensor::I32($array) => $body,
            $crate::Tensor::I64($array) => $body,
            $crate::Tensor::F16($array) => $body,
            $crate::Tensor::Bf16($array) => $body,
            $crate::Tensor::F32($array) => $body,
            $crate::Tensor::F64($array) => $body,
        }
    };
}
pub(crate) use each;

impl Tensor {
    /// A tensor over little-endian bytes; None if there are not as many as type and shape need, the type is not supported,
    /// or a boolean is neither 0 nor 1.
    pub fn from_bytes(dtype: DataType, shape: &[usize], bytes: &[u8]) -> Option<Self> {
        fn array<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(shape: &[usize], bytes: &[u8]) -> Option<ArrayD<T>> {
            let exact = bytes.len().is_multiple_of(size_of::<T>());
            exact.then(|| ArrayD::from_shape_vec(shape, bytemuck::pod_collect_to_vec(bytes)).ok())?
        }
        Some(match dtype {
            DataType::Bool => {
                let values: Option<Vec<bool>> =
                    bytes.iter().map(|byte| [Some(false), Some(true)].get(*byte as usize).copied()?).collect();
                Self::Bool(ArrayD::from_shape_vec(shape, values?).ok()?)
            }
            DataType::Uint8 => Self::U8(array(shape, bytes)?),
            DataType::Uint16 => Self::U16(array(shape, bytes)?),
            DataType::Uint32 => Self::U32(array(shape, bytes)?),
            DataType::Uint64 => Self::U64(array(shape, bytes)?),
            DataType::Int8 => Self::I8(array(shape, bytes)?),
            DataType::Int16 => Self::I16(array(shape, bytes)?),
            DataType::Int32 => Self::I32(array(shape, bytes)?),
            DataType::Int64 => Self::I64(array(shape, bytes)?),
            DataType::Float16 => Self::F16(array(shape, bytes)?),
            DataType::Bfloat16 => Self::Bf16(array(shape, bytes)?),
            DataType::Float => Self::F32(array(shape, bytes)?),
            DataType::Double => Self::F64(array(shape, bytes)?),
            _ => return None,
        })
    }

    /// The elements, little-endian.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bool(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::U8(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::U16(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::U32(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::U64(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::I8(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::I16(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::I32(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::I64(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::F16(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::Bf16(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::F32(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
            Self::F64(array) => bytemuck::cast_slice(array.as_slice().unwrap_or_default()),
        }
    }

    /// None for types that are not supported, strings among them.
    pub fn from_onnx(tensor: &onnx::Tensor) -> Option<Self> {
        Self::from_bytes(tensor.dtype(), tensor.dims(), tensor.bytes())
    }

    /// The tensor as an initializer of a graph.
    pub fn to_onnx(&self) -> Option<onnx::Tensor> {
        onnx::Tensor::new(self.dtype(), self.shape(), self.bytes().to_vec())
    }

    /// The element type.
    pub fn dtype(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::U8(_) => DataType::Uint8,
            Self::U16(_) => DataType::Uint16,
            Self::U32(_) => DataType::Uint32,
            Self::U64(_) => DataType::Uint64,
            Self::I8(_) => DataType::Int8,
            Self::I16(_) => DataType::Int16,
            Self::I32(_) => DataType::Int32,
            Self::I64(_) => DataType::Int64,
            Self::F16(_) => DataType::Float16,
            Self::Bf16(_) => DataType::Bfloat16,
            Self::F32(_) => DataType::Float,
            Self::F64(_) => DataType::Double,
        }
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        each!(self, array => array.shape())
    }
}
