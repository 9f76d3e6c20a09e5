//! The configuration of a model in a repository: `config.pbtxt`, and its form in JSON.

mod access;
mod check;
mod colons;
mod json;
mod support;
mod text;

pub use access::{Versions, WarmupData, WarmupInput};
pub use json::{from_json, to_json};
pub use support::{Unsupported, unsupported};
pub use text::parse;

pub use crate::grpc::proto::{
    DataType as ConfigDataType, ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput, ModelQueuePolicy,
    ModelWarmup, model_queue_policy::TimeoutAction,
};

use crate::grpc;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::sync::LazyLock;

/// Bytes of a configuration at most. Triton's own examples have a few hundred.
pub const MAX_BYTES: usize = 1 << 20;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More than [`MAX_BYTES`].
    #[error("{file}: {bytes} bytes, a model's configuration may have {MAX_BYTES}")]
    TooLarge {
        /// The file that it was read from.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// The text is no message of that format.
    #[error("{file}:{line}:{column}: {problem}")]
    Syntax {
        /// The file that it was read from.
        file: String,
        /// Line of the problem, from 1.
        line: usize,
        /// Column of the problem in characters, from 1.
        column: usize,
        /// What is wrong, one line.
        problem: String,
    },
    /// A value that no model can have.
    #[error("{file}: {field}: {problem}")]
    Value {
        /// The file that it was read from.
        file: String,
        /// The field, as in `input[0].dims`.
        field: String,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
}

/// The descriptor of `inference.ModelConfig`.
static DESCRIPTOR: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(grpc::FILE_DESCRIPTOR_SET).expect("build.rs wrote valid descriptors");
    pool.get_message_by_name("inference.ModelConfig").expect("proto/model_config.proto defines it")
});
