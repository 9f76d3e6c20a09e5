//! Any ONNX model: inputs and outputs of every element type and shape.

use crate::{
    Backend, ElementType, Error, ModelError, Options, Result, TensorSpec, gpu,
    native::{Native, Refusal},
    onnx_runtime::{self, OnnxRuntime},
    source::Source,
};
use files::Limit;
use ort::session::SessionOutputs;
use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the graph.
    pub name: String,
    /// Type of its elements.
    pub element: ElementType,
    /// Shape, batch axis included; None for a dimension of any size.
    pub shape: Vec<Option<usize>>,
}

impl Port {
    /// `[?, 8]`
    pub(crate) fn shape_text(&self) -> String {
        let dims = self.shape.iter().map(|dim| dim.map_or("?".into(), |dim| dim.to_string()));
        format!("[{}]", dims.collect::<Vec<_>>().join(", "))
    }
}

/// Element type and shape: `float32 [?, 8]`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element, self.shape_text())
    }
}

/// The data of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<'a> {
    /// Numbers and booleans, little-endian. An input is copied if it is not aligned to its elements.
    Bytes(&'a [u8]),
    /// Text.
    Strings(Cow<'a, [String]>),
}

/// The value of an input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<'a> {
    /// Shape, batch axis included.
    pub shape: Cow<'a, [usize]>,
    /// Its elements.
    pub data: Data<'a>,
}

/// A loaded model.
pub struct Model {
    name: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    engine: Engine,
}

/// What runs a model.
enum Engine {
    Native(Box<Native>),
    OnnxRuntime(OnnxRuntime),
}

