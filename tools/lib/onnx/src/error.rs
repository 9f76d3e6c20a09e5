//! What can be wrong with a model, as types.

use crate::OPSETS;
use std::{collections::TryReserveError, io};

/// What can go wrong with an ONNX file. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is too long.
    #[error(transparent)]
    Read(#[from] files::Error),
    /// The model breaks the format's rules, or has what is not supported.
    #[error("{model}: {problem}")]
    Model {
        /// The file's path, or the name that [`Model::from_bytes`](crate::Model::from_bytes) was given.
        model: String,
        /// What is wrong.
        #[source]
        problem: Problem,
    },
}

/// What this library's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model is refused.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes are no protocol buffer.
    #[error("no ONNX model: {0}")]
    NotOnnx(#[from] prost::DecodeError),
    /// A file of weights (external data) that must not or cannot be read.
    #[error("weights file {location:?}: tensor {tensor:?}: {problem}")]
    Weights {
        /// As the model has it.
        location: String,
        /// Whose values it holds.
        tensor: String,
        /// Why.
        #[source]
        problem: WeightsError,
    },
    /// The model's folder cannot be resolved.
    #[error("{0}")]
    Path(#[from] io::Error),
    /// A tensor that is not as its type and shape say.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A node that breaks the rules of its operator.
    #[error("node {node}: {reason}")]
    Node {
        /// As [`Node::describe`](crate::Node::describe) writes it.
        node: String,
        /// Why.
        reason: String,
    },
    /// A version of ONNX's own operator set that is none of [`OPSETS`].
    #[error("operator set {0}; {first} to {last} are supported", first = OPSETS.start(), last = OPSETS.end())]
    Opset(i64),
    /// A fault of the graph as a whole.
    #[error("{0}")]
    Graph(String),
}

/// Why a file of weights is not read.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The model is not in a file.
    #[error("the model is not in a file, so none is beside it")]
    NoFolder,
    /// With it, model and weights are longer than the limit.
    #[error("model and weights have more than {bytes} bytes{setting}")]
    TooLong {
        /// The limit.
        bytes: u64,
        /// The setting that is the limit, in parentheses; may be empty.
        setting: String,
    },
    /// It is not in the model's folder, or no regular file.
    #[error("{0}")]
    Misplaced(#[from] files::Misplaced),
    /// The tensor's bytes are not all in it.
    #[error("{length} bytes from byte {offset}, and the file has {size}")]
    Range {
        /// Bytes of the tensor.
        length: u64,
        /// Where they begin.
        offset: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// More bytes than there is memory.
    #[error("{0}")]
    Memory(#[from] TryReserveError),
    /// The file became shorter while it was read.
    #[error("the file became shorter")]
    Shorter,
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Problem {
    /// A fault of a tensor.
    pub fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { name: name.into(), reason: reason.into() }
    }

    /// A fault of a node.
    pub fn node(node: &crate::Node, reason: impl Into<String>) -> Self {
        Self::Node { node: node.describe(), reason: reason.into() }
    }

    /// A fault of the graph as a whole.
    pub fn graph(reason: impl Into<String>) -> Self {
        Self::Graph(reason.into())
    }

    /// The error of the model called `model`.
    pub fn of(self, model: &str) -> Error {
        Error::Model { model: model.into(), problem: self }
    }
}
