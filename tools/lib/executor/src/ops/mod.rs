//! The operators, one by one: the reference of every fused step, and what runs where no step is faster.
//!
//! Each allocates its outputs. Sources are the operator's page in the ONNX specification. float16 and bfloat16 are computed
//! in float32; sums of floating-point values are accumulated in float64, in row-major order.

mod activation;
mod arithmetic;
mod call;
mod cast;
mod compare;
mod constant;
mod convolution;
mod einsum;
mod index;
mod integer;
mod layout;
mod matmul;
mod norm;
mod pool;
mod quantize;
mod reduce;
mod resize;
mod scan;
mod select;
mod softmax;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use call::{Call, MOST_BYTES};

use crate::Tensor;
use onnx::{Node, Problem};

type Outcome = Result<Vec<Tensor>, Problem>;
pub(crate) type Operator = fn(&Call<'_>) -> Outcome;

/// The modules' own tables.
const TABLES: &[fn(&Node) -> Option<Operator>] = &[
    activation::find,
    arithmetic::find,
    cast::find,
    compare::find,
    constant::find,
    convolution::find,
    einsum::find,
    index::find,
    integer::find,
    layout::find,
    matmul::find,
    norm::find,
    pool::find,
    quantize::find,
    reduce::find,
    resize::find,
    scan::find,
    select::find,
    softmax::find,
];

/// The implementation of a node's operator; None if there is none, or none for the node's attributes.
pub(crate) fn find(node: &Node) -> Option<Operator> {
    if !node.domain.is_empty() {
        return None;
    }
    TABLES.iter().find_map(|table| table(node))
}

/// Evaluates `$body`, the result with an array of `$T`, where `$T` is the type that tensors like `$like` are computed in:
/// their own for float32 and float64, float32 for float16 and bfloat16, to which the array is rounded.
macro_rules! real {
    ($call:expr, $like:expr, $T:ident => $body:expr) => {{
        use $crate::tensor::Tensor;
        match $like {
            Tensor::F32(_) => {
                type $T = f32;
                $body.map(|array: ndarray::ArrayD<$T>| vec![Tensor::from(array)])
            }
            Tensor::F64(_) => {
                type $T = f64;
                $body.map(|array: ndarray::ArrayD<$T>| vec![Tensor::from(array)])
            }
            Tensor::F16(_) => {
                type $T = f32;
                $body.map(|array: ndarray::ArrayD<$T>| vec![Tensor::from(array.mapv(half::f16::from_f32))])
            }
            Tensor::Bf16(_) => {
                type $T = f32;
                $body.map(|array: ndarray::ArrayD<$T>| vec![Tensor::from(array.mapv(half::bf16::from_f32))])
            }
            other => Err($call.wrong_type(other)),
        }
    }};
}
use real;

/// As `real!`, and integers are computed in their own type.
macro_rules! number {
    ($call:expr, $like:expr, $T:ident => $body:expr) => {{
        use $crate::tensor::Tensor;
        macro_rules! own {
            ($type:ty) => {{
                type $T = $type;
                $body.map(|array: ndarray::ArrayD<$T>| vec![Tensor::from(array)])
            }};
        }
        match $like {
            Tensor::U8(_) => own!(u8),
            Tensor::U16(_) => own!(u16),
            Tensor::U32(_) => own!(u32),
            Tensor::U64(_) => own!(u64),
            Tensor::I8(_) => own!(i8),
            Tensor::I16(_) => own!(i16),
            Tensor::I32(_) => own!(i32),
            Tensor::I64(_) => own!(i64),
            floating => $crate::ops::real!($call, floating, $T => $body),
        }
    }};
}
use number;
