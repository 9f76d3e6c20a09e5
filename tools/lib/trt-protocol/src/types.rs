//! Requests and answers.

use crate::Failure;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Compute capabilities (10 × major + minor) that TensorRT-RTX 1.7 has code for; it ends the process on a number that it does
/// not know. 75 has no float32 matrix multiplication.
pub const COMPUTE_CAPABILITIES: [u32; 6] = [75, 80, 86, 89, 120, 121];

/// What `trt-run` is asked, one request after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Builds an engine of the ONNX model in the payload.
    Build(BuildOptions),
    /// Loads the engine in the payload for [`Request::Run`].
    Load(LoadOptions),
    /// Runs the engine. The payload has the inputs' elements, one input after the other, row-major and little-endian.
    Run {
        /// Shapes of the inputs, in the order of [`Answer::Loaded`].
        shapes: Vec<Vec<i64>>,
    },
}

/// What `trt-run` answers: [`Answer::Ready`] when it starts, then one answer to each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It has started.
    Ready {
        /// [`crate::PROTOCOL`].
        protocol: u32,
    },
    /// The engine is in the payload.
    Built(Box<Built>),
    /// The engine is loaded.
    Loaded {
        /// Inputs, in the order of [`Request::Run`].
        inputs: Vec<TensorInfo>,
        /// Outputs, in the order of [`Answer::Ran`].
        outputs: Vec<TensorInfo>,
    },
    /// The outputs' elements are in the payload, one output after the other.
    Ran {
        /// Shapes of the outputs.
        shapes: Vec<Vec<i64>>,
    },
    /// The request failed; the process goes on.
    Failed(Failure),
}

/// How an engine is built.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildOptions {
    /// Path of TensorRT's library; None searches for it.
    pub library: Option<PathBuf>,
    /// Shapes of the inputs with dynamic dimensions: one optimization profile.
    pub profiles: Vec<InputProfile>,
    /// Targets, of [`COMPUTE_CAPABILITIES`].
    pub compute_capabilities: Vec<u32>,
    /// Most bytes of GPU memory for scratch space; None for the library's limit, all of the GPU's.
    pub workspace_bytes: Option<u64>,
    /// 0 (builds fastest) to 5 (searches most).
    pub optimization_level: u32,
    /// Whether TF32 may replace float32 in matrix multiplications.
    pub tf32: bool,
    /// Whether all that TensorRT logs goes to standard error, not only errors, warnings and information.
    pub verbose: bool,
}

/// Shapes that an input may have at run time, batch axis included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputProfile {
    /// Name of the input.
    pub input: String,
    /// The smallest.
    pub min: Vec<i64>,
    /// The one that the engine is optimized for.
    pub opt: Vec<i64>,
    /// The largest.
    pub max: Vec<i64>,
}

/// An engine that was built, and what TensorRT says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// `TensorRT-RTX` or `TensorRT`.
    pub library: String,
    /// Version of the library: `1.7.1`.
    pub version: String,
    /// Layers after fusion, in the order in which they run.
    pub layers: Vec<Layer>,
    /// Inputs of the engine.
    pub inputs: Vec<TensorInfo>,
    /// Outputs of the engine.
    pub outputs: Vec<TensorInfo>,
}

/// A layer of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// TensorRT's name.
    pub name: String,
    /// TensorRT's type: `gemm`, `kgen` (a generated kernel).
    pub kind: String,
    /// Names of the ONNX nodes that it computes, or a part of them.
    pub onnx_nodes: Vec<String>,
    /// What it reads, constants excepted.
    pub inputs: Vec<TensorInfo>,
    /// What it writes.
    pub outputs: Vec<TensorInfo>,
}

/// The type of a tensor of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Element type, named as NumPy and ONNX do: `float32`, `int8`.
    pub dtype: String,
    /// Its shape; -1 for a dynamic dimension.
    pub shape: Vec<i64>,
}

/// How an engine is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOptions {
    /// Path of TensorRT's library; None searches for it.
    pub library: Option<PathBuf>,
    /// The GPU: 0 is the first.
    pub device: u32,
    /// File of kernels that were compiled for this GPU (TensorRT-RTX compiles at run time); read if it is there, and
    /// written after the first run. None keeps none.
    pub runtime_cache: Option<PathBuf>,
    /// Whether all that TensorRT logs goes to standard error, not only errors, warnings and information.
    pub verbose: bool,
}
