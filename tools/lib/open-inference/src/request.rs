//! A request for inference and its response, whatever protocol carries them.

use crate::Tensor;

/// What a request may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Input tensors, and outputs asked for.
    pub tensors: usize,
    /// Dimensions of a tensor.
    pub dimensions: usize,
    /// Elements of all inputs together.
    pub elements: usize,
}

/// A request for inference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InferRequest {
    /// What the client calls the request; the response has it too.
    pub id: Option<String>,
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// The outputs that the client asks for; empty for all, in the form that `binary_output` says.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that are not named in `outputs` are binary (parameter `binary_data_output`; HTTP only).
    pub binary_output: bool,
    /// Parameter `timeout`, in microseconds.
    pub timeout_us: Option<u64>,
    /// Parameter `priority`; 0 is the model's default.
    pub priority: u64,
}

/// An output that a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether its data is binary (parameter `binary_data`; HTTP only).
    pub binary: bool,
    /// The `classification` extension: so many classes of highest value, as strings `value:index:label`; None for the
    /// tensor itself.
    pub classes: Option<usize>,
}

/// The outputs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct InferResponse {
    /// Name of the model.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// The request's id.
    pub id: Option<String>,
    /// The outputs, in the order in which the request names them.
    pub outputs: Vec<Tensor>,
}
