//! Running ONNX models: a [`Session`] for rows of one input and one output, a [`Model`] for any graph.
//!
//! In the pipe: `infer` and `serve` run models here, and `export` checks with it what it has written. The native `executor`
//! runs a model where it has all of its operators, otherwise ONNX Runtime does ([`Backend`]). The latter's library (PyPI's
//! `onnxruntime`) is loaded only then; `docs/security.md` has the search path, and which libraries are refused. With the
//! feature `tensorrt` an `Engine` is run on a GPU, by another process.
//!
//! | array | shape | element type |
//! |---|---|---|
//! | [`Inputs`] | `[rows, row shape…]` | `f4` or `u1`, as [`Session::input`] says |
//! | outputs | `[rows, output shape…]` | `f4` |
//!
//! ```no_run
//! use runtime::{Inputs, Options, Session};
//!
//! // `no_run`: there is no such file.
//! let limit = files::Limit { bytes: 1 << 30, setting: None };
//! let mut session = Session::open("entropy.onnx".as_ref(), limit, &Options::default(), None)?;
//! assert!(session.input().accepts(&[8]));
//! let (rows, mut outputs) = ([[0.125; 8]; 3], Vec::new());
//! let shape = session.run(3, &[8], Inputs::F32(rows.as_flattened()), &mut outputs)?;
//! assert_eq!((shape.len(), outputs.len()), (0, 3)); // a scalar a row
//! # Ok::<(), runtime::Error>(())
//! ```

mod backend;
mod element;
mod error;
mod external;
mod gpu;
mod library;
mod memory;
mod model;
mod native;
mod not_onnx;
mod onnx_runtime;
mod source;
#[cfg(feature = "tensorrt")]
mod tensorrt;

use files::Limit;
use records::DType;
use std::path::Path;

pub use backend::Backend;
pub use cuda::Device;
pub use element::ElementType;
pub use error::{Error, ModelError, Result, WeightsError};
pub use library::{finds_library, library_version};
pub use memory::trim_memory;
pub use model::{Data, Model, Outputs, Port, Value};
pub use not_onnx::explain_not_onnx;
#[cfg(feature = "tensorrt")]
pub use tensorrt::{Engine, EngineOptions, EngineOutput};

/// How a model runs.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// What runs it.
    pub backend: Backend,
    /// Where it runs. On a GPU, ONNX Runtime's CUDA provider runs it.
    pub device: Device,
    /// Path of ONNX Runtime's library; None searches for it.
    pub library: Option<&'a Path>,
    /// The group of the settings `runtime`, `device`, `onnxruntime` and `memory_bytes`, for errors: `infer`. Empty is none.
    pub group: &'a str,
    /// Threads of a run; 0 for one a core.
    pub threads: usize,
    /// Most bytes of memory that the values of a run may need together in the native backend.
    pub memory_bytes: u64,
    /// Start of the path of ONNX Runtime's own profile, with the time of each node of each run; None takes none, and the
    /// native backend neither. [`Model::finish_profile`] writes it.
    pub profile: Option<&'a Path>,
}

/// Checks that models can run on the device of `options`, before there is one.
///
/// # Errors
/// If a GPU is named, and there is no driver, no such GPU or no provider for it, or only the native backend is asked for.
pub fn check_device(options: &Options<'_>) -> Result<()> {
    gpu::chosen(options).map(drop)
}

/// Limit on the memory of a run where no setting says one.
const MEMORY_BYTES: u64 = 4_000_000_000;

impl Default for Options<'_> {
    /// Any backend, the CPU, one thread a core, 4 GB.
    fn default() -> Self {
        let (library, group, threads, profile) = (None, "", 0, None);
        Self {
            backend: Backend::Auto,
            device: Device::Cpu,
            library,
            group,
            threads,
            memory_bytes: MEMORY_BYTES,
            profile,
        }
    }
}

impl Options<'_> {
    /// The name of a setting, `infer.onnxruntime`; empty where there is no group.
    pub(crate) fn setting(&self, name: &str) -> String {
        if self.group.is_empty() { String::new() } else { format!("{}.{name}", self.group) }
    }
}

/// Most characters of a backend's message, which may quote the model, that go into an error.
const MESSAGE_CHARS: usize = 400;

/// Rows for a model, `[rows, row shape…]`.
#[derive(Debug, Clone, Copy)]
pub enum Inputs<'a> {
    /// For a model whose input is `f4`.
    F32(&'a [f32]),
    /// For a model whose input is `u1`.
    U8(&'a [u8]),
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name in the graph.
    pub name: String,
    /// Element type: `f4`, or `u1` of an input.
    pub dtype: DType,
    /// Batch size, where the graph fixes it; None for any.
    pub batch: Option<usize>,
    /// Shape without the batch axis; None for a dimension of any size.
    pub row_shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Whether a row of `shape` fits.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        shape.len() == self.row_shape.len()
            && self.row_shape.iter().zip(shape).all(|(want, &dim)| want.is_none_or(|want| want == dim))
    }
}

/// A loaded model with one input, of float32 or uint8, and a float32 output, both with a batch axis first.
pub struct Session {
    model: Model,
    input: TensorSpec,
    output: TensorSpec,
    /// Index of the output among the graph's.
    output_index: usize,
}

