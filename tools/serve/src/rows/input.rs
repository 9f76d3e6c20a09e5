//! The models that take rows: one input of numbers, one output.

use crate::{
    error::{Error, Result},
    model::{Model, Spec, TensorSpec},
};
use open_inference::DataType;
use prediction::Encoder;
use records::DType;

/// How rows become the input of a model.
///
/// # Errors
/// When the model does not have one FP32 or UINT8 input and one FP32 output with a batch axis, as `infer` needs them.
pub fn encoder(model: &Model) -> Result<Encoder> {
    let input = input(&model.spec).ok_or_else(|| {
        Error::Invalid(format!(
            "model '{}' takes no rows: that needs one input of FP32 or UINT8 and one output of FP32, with a batch axis",
            model.name
        ))
    })?;
    Encoder::new(model.features.clone(), input).map_err(|e| Error::Invalid(format!("model '{}': {e}", model.name)))
}

/// The only input, if there is one of those.
fn input(spec: &Spec) -> Option<runtime::TensorSpec> {
    let ([input], [output]) = (spec.inputs.as_slice(), spec.outputs.as_slice()) else { return None };
    let dtype = match input.data_type {
        DataType::Fp32 => DType::F4,
        DataType::Uint8 => DType::U1,
        _ => return None,
    };
    let (batch, row_shape) = axes(spec, input)?;
    axes(spec, output).filter(|_| output.data_type == DataType::Fp32)?;
    Some(runtime::TensorSpec { name: input.name.clone(), dtype, batch, row_shape })
}

/// Size of the batch axis, None for any; and the other dimensions. None for a scalar, which has no batch axis.
fn axes(spec: &Spec, tensor: &TensorSpec) -> Option<(Option<usize>, Vec<Option<usize>>)> {
    if spec.max_batch_size > 0 {
        return Some((None, tensor.dims.clone()));
    }
    let (batch, row_shape) = tensor.dims.split_first()?;
    Some((*batch, row_shape.to_vec()))
}