impl Model {
    /// Loads the model at `path`. With its files of weights (external data), which must be in its folder, it has at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// When the file is no model, is too long or names files elsewhere; or the backend does not have its operators, an
    /// input or output is no tensor, or has elements of an unsupported type; or ONNX Runtime would run it, and its library
    /// is missing.
    pub fn open(path: &Path, limit: Limit<'_>, options: &Options<'_>) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = files::read_file(path, limit)?;
        Self::new(Source { name: &name, bytes: bytes.into(), file: Some((path, limit)) }, options)
    }

    /// Loads a model without files of weights from memory; errors call it `name`.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &Options<'_>) -> Result<Self> {
        Self::new(Source { name, bytes: bytes.into(), file: None }, options)
    }

    fn new(source: Source<'_>, options: &Options<'_>) -> Result<Self> {
        let gpu = gpu::chosen(options)?;
        if options.backend == Backend::Ort || gpu.is_some() {
            return Self::with_onnx_runtime(source, options, gpu);
        }
        let refusal = match Native::new(&source, options) {
            Ok(native) => return Ok(Self::with_native(source.name, native)),
            Err(refusal) => refusal,
        };
        let name = source.name.to_owned();
        match (refusal, options.backend) {
            (Refusal::Forbidden(fault), _) | (Refusal::Fault(fault), Backend::Native) => Err(fault.of(&name)),
            (Refusal::Uncovered(operators), Backend::Native) => {
                Err(ModelError::Uncovered { operators, setting: options.setting("runtime") }.of(&name))
            }
            (Refusal::Uncovered(operators), _) => {
                Self::with_onnx_runtime(source, options, None).map_err(|error| match error {
                    Error::NoLibrary { .. } | Error::Library { .. } => {
                        Error::NoBackend { name, operators, library: Box::new(error) }
                    }
                    other => other,
                })
            }
            // What ONNX Runtime accepts, it may run. The message of a fault that both see is the native one, which names
            // the node.
            (Refusal::Fault(fault), _) => Self::with_onnx_runtime(source, options, None).map_err(|_| fault.of(&name)),
        }
    }

    fn with_native(name: &str, native: Native) -> Self {
        let (inputs, outputs) = (native.inputs().to_vec(), native.outputs().to_vec());
        Self { name: name.into(), inputs, outputs, engine: Engine::Native(Box::new(native)) }
    }

    fn with_onnx_runtime(source: Source<'_>, options: &Options<'_>, gpu: Option<u32>) -> Result<Self> {
        let name = source.name.to_owned();
        let session = OnnxRuntime::new(source, options, gpu)?;
        let inputs = session.inputs().map_err(|problem| problem.of(&name))?;
        let outputs = session.outputs().map_err(|problem| problem.of(&name))?;
        Ok(Self { name, inputs, outputs, engine: Engine::OnnxRuntime(session) })
    }

    /// What runs it: [`Backend::Native`] or [`Backend::Ort`].
    pub fn backend(&self) -> Backend {
        match self.engine {
            Engine::Native(_) => Backend::Native,
            Engine::OnnxRuntime(_) => Backend::Ort,
        }
    }

    /// The inputs, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The only input, which takes rows of float32 or uint8.
    ///
    /// # Errors
    /// When there are none or several, it has another element type, or no batch axis.
    pub fn only_input(&self) -> Result<TensorSpec> {
        crate::only_input(&self.inputs).map_err(|problem| self.error(problem))
    }

    /// The output of float32 rows called `name`, or the only one, and its index.
    ///
    /// # Errors
    /// When there is none, or there are several and none is named.
    pub fn prediction(&self, name: Option<&str>) -> Result<(usize, TensorSpec)> {
        crate::find_output(&self.outputs, name).map_err(|problem| self.error(problem))
    }

    /// The value of `key` in the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        match &self.engine {
            Engine::Native(native) => native.metadata(key),
            Engine::OnnxRuntime(session) => session.metadata(key),
        }
    }

    /// Runs the model on `inputs`, in the graph's order.
    ///
    /// # Errors
    /// When the number of inputs or the bytes of one are not the graph's, or the backend refuses.
    pub fn run(&mut self, inputs: &[Value<'_>]) -> Result<Outputs<'_>> {
        let (name, ports) = (&self.name, &self.outputs);
        if inputs.len() != self.inputs.len() {
            return Err(ModelError::InputCount { expected: self.inputs.len(), found: inputs.len() }.of(name));
        }
        let values = match &mut self.engine {
            Engine::Native(native) => native.run(inputs).map(|()| Values::Native(native)),
            Engine::OnnxRuntime(session) => session.run(&self.inputs, inputs).map(Values::OnnxRuntime),
        };
        Ok(Outputs { name, ports, values: values.map_err(|problem| problem.of(name))? })
    }

    /// Ends the profile of [`Options::profile`] and returns the path of its file: a list of events in the Trace Event Format.
    ///
    /// # Errors
    /// When ONNX Runtime cannot write it, or the native backend runs the model.
    pub fn finish_profile(&mut self) -> Result<PathBuf> {
        let path = match &mut self.engine {
            Engine::Native(_) => Err(ModelError::NoProfile),
            Engine::OnnxRuntime(session) => session.finish_profile(),
        };
        path.map_err(|problem| problem.of(&self.name))
    }

    /// An error of this model's.
    fn error(&self, problem: ModelError) -> Error {
        problem.of(&self.name)
    }
}

/// What a run has computed; it lies in the backend's memory.
pub struct Outputs<'m> {
    name: &'m str,
    ports: &'m [Port],
    values: Values<'m>,
}

enum Values<'m> {
    Native(&'m Native),
    OnnxRuntime(SessionOutputs<'m>),
}

impl Outputs<'_> {
    /// The output at `index` in the graph's order.
    ///
    /// # Errors
    /// When there is none, or ONNX Runtime cannot give its elements.
    pub fn get(&self, index: usize) -> Result<Value<'_>> {
        let Some(port) = self.ports.get(index) else {
            return Err(self.error(ModelError::OutputCount { index, found: self.ports.len() }));
        };
        match &self.values {
            Values::Native(native) => Ok(native.output(index)),
            Values::OnnxRuntime(outputs) => {
                onnx_runtime::value(port.element, &outputs[index]).map_err(|e| self.error(onnx_runtime::refused(&e)))
            }
        }
    }

    /// The shape of a row, and the elements, of the output at `index`, which has `rows` rows. Strings have no bytes.
    ///
    /// # Errors
    /// As [`Outputs::get`]; and when it has another number of rows.
    pub fn rows(&self, index: usize, rows: usize) -> Result<(Vec<usize>, &[u8])> {
        let value = self.get(index)?;
        let bytes = if let Data::Bytes(bytes) = value.data { bytes } else { &[] };
        match value.shape.split_first() {
            Some((&count, row_shape)) if count == rows => Ok((row_shape.to_vec(), bytes)),
            _ => Err(self.error(ModelError::OutputShape { rows, shape: value.shape.to_vec() })),
        }
    }

    /// An error of the model's.
    fn error(&self, problem: ModelError) -> Error {
        problem.of(self.name)
    }
}