impl Session {
    /// Loads the model at `path`, as [`Model::open`]. `output` is the name of the output; None for the only `f4` one with a
    /// batch axis.
    ///
    /// # Errors
    /// As [`Model::open`]; and when the model does not have one `f4` or `u1` input, or not that output.
    pub fn open(path: &Path, limit: Limit<'_>, options: &Options<'_>, output: Option<&str>) -> Result<Self> {
        Self::new(Model::open(path, limit, options)?, output)
    }

    /// Loads a model without files of weights from memory; errors call it `name`.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &Options<'_>) -> Result<Self> {
        Self::new(Model::from_bytes(name, bytes, options)?, None)
    }

    fn new(model: Model, output: Option<&str>) -> Result<Self> {
        let input = model.only_input()?;
        let (output_index, output) = model.prediction(output)?;
        Ok(Self { model, input, output, output_index })
    }

    /// The input's name, element type and shape.
    pub fn input(&self) -> &TensorSpec {
        &self.input
    }

    /// The output's name, element type and shape.
    pub fn output(&self) -> &TensorSpec {
        &self.output
    }

    /// What runs the model: [`Backend::Native`] or [`Backend::Ort`].
    pub fn backend(&self) -> Backend {
        self.model.backend()
    }

    /// The value of `key` in the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.model.metadata(key)
    }

    /// Runs the model on `rows` rows; `inputs` is `[rows, row_shape…]`. Overwrites `outputs` with `[rows, output shape…]`
    /// and returns the shape of one output row.
    ///
    /// # Errors
    /// When the backend refuses, for instance inputs of another element type, or the output has another number of rows.
    pub fn run(
        &mut self,
        rows: usize,
        row_shape: &[usize],
        inputs: Inputs<'_>,
        outputs: &mut Vec<f32>,
    ) -> Result<Vec<usize>> {
        let shape: Vec<usize> = std::iter::once(rows).chain(row_shape.iter().copied()).collect();
        let data = Data::Bytes(match inputs {
            Inputs::F32(values) => bytemuck::cast_slice(values),
            Inputs::U8(values) => values,
        });
        let results = self.model.run(&[Value { shape: shape.into(), data }])?;
        let (row_shape, bytes) = results.rows(self.output_index, rows)?;
        outputs.clear();
        outputs.extend_from_slice(bytemuck::cast_slice(bytes));
        Ok(row_shape)
    }
}

/// The only input.
///
/// # Errors
/// When there are none or several, or it is none that a session takes.
fn only_input(inputs: &[Port]) -> Result<TensorSpec, ModelError> {
    match inputs {
        [input] => spec(input, "input", &[DType::F4, DType::U1]),
        _ => Err(ModelError::Inputs { names: names(inputs) }),
    }
}

/// The output called `name`, or the only one that a session takes, and its index.
///
/// # Errors
/// When there is none, or there are several and none is named.
fn find_output(outputs: &[Port], name: Option<&str>) -> Result<(usize, TensorSpec), ModelError> {
    let spec = |output: &Port| spec(output, "output", &[DType::F4]);
    if let Some(name) = name {
        let index = outputs.iter().position(|output| output.name == name);
        let index = index.ok_or_else(|| ModelError::NoOutput { name: name.into(), names: names(outputs) })?;
        return Ok((index, spec(&outputs[index])?));
    }
    if let [output] = outputs {
        return Ok((0, spec(output)?));
    }
    let mut fit: Vec<_> = outputs.iter().enumerate().filter_map(|(i, output)| Some((i, spec(output).ok()?))).collect();
    match (fit.pop(), fit.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let names = fit.iter().chain([&last]).map(|(_, spec)| spec.name.as_str());
            Err(ModelError::SeveralOutputs { names: listed(names) })
        }
        (None, _) => Err(ModelError::NoneFits { names: names(outputs) }),
    }
}

fn names(ports: &[Port]) -> String {
    listed(ports.iter().map(|port| port.name.as_str()))
}

/// `"a", "b"`
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// What a session needs to know of an input or output.
///
/// # Errors
/// When its element type is not in `accepted`, or it is a scalar.
fn spec(port: &Port, kind: &'static str, accepted: &[DType]) -> Result<TensorSpec, ModelError> {
    match (dtype(port.element), port.shape.split_first()) {
        (Some(dtype), Some((&batch, row_shape))) if accepted.contains(&dtype) => {
            Ok(TensorSpec { name: port.name.clone(), dtype, batch, row_shape: row_shape.to_vec() })
        }
        _ => {
            let accepted: Vec<_> = accepted.iter().map(|dtype| dtype.long_name()).collect();
            let (name, found, accepted) = (port.name.clone(), port.to_string(), accepted.join(" or "));
            Err(ModelError::Tensor { kind, name, found, accepted })
        }
    }
}

/// None of the element types that no session takes.
fn dtype(element: ElementType) -> Option<DType> {
    match element {
        ElementType::F32 => Some(DType::F4),
        ElementType::U8 => Some(DType::U1),
        _ => None,
    }
}

/// A message in one line of at most [`MESSAGE_CHARS`] characters, control characters escaped.
fn one_line(error: &dyn std::fmt::Display) -> String {
    let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = String::new();
    for character in words.chars().take(MESSAGE_CHARS) {
        if character.is_control() { line.extend(character.escape_unicode()) } else { line.push(character) }
    }
    if words.chars().nth(MESSAGE_CHARS).is_some() {
        line.push('\u{2026}');
    }
    line
}
