//! Running models: one [`Session`], for now over ONNX Runtime.

mod external;
mod library;
mod trust;

use files::Limit;
use ort::{
    environment::Environment,
    session::{
        Session as OrtSession,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{Outlet, TensorElementType, TensorRef, ValueType},
};
use records::DType;
use std::path::Path;

/// What can go wrong with a model at run time. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ONNX Runtime's library is not there or not usable.
    #[error(
        "ONNX Runtime's library is missing{0}; install it (python3 -m venv .venv && .venv/bin/pip install onnxruntime) \
         or name it with ORT_DYLIB_PATH, export.onnxruntime or infer.onnxruntime"
    )]
    Library(String),
    /// The file cannot be read, or is too long.
    #[error("{0}")]
    Unreadable(String),
    /// The model cannot be loaded or run.
    #[error("{path}: {problem}")]
    Model {
        /// The model file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// How a session runs.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// ONNX Runtime's library; none searches for it.
    pub library: Option<&'a Path>,
    /// Threads for one run; 0 is one a core.
    pub threads: usize,
}

/// Characters of what ONNX Runtime says, and a model through it, that go into a message.
const SAID: usize = 400;

/// Rows that go into a model, `[rows, row shape…]`.
#[derive(Debug, Clone, Copy)]
pub enum Inputs<'a> {
    /// Of a model that takes float32.
    F32(&'a [f32]),
    /// Of a model that takes uint8.
    U8(&'a [u8]),
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: String,
    /// Element type: `f4`, or `u1` of an input.
    pub dtype: DType,
    /// Rows of a batch, where the graph leaves no choice.
    pub batch: Option<usize>,
    /// Its shape without the batch axis; none where the graph leaves a dimension open.
    pub row_shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Whether a row of `shape` fits.
    pub fn accepts(&self, shape: &[usize]) -> bool {
        shape.len() == self.row_shape.len()
            && self.row_shape.iter().zip(shape).all(|(want, &dim)| want.is_none_or(|want| want == dim))
    }
}

/// A loaded model with one input, of float32 or uint8, and one float32 output, both with a batch axis first.
pub struct Session {
    path: String,
    session: OrtSession,
    input: TensorSpec,
    output: TensorSpec,
    /// Kept for as long as the session lives.
    _environment: Environment,
}

impl Session {
    /// Loads the model at `path`: with the files of weights that it names, at most `limit` bytes. Those lie in its folder.
    ///
    /// # Errors
    /// When the library is missing, the file is no model, is too long or names files elsewhere, or the model has other
    /// inputs and outputs.
    pub fn open(path: &Path, limit: Limit<'_>, options: &Options<'_>) -> Result<Self> {
        let name = path.display().to_string();
        let model = |problem| Error::Model { path: name.clone(), problem };
        let bytes = files::read_file(path, limit).map_err(|e| Error::Unreadable(e.to_string()))?;
        let locations = external::locations(&bytes).map_err(model)?;
        if locations.is_empty() {
            return Self::new(&name, options, |builder| builder.commit_from_memory(&bytes));
        }
        if !path.is_file() {
            return Err(model("its weights are in files beside it, and this is a pipe".into()));
        }
        let rest = limit.bytes.saturating_sub(bytes.len() as u64);
        drop(bytes);
        external::check(path, &locations, rest, limit.setting.unwrap_or("limit")).map_err(model)?;
        // From a file: only so does ONNX Runtime look beside it, not in the working folder.
        let path = path.canonicalize().map_err(|e| model(e.to_string()))?;
        Self::new(&name, options, |builder| builder.commit_from_file(&path))
    }

    /// Loads a model from memory; messages call it `name`. Its weights are in it.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &Options<'_>) -> Result<Self> {
        Self::new(name, options, |builder| builder.commit_from_memory(bytes))
    }

    fn new(
        name: &str,
        options: &Options<'_>,
        commit: impl Fn(&mut SessionBuilder) -> ort::Result<OrtSession>,
    ) -> Result<Self> {
        let environment = library::load(options.library)?;
        let model = |problem: String| Error::Model { path: name.into(), problem };
        let open = |threads| builder(&environment, threads).and_then(|mut builder| commit(&mut builder));
        let session = open(options.threads).or_else(|error| match error.message().contains(NO_THREAD) {
            // The system gives no more threads: this one does the work.
            true => open(1),
            false => Err(error),
        });
        let session = session.map_err(|e| model(one_line(&e)))?;
        let input = only(session.inputs(), "input", &[DType::F4, DType::U1]).map_err(model)?;
        let output = only(session.outputs(), "output", &[DType::F4]).map_err(model)?;
        Ok(Self { path: name.into(), session, input, output, _environment: environment })
    }

    /// The model's input.
    pub fn input(&self) -> &TensorSpec {
        &self.input
    }

    /// The model's output.
    pub fn output(&self) -> &TensorSpec {
        &self.output
    }

    /// What the model's file says under `key` of its metadata, if it does.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs `rows` rows of `row_shape`; `inputs` is `[rows, row_shape…]`. Returns the outputs
    /// `[rows, output shape…]` and the shape of one output row.
    ///
    /// # Errors
    /// When the model refuses, for instance numbers of another type, or returns another number of rows.
    pub fn run(
        &mut self,
        rows: usize,
        row_shape: &[usize],
        inputs: Inputs<'_>,
        outputs: &mut Vec<f32>,
    ) -> Result<Vec<usize>> {
        let shape: Vec<usize> = std::iter::once(rows).chain(row_shape.iter().copied()).collect();
        let failed = |problem: String| Error::Model { path: self.path.clone(), problem };
        let tensor = match inputs {
            Inputs::F32(values) => TensorRef::from_array_view((shape, values)).map(|tensor| tensor.into_dyn()),
            Inputs::U8(values) => TensorRef::from_array_view((shape, values)).map(|tensor| tensor.into_dyn()),
        };
        let tensor = tensor.map_err(|e| failed(one_line(&e)))?;
        let results = self.session.run(ort::inputs![tensor]).map_err(|e| failed(one_line(&e)))?;
        let (shape, values) = results[0].try_extract_tensor::<f32>().map_err(|e| failed(one_line(&e)))?;
        let shape: Vec<usize> = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
        match shape.split_first() {
            Some((&count, row_shape)) if count == rows => {
                outputs.clear();
                outputs.extend_from_slice(values);
                Ok(row_shape.to_vec())
            }
            _ => Err(failed(format!("{rows} rows went in and an output of shape {shape:?} came out"))),
        }
    }
}

