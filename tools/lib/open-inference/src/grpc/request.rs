//! From a message to a request.

use super::{
    RequestError, contents,
    proto::{
        InferParameter, ModelInferRequest,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
};
use crate::{DataType, InferRequest, Limits, RequestedOutput, Tensor};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Parameters of a message, of an input or of an output.
type Parameters = BTreeMap<String, InferParameter>;

/// The request that a message holds; its model and version are the caller's. Raw data is not copied. Parameters that no
/// extension of Triton's defines are ignored, as the protocol says.
///
/// # Errors
/// When the message is larger than the limits, has data that does not fit its shapes and types, has both raw and typed
/// data, or needs shared memory or a sequence.
pub fn to_request(message: ModelInferRequest, limits: &Limits) -> Result<InferRequest, RequestError> {
    limit("inputs", message.inputs.len(), limits.tensors)?;
    limit("outputs", message.outputs.len(), limits.tensors)?;
    refuse(&message.parameters, "sequence_", "a sequence of requests")?;
    check_reserved(&message.parameters)?;
    let inputs = inputs(message.inputs, message.raw_input_contents, limits)?;
    Ok(InferRequest {
        id: Some(message.id).filter(|id| !id.is_empty()),
        inputs,
        outputs: message.outputs.into_iter().map(output).collect::<Result<_, _>>()?,
        binary_output: true,
        timeout_us: unsigned(&message.parameters, "timeout")?,
        priority: unsigned(&message.parameters, "priority")?.unwrap_or(0),
    })
}

fn inputs(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>, limits: &Limits) -> Result<Vec<Tensor>, RequestError> {
    let is_raw = !raw.is_empty();
    if is_raw && raw.len() != inputs.len() {
        return Err(RequestError::RawCount { inputs: inputs.len(), raw: raw.len() });
    }
    let mut raw = raw.into_iter();
    let mut elements = 0_usize;
    let mut tensors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let (contents, header) = header(input, limits)?;
        elements = elements.saturating_add(header.elements);
        limit("elements of inputs", elements, limits.elements)?;
        let data = match (raw.next(), contents) {
            (Some(data), None) => data,
            (Some(_), Some(_)) => return Err(RequestError::Mixed { name: header.name }),
            (None, contents) => contents::to_bytes(contents.unwrap_or_default(), &header)?,
        };
        tensors.push(Tensor::new(header.name, header.data_type, header.shape, data)?);
    }
    Ok(tensors)
}

/// What is known of an input before its data.
pub(super) struct Header {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The product of the shape; `usize::MAX` where it does not fit.
    pub elements: usize,
}

fn header(
    input: InferInputTensor,
    limits: &Limits,
) -> Result<(Option<super::proto::InferTensorContents>, Header), RequestError> {
    let InferInputTensor { name, datatype, shape, parameters, contents } = input;
    refuse(&parameters, "shared_memory_", "shared memory")?;
    limit("dimensions", shape.len(), limits.dimensions)?;
    let Some(data_type) = DataType::from_name(&datatype) else {
        return Err(RequestError::DataType { name, data_type: datatype });
    };
    if let Some(&dimension) = shape.iter().find(|dimension| usize::try_from(**dimension).is_err()) {
        return Err(RequestError::Dimension { name, dimension });
    }
    let shape: Vec<usize> = shape.into_iter().filter_map(|dimension| usize::try_from(dimension).ok()).collect();
    let product = shape.iter().try_fold(1_usize, |product, &dimension| product.checked_mul(dimension));
    Ok((contents, Header { name, data_type, shape, elements: product.unwrap_or(usize::MAX) }))
}

fn output(output: InferRequestedOutputTensor) -> Result<RequestedOutput, RequestError> {
    let InferRequestedOutputTensor { name, parameters } = output;
    refuse(&parameters, "shared_memory_", "shared memory")?;
    let classes = match unsigned(&parameters, "classification")? {
        Some(0) => return Err(RequestError::Parameter { name: "classification", expected: "an integer from 1" }),
        classes => classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX)),
    };
    Ok(RequestedOutput { name, binary: true, classes })
}

/// Refuses parameters of an extension, which is known by the start of their names.
fn refuse(parameters: &Parameters, prefix: &str, extension: &'static str) -> Result<(), RequestError> {
    match parameters.keys().find(|name| name.starts_with(prefix)) {
        Some(name) => Err(RequestError::Extension { name: name.clone(), extension }),
        None => Ok(()),
    }
}

/// Refuses parameters that Triton keeps for itself, but one, which asks for an answer that always comes.
fn check_reserved(parameters: &Parameters) -> Result<(), RequestError> {
    let is_reserved = |name: &&String| name.starts_with("triton_") && *name != "triton_enable_empty_final_response";
    match parameters.keys().find(is_reserved) {
        Some(name) => Err(RequestError::Reserved { name: name.clone() }),
        None => Ok(()),
    }
}

/// A parameter that is a whole number from 0.
fn unsigned(parameters: &Parameters, name: &'static str) -> Result<Option<u64>, RequestError> {
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let number = match parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(number)) => u64::try_from(number).ok(),
        Some(ParameterChoice::Uint64Param(number)) => Some(number),
        _ => None,
    };
    number.map(Some).ok_or(RequestError::Parameter { name, expected: "an integer from 0" })
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), RequestError> {
    if found > limit { Err(RequestError::Limit { what, found, limit }) } else { Ok(()) }
}
