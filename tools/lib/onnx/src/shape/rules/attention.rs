//! Attention, of ONNX and of ONNX Runtime.

use super::super::call::{Call, Outcome, shape_of, unknown};
use crate::Problem;
use rten_shape_inference::ops;

/// A number of heads; None if the attribute is absent.
fn heads(call: &Call, name: &str) -> Result<Option<u32>, Problem> {
    match call.node.int(name, 0)? {
        0 => Ok(None),
        count => match u32::try_from(count) {
            Ok(count) if count <= i32::MAX as u32 => Ok(Some(count)),
            _ => Err(call.fault(format!("attribute {name} is {count}"))),
        },
    }
}

/// ONNX's `Attention`: the output, then present keys and values; of the scores nothing is said.
pub fn attention(call: &Call) -> Outcome {
    let (q_num_heads, kv_num_heads) = (heads(call, "q_num_heads")?, heads(call, "kv_num_heads")?);
    // The rule divides by sizes of the query and reads axes of all three.
    let ranks = [0, 1, 2].map(|index| call.tensor(index).map(|it| it.ndim()));
    for rank in ranks {
        if rank?.is_some_and(|rank| rank != 3 && rank != 4) {
            return Err(call.fault("query, key and value need three or four axes"));
        }
    }
    call.rten(&ops::Attention { q_num_heads, kv_num_heads })
}

/// ONNX Runtime's `MultiHeadAttention`.
pub fn multi_head(call: &Call) -> Outcome {
    match heads(call, "num_heads")? {
        Some(num_heads) => call.rten(&ops::MultiHeadAttention { num_heads }),
        None => Err(call.fault("attribute num_heads is missing")),
    }
}

/// ONNX Runtime's `GroupQueryAttention`.
pub fn group_query(call: &Call) -> Outcome {
    match (heads(call, "num_heads")?, heads(call, "kv_num_heads")?) {
        (Some(num_heads), Some(kv_num_heads)) => call.rten(&ops::GroupQueryAttention { num_heads, kv_num_heads }),
        _ => Err(call.fault("attribute num_heads or kv_num_heads is missing")),
    }
}

/// The sum's norm, two statistics of which nothing is said, and the sum.
pub fn skip_layer_norm(call: &Call) -> Outcome {
    let shape = shape_of(call.tensor(0)?);
    Ok(vec![shape.clone(), unknown(), unknown(), shape])
}
