//! What can fail, as types.

use std::{io, path::PathBuf};

/// What to do about ONNX Runtime's library, with the setting that could name it, if there is one.
fn install(setting: &str) -> String {
    let or = if setting.is_empty() { "" } else { " or " };
    format!("install it ({}) or name it with ORT_DYLIB_PATH{or}{setting}", dylib::pip_install("onnxruntime"))
}

/// The same, where the setting or variable `by` names a library that is none.
fn correct(by: &str) -> String {
    match by {
        "" => install(by),
        _ => format!("correct {by}, or leave it out to search for the library"),
    }
}

/// What the native backend does not have.
fn uncovered(operators: &[String]) -> String {
    let listed = operators.join(", ");
    if listed.is_empty() {
        "the native backend does not read ONNX Runtime's own format".into()
    } else {
        format!("operators without a native implementation: {listed}")
    }
}

/// ` (the setting infer.memory_bytes)`; nothing where there is no setting.
fn in_parentheses(setting: &str) -> String {
    if setting.is_empty() { String::new() } else { format!(" (the setting {setting})") }
}

/// How to have another backend.
fn other_backend(setting: &str) -> String {
    if setting.is_empty() { String::new() } else { format!("; {setting}=auto takes ONNX Runtime for it") }
}

/// `infer.device=cuda:0: `; nothing where there is no setting.
fn asked(device: cuda::Device, setting: &str) -> String {
    if setting.is_empty() { String::new() } else { format!("{setting}={device}: ") }
}

/// How to have ONNX Runtime on the GPU, or another device.
fn other_device(setting: &str) -> String {
    match setting.strip_suffix(".device") {
        Some(group) => format!("{group}.runtime=auto, which takes ONNX Runtime for it, or {setting}=cpu"),
        None => "ONNX Runtime for it, or the CPU".into(),
    }
}

/// What can go wrong with a model at run time. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ONNX Runtime's library is in none of the places that are searched, or may not be loaded from there.
    #[error("ONNX Runtime's library is missing{missing}; {}", install(setting))]
    NoLibrary {
        /// What was found, and why it is not loaded.
        missing: dylib::Missing,
        /// The setting that could name the library; empty if there is none.
        setting: String,
    },
    /// A model that needs ONNX Runtime, whose library is missing.
    #[error("{name}: {}; {library}", uncovered(operators))]
    NoBackend {
        /// The path of the model's file, or the name that [`Model::from_bytes`](crate::Model::from_bytes) was given.
        name: String,
        /// What has no native implementation: operators, and element types.
        operators: Vec<String>,
        /// What was looked for, and how to get it.
        library: Box<Error>,
    },
    /// ONNX Runtime's library cannot be loaded or started.
    #[error("ONNX Runtime's library is missing ({}: {reason}); {}", path.display(), correct(named_by))]
    Library {
        /// The library.
        path: PathBuf,
        /// What the system or the library says, in one line.
        reason: String,
        /// The setting or variable that names it; empty if it was found.
        named_by: String,
    },
    /// The GPU that is asked for cannot be used.
    #[error("{}{problem}", asked(*device, setting))]
    Device {
        /// What was asked for.
        device: cuda::Device,
        /// The setting that chooses it; empty if there is none.
        setting: String,
        /// What is wrong.
        #[source]
        problem: cuda::Error,
    },
    /// A GPU is asked for, and only the native backend, which has none.
    #[error("{}the native runtime computes on the CPU; use {}", asked(*device, setting), other_device(setting))]
    NativeOnGpu {
        /// What was asked for.
        device: cuda::Device,
        /// The setting that chooses it; empty if there is none.
        setting: String,
    },
    /// ONNX Runtime's library runs models on CPUs only.
    #[error(
        "{}ONNX Runtime's library {} has no CUDA provider; install onnxruntime-gpu in the place of onnxruntime ({}), or choose the device cpu",
        asked(*device, setting), path.display(), dylib::pip_install("'onnxruntime-gpu[cuda,cudnn]'")
    )]
    NoProvider {
        /// The library.
        path: PathBuf,
        /// What was asked for.
        device: cuda::Device,
        /// The setting that chooses it; empty if there is none.
        setting: String,
    },
    /// The model's file cannot be read, or is too long.
    #[error(transparent)]
    Read(#[from] files::Error),
    /// The model cannot be loaded or run.
    #[error("{name}: {problem}")]
    Model {
        /// The path of the model's file, or the name that [`Session::from_bytes`](crate::Session::from_bytes) was given.
        name: String,
        /// What is wrong.
        #[source]
        problem: ModelError,
    },
    /// An engine of TensorRT cannot be loaded or run.
    #[cfg(feature = "tensorrt")]
    #[error("{name}: {problem}")]
    Engine {
        /// The path of the engine's file.
        name: String,
        /// What is wrong.
        #[source]
        problem: trt_protocol::Error,
    },
}