/// What an error of the library's says when it cannot start a thread.
const NO_THREAD: &str = "pthread_create failed";

fn builder(environment: &Environment, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = OrtSession::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        // The same bytes on every run.
        .with_deterministic_compute(true)?;
    // A spinning pool burns the processor time of the tools on either side of the pipe.
    Ok(builder.with_intra_op_spinning(false)?)
}

/// The one tensor of `outlets`, of a type that is `accepted`.
fn only(outlets: &[Outlet], kind: &str, accepted: &[DType]) -> std::result::Result<TensorSpec, String> {
    let [outlet] = outlets else {
        return Err(format!("the model has {} {kind}s, expected 1", outlets.len()));
    };
    let found = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } if !shape.is_empty() => dtype(*ty).map(|dtype| (dtype, shape)),
        _ => None,
    };
    match found {
        Some((dtype, shape)) if accepted.contains(&dtype) => Ok(TensorSpec {
            name: outlet.name().into(),
            dtype,
            batch: shape.first().and_then(|&rows| usize::try_from(rows).ok()),
            row_shape: shape.iter().skip(1).map(|&dim| usize::try_from(dim).ok()).collect(),
        }),
        _ => {
            let accepted: Vec<_> = accepted.iter().map(|dtype| dtype.long_name()).collect();
            let (name, found, accepted) = (outlet.name(), outlet.dtype(), accepted.join(" or "));
            Err(format!("{kind} {name:?} is {found}, expected a {accepted} tensor with a batch axis"))
        }
    }
}

/// None of the element types that no session takes.
fn dtype(ty: TensorElementType) -> Option<DType> {
    match ty {
        TensorElementType::Float32 => Some(DType::F4),
        TensorElementType::Uint8 => Some(DType::U1),
        _ => None,
    }
}

/// What a library says, in one line of at most [`SAID`] characters that a terminal shows and does not obey.
fn one_line(error: &dyn std::fmt::Display) -> String {
    let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = String::new();
    for character in words.chars().take(SAID) {
        if character.is_control() { line.extend(character.escape_unicode()) } else { line.push(character) }
    }
    if words.chars().nth(SAID).is_some() {
        line.push('\u{2026}');
    }
    line
}
