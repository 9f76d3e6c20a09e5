//! Why a gRPC message is no request.

use crate::{DataType, TensorError};

/// Why a gRPC message is no request for inference that a server without shared memory and sequences can answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// More than [`crate::Limits`] allows.
    #[error("{found} {what}, at most {limit} are accepted")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is; `usize::MAX` where it does not fit.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No type of that name.
    #[error("input {name:?}: no data type {data_type:?}, expected one such as FP32")]
    DataType {
        /// Name of the input.
        name: String,
        /// What is given as its type.
        data_type: String,
    },
    /// A negative dimension.
    #[error("input {name:?}: dimension {dimension}, expected 0 or more")]
    Dimension {
        /// Name of the input.
        name: String,
        /// The dimension.
        dimension: i64,
    },
    /// Another number of raw buffers than of inputs.
    #[error("{raw} raw_input_contents for {inputs} inputs")]
    RawCount {
        /// Inputs.
        inputs: usize,
        /// Raw buffers.
        raw: usize,
    },
    /// Typed contents in a request with raw ones.
    #[error("input {name:?}: contents and raw_input_contents in one request")]
    Mixed {
        /// Name of the input.
        name: String,
    },
    /// Typed contents of a type that has none.
    #[error("input {name:?}: {data_type} needs raw_input_contents")]
    RawOnly {
        /// Name of the input.
        name: String,
        /// Its type.
        data_type: DataType,
    },
    /// Values in a field of another type.
    #[error("input {name:?}: {data_type} values are expected in contents.{field} alone")]
    Field {
        /// Name of the input.
        name: String,
        /// Its type.
        data_type: DataType,
        /// The field for that type.
        field: &'static str,
    },
    /// More or fewer values than the shape needs.
    #[error("input {name:?}: {found} values in contents, expected {expected} for shape {shape:?}")]
    Count {
        /// Name of the input.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Values expected.
        expected: usize,
        /// Values that are there.
        found: usize,
    },
    /// A value that the type does not have.
    #[error("input {name:?}: contents[{index}] is {value}, which is no {data_type}")]
    Range {
        /// Name of the input.
        name: String,
        /// Its type.
        data_type: DataType,
        /// Index of the value.
        index: usize,
        /// The value.
        value: i64,
    },
    /// A parameter of another type or range.
    #[error("parameter {name:?}: expected {expected}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A parameter of an extension that is not there.
    #[error("parameter {name:?}: {extension} is not supported")]
    Extension {
        /// Name of the parameter.
        name: String,
        /// The extension of the protocol.
        extension: &'static str,
    },
    /// A parameter with a name that is kept for extensions.
    #[error("parameter {name:?}: no extension has it, and names that start with \"triton_\" are reserved")]
    Reserved {
        /// Name of the parameter.
        name: String,
    },
    /// Data that does not fit its shape and type.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