/// What this library's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// ONNX Runtime refuses; its message in one line.
    #[error("{0}")]
    OnnxRuntime(String),
    /// The graph is faulty, or a node refuses its inputs; one line that names the node.
    #[error("{0}")]
    Graph(String),
    /// The native backend is asked for, and does not have all of the model.
    #[error("{}{}", uncovered(operators), other_backend(setting))]
    Uncovered {
        /// What has no native implementation: operators, and element types.
        operators: Vec<String>,
        /// The setting that chooses the backend; empty if there is none.
        setting: String,
    },
    /// A run would need more memory than allowed.
    #[error("values of this shape need {needed} bytes of memory, more than {limit}{}", in_parentheses(setting))]
    Memory {
        /// Bytes.
        needed: u64,
        /// [`Options::memory_bytes`](crate::Options::memory_bytes).
        limit: u64,
        /// The setting that is the limit; empty if there is none.
        setting: String,
    },
    /// A profile is asked of a backend without one.
    #[error("the native backend takes no profile")]
    NoProfile,
    /// The file is no protocol buffer.
    #[error("no ONNX model: {0}")]
    NotOnnx(#[from] prost::DecodeError),
    /// The path of a file of weights is not UTF-8.
    #[error("the name of a file is not UTF-8")]
    LocationNotUtf8,
    /// The model comes over a pipe and names files of weights.
    #[error("its weights are in files beside it, and this is a pipe")]
    WeightsBesidePipe,
    /// The model's path or folder cannot be resolved.
    #[error("{0}")]
    Path(#[from] io::Error),
    /// A file of weights that must not or cannot be read.
    #[error("its weights in {location:?}: {problem}")]
    Weights {
        /// The path that the model has for the file.
        location: String,
        /// What is wrong.
        #[source]
        problem: WeightsError,
    },
    /// A model without inputs, or with several.
    #[error("expected one input, found {names}; serve runs models of several")]
    Inputs {
        /// The inputs' names, in quotes.
        names: String,
    },
    /// An output is named that the model does not have.
    #[error("no output is called {name:?}; there are {names}")]
    NoOutput {
        /// The name.
        name: String,
        /// The outputs' names, in quotes.
        names: String,
    },
    /// Several outputs could be the prediction.
    #[error("several float32 outputs; choose one with infer.output=NAME, or several with infer.outputs, of {names}")]
    SeveralOutputs {
        /// Their names, in quotes.
        names: String,
    },
    /// None of several outputs can be the prediction.
    #[error("no output is a float32 tensor with a batch axis; there are {names}")]
    NoneFits {
        /// The outputs' names, in quotes.
        names: String,
    },
    /// An input or output of another type, or without a batch axis.
    #[error("{kind} {name:?} is {found}, expected a {accepted} tensor with a batch axis")]
    Tensor {
        /// `input` or `output`.
        kind: &'static str,
        /// Its name in the graph.
        name: String,
        /// Its element type and shape.
        found: String,
        /// The accepted element types.
        accepted: String,
    },
    /// An input or output that is no tensor, or has elements of an unsupported type.
    #[error("{kind} {name:?} is {found}, which is not supported")]
    Unsupported {
        /// `input` or `output`.
        kind: &'static str,
        /// Its name in the graph.
        name: String,
        /// Its type, as ONNX Runtime prints it.
        found: String,
    },
    /// A run with too many or too few inputs.
    #[error("{found} inputs, expected {expected}")]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs of the run.
        found: usize,
    },
    /// An output that the graph does not have.
    #[error("output {index} of {found}")]
    OutputCount {
        /// What was asked for.
        index: usize,
        /// Outputs of the graph.
        found: usize,
    },
    /// An input of another shape than the graph's.
    #[error("input {name:?} has shape {found:?}, expected {expected}")]
    InputShape {
        /// Name of the input.
        name: String,
        /// Shape of the value.
        found: Vec<usize>,
        /// Shape of the graph's input, `[?, 8]`.
        expected: String,
    },
    /// Strings for numbers or the reverse, another number of bytes than the shape's, or bytes that are no booleans.
    #[error("input {name:?}: data of another element type")]
    DataOfAnotherType {
        /// Name of the input.
        name: String,
    },
    /// The first dimension of the output is not that of the input.
    #[error("{rows} rows went in and an output of shape {shape:?} came out")]
    OutputShape {
        /// Rows that went in.
        rows: usize,
        /// Shape of the output.
        shape: Vec<usize>,
    },
}

impl ModelError {
    /// The error of the model called `name`.
    pub(crate) fn of(self, name: &str) -> Error {
        Error::Model { name: name.into(), problem: self }
    }
}

/// Why a file of weights is not read.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It is not in the model's folder, or no regular file.
    #[error(transparent)]
    Misplaced(#[from] files::Misplaced),
    /// With it, model and weights are longer than the limit.
    #[error("more than {bytes} bytes (the setting {setting})")]
    TooLong {
        /// What the limit leaves for files of weights.
        bytes: u64,
        /// The limit's name.
        setting: String,
    },
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}
