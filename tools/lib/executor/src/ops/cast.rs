//! Conversions between element types.

use super::Operator;
use crate::{Tensor, element::Element, tensor::each};
use half::{bf16, f16};
use ndarray::ArrayD;
use onnx::{DataType, Node};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Cast" if target(node).is_some_and(supported) => {
            |call| Ok(vec![cast(call.input(0)?, target(call.node).unwrap_or_default())])
        }
        "CastLike" => |call| Ok(vec![cast(call.input(0)?, call.input(1)?.dtype())]),
        _ => return None,
    })
}

/// The type that a node converts to.
fn target(node: &Node) -> Option<DataType> {
    DataType::try_from(i32::try_from(node.int("to", 0).ok()?).ok()?).ok()
}

/// Whether a [`Tensor`] may have the type.
pub(super) fn supported(dtype: DataType) -> bool {
    Tensor::from_bytes(dtype, &[0], &[]).is_some()
}

/// The elements converted to a type that is [`supported`].
pub(super) fn cast(tensor: &Tensor, to: DataType) -> Tensor {
    if tensor.dtype() == to {
        return tensor.clone();
    }
    match tensor {
        Tensor::F16(_) | Tensor::Bf16(_) | Tensor::F32(_) | Tensor::F64(_) => {
            convert(&each!(tensor, x => x.mapv(|x| x.to_f64())), to)
        }
        Tensor::U64(x) => convert(x, to),
        _ => convert(&each!(tensor, x => x.mapv(|x| x.to_i64())), to),
    }
}

/// Conversion from the widest type of a kind: from any type at once, there would be 13² loops to compile.
fn convert<T: Element>(x: &ArrayD<T>, to: DataType) -> Tensor {
    match to {
        DataType::Bool => x.mapv(T::to_bool).into(),
        DataType::Uint8 => x.mapv(|x| x.to_i64() as u8).into(),
        DataType::Uint16 => x.mapv(|x| x.to_i64() as u16).into(),
        DataType::Uint32 => x.mapv(|x| x.to_i64() as u32).into(),
        DataType::Uint64 => x.mapv(T::to_u64).into(),
        DataType::Int8 => x.mapv(|x| x.to_i64() as i8).into(),
        DataType::Int16 => x.mapv(|x| x.to_i64() as i16).into(),
        DataType::Int32 => x.mapv(|x| x.to_i64() as i32).into(),
        DataType::Int64 => x.mapv(T::to_i64).into(),
        DataType::Float16 => x.mapv(|x| f16::from_f64(x.to_f64())).into(),
        DataType::Bfloat16 => x.mapv(|x| bf16::from_f64(x.to_f64())).into(),
        DataType::Double => x.mapv(T::to_f64).into(),
        _ => x.mapv(T::to_f32).into(),
    }
}
