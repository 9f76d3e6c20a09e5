//! What can fail, as types.

use safetensors::{Dtype, SafeTensorError};
use std::path::PathBuf;

/// What can go wrong with a model. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// candle refused.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// The executor has no training plan for the network.
    #[error(transparent)]
    Executor(#[from] executor::training::Error),
    /// An engine of another library's cannot compute the network.
    #[error(transparent)]
    Backend(Box<dyn std::error::Error + Send + Sync>),
    /// A file that cannot be read, or is too long.
    #[error(transparent)]
    Read(#[from] files::Error),
    /// A file that is no checkpoint, or none of this kind.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CheckpointError,
    },
    /// The model has tensors that safetensors cannot write.
    #[error("safetensors: {0}")]
    Serialize(#[from] SafeTensorError),
    /// The model has metadata that JSON cannot write.
    #[error("metadata: {0}")]
    SerializeMetadata(#[from] serde_json::Error),
}

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why bytes are no checkpoint. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// No safetensors header, or one that does not fit the bytes.
    #[error("no safetensors file: {0}")]
    Safetensors(#[from] SafeTensorError),
    /// A safetensors file of another program.
    #[error("no model of this kind: its metadata has no \"pipegrad\"")]
    NoMetadata,
    /// The metadata is no JSON object of the expected keys.
    #[error("damaged metadata: {0}")]
    Metadata(#[from] serde_json::Error),
    /// The features in the metadata contradict themselves.
    #[error("damaged metadata: {0}")]
    Features(dataset::Error),
    /// The features in the metadata do not give the network's input.
    #[error("damaged metadata: features of another width than the network's")]
    FeatureWidth,
    /// The layers in the metadata do not fit together.
    #[error("damaged metadata: {0}")]
    Architecture(#[from] ArchitectureError),
    /// A tensor of the network is not in the file.
    #[error("tensor {name:?} is missing")]
    MissingTensor {
        /// The tensor's key.
        name: String,
    },
    /// A tensor has another element type or shape than the network's.
    #[error("tensor {name:?} is {dtype:?} {shape:?}, expected F32 {expected:?}")]
    Tensor {
        /// The tensor's key.
        name: String,
        /// Its element type in the file.
        dtype: Dtype,
        /// Its shape in the file.
        shape: Vec<usize>,
        /// The shape that the network has.
        expected: Vec<usize>,
    },
    /// A model file, where the state of a training run is needed.
    #[error("a model without the state of its training; resume from a checkpoint")]
    NoTrainingState,
}

/// Why layers make no network. Displays as one line that begins with a key of the configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// A layer that is wrong in itself, or cannot take the output of the one before it.
    #[error("{name}: {problem}")]
    Layer {
        /// Its place in the list: `layers.3`.
        name: String,
        /// What is wrong.
        problem: LayerError,
    },
    /// The output of the last layer is not what the target needs.
    #[error("layers: the last gives {found:?} a row, and the target asks for [{expected}]")]
    Output {
        /// Shape of a row that the last layer gives.
        found: Vec<usize>,
        /// Width that the target needs.
        expected: usize,
    },
}

/// What is wrong with a layer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LayerError {
    /// A layer of images after one that gives none.
    #[error("takes an image [channels, height, width], and gets {shape:?}")]
    NotAnImage {
        /// Shape of a row that it gets.
        shape: Vec<usize>,
    },
    /// A whitening that is not the first layer.
    #[error("whitens the network's input, and is its first layer")]
    WhitenNotFirst,
    /// A whitening over no images.
    #[error("images: 0; at least 1 is needed")]
    WhitenImages,
    /// A whitening whose `eps` is negative or not finite.
    #[error("eps is {0}; expected a number of at least 0")]
    WhitenEps(f64),
    /// A whitening whose covariance matrix would be too large.
    #[error("patches of {kernel} × {kernel} have over {max} values")]
    WhitenPatch {
        /// Height and width of a patch.
        kernel: usize,
        /// Most values of a patch, all channels together.
        max: usize,
    },
    /// A size that must not be 0.
    #[error("channels, kernel and stride are at least 1")]
    ConvZero,
    /// Padding of the size of the kernel or more: some windows would be padding only.
    #[error("padding is {padding}; expected less than the kernel, {kernel}")]
    Padding {
        /// Zeros on each side.
        padding: usize,
        /// Height and width of the kernel.
        kernel: usize,
    },
    /// A kernel larger than the padded image.
    #[error("a kernel of {kernel} is larger than the image, {height} × {width}")]
    Kernel {
        /// Height and width of the kernel.
        kernel: usize,
        /// Height of the input.
        height: usize,
        /// Width of the input.
        width: usize,
    },
    /// A norm's momentum outside 0 to 1.
    #[error("momentum is {0}; expected 0 to 1")]
    Momentum(f32),
    /// A norm's `eps` that is not above 0, or not finite.
    #[error("eps is {0}; expected a number above 0")]
    NormEps(f32),
    /// A pooling window of 0, or larger than the image.
    #[error("a window of {size} × {size} does not fit the image, {height} × {width}")]
    Window {
        /// Height and width of the window.
        size: usize,
        /// Height of the input.
        height: usize,
        /// Width of the input.
        width: usize,
    },
    /// A linear layer of width 0.
    #[error("outputs are at least 1")]
    NoOutputs,
    /// No residual blocks, or too many.
    #[error("repeat is {repeat}; expected 1 to {max}")]
    Repeat {
        /// Blocks asked for.
        repeat: usize,
        /// The most that are accepted.
        max: usize,
    },
    /// A scale that is not finite.
    #[error("a factor of {0}; expected a number")]
    Scale(f32),
    /// A tensor or row of over 2^30 elements.
    #[error("{shape:?} has over a billion elements")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
}
