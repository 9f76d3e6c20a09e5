//! Element types of outputs by operator.

use super::call::Call;
use crate::{
    DataType, Problem,
    operators::{self, Type},
};
use DataType::{Bool, Float, Int32, Int64, Uint8, Undefined};

/// Element types of a node's outputs, in order; of further ones nothing is known.
///
/// # Errors
/// When inputs that must share a type do not, or an attribute names no type.
pub(super) fn infer(call: &Call) -> Result<Vec<DataType>, Problem> {
    match call.node.domain.as_str() {
        "" => standard(call),
        "com.microsoft" => Ok(microsoft(call)),
        _ => Ok(Vec::new()),
    }
}

fn standard(call: &Call) -> Result<Vec<DataType>, Problem> {
    let first = call.dtype(0);
    Ok(match call.node.op_type.as_str() {
        "DynamicQuantizeLinear" => vec![Uint8, Float, Uint8],
        "TopK" | "MaxPool" => vec![first, Int64],
        "Unique" => vec![first, Int64, Int64, Int64],
        "Dropout" => vec![first, if call.opset < 10 { first } else { Bool }],
        "LayerNormalization" => {
            let statistics = stash_type(call)?;
            vec![first, statistics, statistics]
        }
        "BatchNormalization" => vec![first, call.dtype(3), call.dtype(4), call.dtype(3), call.dtype(4)],
        "Cast" => vec![named(call, "to", None)?],
        "CastLike" => vec![call.dtype(1)],
        "Bernoulli" | "EyeLike" | "RandomNormalLike" | "RandomUniformLike" => vec![named(call, "dtype", Some(first))?],
        "RandomNormal" | "RandomUniform" => vec![named(call, "dtype", Some(Float))?],
        "Multinomial" => vec![named(call, "dtype", Some(Int32))?],
        "Constant" => vec![constant(call)],
        "ConstantOfShape" => vec![call.node.tensor("value")?.map_or(Float, |value| value.dtype())],
        "OneHot" => vec![call.dtype(2)],
        "Where" => vec![agreed(call, 1)?],
        "QuantizeLinear" => vec![quantized(call)?],
        "DequantizeLinear" => vec![dequantized(call)?],
        "QLinearConv" | "QLinearMatMul" => vec![call.dtype(7)],
        "LSTM" | "GRU" | "RNN" => vec![first; 3],
        "Attention" => vec![first, call.dtype(1), call.dtype(2)],
        "Split" => vec![first; call.node.outputs.len()],
        "BlackmanWindow" | "HammingWindow" | "HannWindow" | "MelWeightMatrix" => {
            vec![named(call, "output_datatype", Some(Float))?]
        }
        op => match operators::dtype(op) {
            Type::SameType => vec![first],
            Type::CommonType => vec![agreed(call, 0)?],
            Type::Is(dtype) => vec![dtype],
            Type::OwnType => Vec::new(),
        },
    })
}

fn microsoft(call: &Call) -> Vec<DataType> {
    let first = call.dtype(0);
    match call.node.op_type.as_str() {
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => vec![first, Float, Float, first],
        "QuantizeLinear" => vec![if call.has(2) { call.dtype(2) } else { Uint8 }],
        "DequantizeLinear" => vec![call.dtype(1)],
        "MultiHeadAttention" | "GroupQueryAttention" => vec![first; 3],
        "BiasGelu" | "FastGelu" | "FusedConv" | "FusedGemm" | "FusedMatMul" | "Gelu" | "GroupNorm" | "Inverse"
        | "MatMulNBits" | "QLinearAdd" | "QLinearLeakyRelu" | "QLinearMul" | "QLinearSigmoid" | "QLinearSoftmax"
        | "QuickGelu" | "RotaryEmbedding" => vec![first],
        _ => Vec::new(),
    }
}

/// The type that an attribute names.
fn named(call: &Call, attribute: &str, default: Option<DataType>) -> Result<DataType, Problem> {
    let code = call.node.int(attribute, 0)?;
    if code == 0 {
        return default.ok_or_else(|| call.fault(format!("attribute {attribute} is missing")));
    }
    let found = i32::try_from(code).ok().and_then(|code| DataType::try_from(code).ok());
    found.ok_or_else(|| call.fault(format!("attribute {attribute} is {code}, which is no type")))
}

/// The type that the inputs from `from` on share.
fn agreed(call: &Call, from: usize) -> Result<DataType, Problem> {
    let mut common = Undefined;
    for index in from..call.inputs.len() {
        match (common, call.dtype(index)) {
            (_, Undefined) => {}
            (Undefined, dtype) => common = dtype,
            (a, b) if a != b => {
                let [a, b] = [a, b].map(crate::type_name);
                return Err(call.fault(format!("its inputs are of the types {a} and {b}")));
            }
            _ => {}
        }
    }
    Ok(common)
}

/// Of the zero point, else `output_dtype`, else uint8.
fn quantized(call: &Call) -> Result<DataType, Problem> {
    let stated = named(call, "output_dtype", Some(Undefined))?;
    match (call.dtype(2), stated, call.has(2)) {
        (Undefined, Undefined, true) => Ok(Undefined),
        (Undefined, Undefined, false) => Ok(Uint8),
        (Undefined, stated, _) => Ok(stated),
        (zero_point, Undefined, _) => Ok(zero_point),
        (zero_point, stated, _) if zero_point == stated => Ok(stated),
        _ => Err(call.fault("attribute output_dtype is not the type of the zero point")),
    }
}

/// Of the scale, unless `output_dtype` says otherwise; float32 before operator set 19.
fn dequantized(call: &Call) -> Result<DataType, Problem> {
    if call.has(2) && call.dtype(0) != Undefined && call.dtype(2) != Undefined && call.dtype(0) != call.dtype(2) {
        return Err(call.fault("the zero point is not of the input's type"));
    }
    named(call, "output_dtype", Some(if call.opset < 19 { Float } else { call.dtype(1) }))
}

/// Type of the statistics of a norm: `stash_type`, float32 by default.
fn stash_type(call: &Call) -> Result<DataType, Problem> {
    named(call, "stash_type", Some(Float))
}

/// Of a `Constant` that is no dense tensor: of strings, or sparse.
fn constant(call: &Call) -> DataType {
    let is = |name| call.node.attribute(name).is_some();
    if is("value_string") || is("value_strings") {
        return DataType::String;
    }
    let sparse = call.node.attribute("sparse_value").and_then(|it| it.sparse_tensor.as_ref()?.values.as_ref());
    sparse.and_then(|values| DataType::try_from(values.data_type()).ok()).unwrap_or(Undefined)
}
