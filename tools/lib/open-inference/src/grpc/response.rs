//! From a response to a message.

use super::proto::{ModelInferResponse, model_infer_response::InferOutputTensor};
use crate::{InferResponse, Tensor};

/// The message of a response: data is raw, as Triton sends it whatever the request had, and is not copied.
pub fn from_response(response: InferResponse) -> ModelInferResponse {
    ModelInferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id.unwrap_or_default(),
        outputs: response.outputs.iter().map(header).collect(),
        raw_output_contents: response.outputs.iter().map(|output| output.data().clone()).collect(),
        ..Default::default()
    }
}

fn header(output: &Tensor) -> InferOutputTensor {
    InferOutputTensor {
        name: output.name().to_owned(),
        datatype: output.data_type().name().to_owned(),
        // Only a tensor without elements could have a dimension that does not fit.
        shape: output.shape().iter().map(|&dimension| i64::try_from(dimension).unwrap_or(i64::MAX)).collect(),
        ..Default::default()
    }
}
