//! Any ONNX model: inputs and outputs of every element type and shape.

use crate::{Error, ModelError, Options, Result, element::ElementType, external, library, onnx_runtime};
use bytemuck::{AnyBitPattern, NoUninit};
use files::Limit;
use half::{bf16, f16};
use ort::{
    environment::Environment,
    session::{
        Session as OrtSession, SessionInputValue, SessionOutputs,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{DynValue, Outlet, PrimitiveTensorElementType, Tensor, TensorRef, ValueType},
};
use std::{
    borrow::Cow,
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
    pub(crate) session: OrtSession,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Kept for as long as the session lives.
    _environment: Environment,
}

impl Model {
    /// Loads the model at `path`. With its files of weights (external data), which must be in its folder, it has at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// When the library is missing; the file is no model, is too long or names files elsewhere; or an input or output is
    /// no tensor, or has elements of an unsupported type.
    pub fn open(path: &Path, limit: Limit<'_>, options: &Options<'_>) -> Result<Self> {
        let name = path.display().to_string();
        let model = |problem| Error::Model { name: name.clone(), problem };
        let bytes = files::read_file(path, limit)?;
        let locations = external::locations(&bytes).map_err(model)?;
        if locations.is_empty() {
            return Self::new(&name, options, |builder| builder.commit_from_memory(&bytes));
        }
        if !path.is_file() {
            return Err(model(ModelError::WeightsBesidePipe));
        }
        let rest = limit.bytes.saturating_sub(bytes.len() as u64);
        drop(bytes);
        external::check(path, &locations, rest, limit.setting.unwrap_or("limit")).map_err(model)?;
        // From the file: from memory, ONNX Runtime would look for weights in the working folder.
        let path = path.canonicalize().map_err(|e| model(e.into()))?;
        Self::new(&name, options, |builder| builder.commit_from_file(&path))
    }

    /// Loads a model without files of weights from memory; errors call it `name`.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &Options<'_>) -> Result<Self> {
        Self::new(name, options, |builder| builder.commit_from_memory(bytes))
    }

    fn new(
        name: &str,
        options: &Options<'_>,
        commit: impl Fn(&mut SessionBuilder) -> ort::Result<OrtSession>,
    ) -> Result<Self> {
        let environment = library::load(options.library, options.library_setting)?;
        let model = |problem| Error::Model { name: name.into(), problem };
        let open =
            |threads| builder(&environment, threads, options.profile).and_then(|mut builder| commit(&mut builder));
        let session = open(options.threads).or_else(|error| match error.message().contains(NO_THREAD) {
            // The system has no more threads: run on this one.
            true => open(1),
            false => Err(error),
        });
        let session = session.map_err(|e| model(onnx_runtime(&e)))?;
        let ports = |kind, outlets: &[Outlet]| {
            outlets.iter().map(|outlet| port(kind, outlet)).collect::<std::result::Result<Vec<_>, _>>()
        };
        let inputs = ports("input", session.inputs()).map_err(model)?;
        let outputs = ports("output", session.outputs()).map_err(model)?;
        Ok(Self { name: name.into(), session, inputs, outputs, _environment: environment })
    }

    /// The inputs, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The value of `key` in the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs the model on `inputs`, in the graph's order.
    ///
    /// # Errors
    /// When the number of inputs or the bytes of one are not the graph's, or ONNX Runtime refuses.
    pub fn run(&mut self, inputs: &[Value<'_>]) -> Result<Outputs<'_>> {
        let name = &self.name;
        let failed = |problem| Error::Model { name: name.clone(), problem };
        if inputs.len() != self.inputs.len() {
            return Err(failed(ModelError::InputCount { expected: self.inputs.len(), found: inputs.len() }));
        }
        let ports = self.inputs.iter().zip(inputs);
        let values = ports.map(|(port, value)| tensor(port, value)).collect::<std::result::Result<Vec<_>, _>>();
        let values = values.map_err(failed)?;
        let outputs = self.session.run(values.as_slice()).map_err(|e| failed(onnx_runtime(&e)))?;
        Ok(Outputs { name, ports: &self.outputs, outputs })
    }

    /// Ends the profile of [`Options::profile`] and returns the path of its file: a list of events in the Trace Event Format.
    ///
    /// # Errors
    /// When ONNX Runtime cannot write it.
    pub fn finish_profile(&mut self) -> Result<PathBuf> {
        self.session.end_profiling().map(PathBuf::from).map_err(|e| self.error(onnx_runtime(&e)))
    }

    /// An error of this model's.
    pub(crate) fn error(&self, problem: ModelError) -> Error {
        Error::Model { name: self.name.clone(), problem }
    }
}

/// What a run has computed; it lies in ONNX Runtime's memory.
pub struct Outputs<'m> {
    name: &'m str,
    ports: &'m [Port],
    outputs: SessionOutputs<'m>,
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
        value(port.element, &self.outputs[index]).map_err(|e| self.error(onnx_runtime(&e)))
    }

    /// An error of the model's.
    pub(crate) fn error(&self, problem: ModelError) -> Error {
        Error::Model { name: self.name.into(), problem }
    }
}

/// ONNX Runtime's option for exact int8 products on x86-64 (`onnxruntime_session_options_config_keys.h`).
const X64_QUANT_PRECISION: &str = "session.x64quantprecision";

/// Part of ONNX Runtime's message when it cannot start a thread.
const NO_THREAD: &str = "pthread_create failed";

fn builder(environment: &Environment, threads: usize, profile: Option<&Path>) -> ort::Result<SessionBuilder> {
    let mut builder = OrtSession::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        // The same bytes on every run.
        .with_deterministic_compute(true)?
        // Without VNNI, the int8 kernels for AVX2 would saturate at 16 bits, and int8 models lose their accuracy.
        .with_config_entry(X64_QUANT_PRECISION, "1")?;
    if let Some(path) = profile {
        builder = builder.with_profiling(path)?;
    }
    // A spinning pool burns the processor time of the tools on either side of the pipe.
    Ok(builder.with_intra_op_spinning(false)?)
}

fn port(kind: &'static str, outlet: &Outlet) -> std::result::Result<Port, ModelError> {
    let unsupported =
        || ModelError::Unsupported { kind, name: outlet.name().into(), found: crate::one_line(outlet.dtype()) };
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return Err(unsupported()) };
    let element = ElementType::from_ort(*ty).ok_or_else(unsupported)?;
    let shape = shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    Ok(Port { name: outlet.name().into(), element, shape })
}

/// What ONNX Runtime takes for an input.
fn tensor<'v>(port: &Port, value: &'v Value<'_>) -> std::result::Result<SessionInputValue<'v>, ModelError> {
    let shape = value.shape.as_ref();
    let bytes = match (&value.data, port.element) {
        (Data::Strings(strings), ElementType::String) => {
            let tensor = Tensor::from_string_array((shape, strings.as_ref())).map_err(|e| onnx_runtime(&e))?;
            return Ok(tensor.into());
        }
        (Data::Bytes(bytes), element) if element != ElementType::String => *bytes,
        _ => return Err(ModelError::DataOfAnotherType { name: port.name.clone() }),
    };
    let tensor = match port.element {
        ElementType::Bool => {
            // A byte that is neither 0 nor 1 is no boolean.
            let values = bytemuck::checked::try_cast_slice::<u8, bool>(bytes);
            let values = values.map_err(|_| ModelError::DataOfAnotherType { name: port.name.clone() })?;
            TensorRef::from_array_view((shape, values)).map(Into::into)
        }
        ElementType::U8 => view::<u8>(shape, bytes),
        ElementType::U16 => view::<u16>(shape, bytes),
        ElementType::U32 => view::<u32>(shape, bytes),
        ElementType::U64 => view::<u64>(shape, bytes),
        ElementType::I8 => view::<i8>(shape, bytes),
        ElementType::I16 => view::<i16>(shape, bytes),
        ElementType::I32 => view::<i32>(shape, bytes),
        ElementType::I64 => view::<i64>(shape, bytes),
        ElementType::F16 => view::<f16>(shape, bytes),
        ElementType::Bf16 => view::<bf16>(shape, bytes),
        ElementType::F64 => view::<f64>(shape, bytes),
        // Strings have no bytes.
        ElementType::F32 | ElementType::String => view::<f32>(shape, bytes),
    };
    tensor.map_err(|e| onnx_runtime(&e))
}

/// A tensor over `bytes`, or over an aligned copy of them.
fn view<'v, T>(shape: &'v [usize], bytes: &'v [u8]) -> ort::Result<SessionInputValue<'v>>
where
    T: PrimitiveTensorElementType + AnyBitPattern + NoUninit + std::fmt::Debug,
{
    match bytemuck::try_cast_slice::<u8, T>(bytes) {
        Ok(values) => TensorRef::from_array_view((shape, values)).map(Into::into),
        Err(_) => {
            let values: Vec<T> = bytemuck::pod_collect_to_vec(bytes);
            Tensor::from_array((shape.to_vec(), values)).map(Into::into)
        }
    }
}

/// The shape and elements of an output.
fn value(element: ElementType, output: &DynValue) -> ort::Result<Value<'_>> {
    fn bytes<T: PrimitiveTensorElementType + NoUninit>(output: &DynValue) -> ort::Result<Value<'_>> {
        let (shape, values) = output.try_extract_tensor::<T>()?;
        Ok(Value { shape: sizes(shape), data: Data::Bytes(bytemuck::cast_slice(values)) })
    }
    match element {
        ElementType::Bool => bytes::<bool>(output),
        ElementType::U8 => bytes::<u8>(output),
        ElementType::U16 => bytes::<u16>(output),
        ElementType::U32 => bytes::<u32>(output),
        ElementType::U64 => bytes::<u64>(output),
        ElementType::I8 => bytes::<i8>(output),
        ElementType::I16 => bytes::<i16>(output),
        ElementType::I32 => bytes::<i32>(output),
        ElementType::I64 => bytes::<i64>(output),
        ElementType::F16 => bytes::<f16>(output),
        ElementType::Bf16 => bytes::<bf16>(output),
        ElementType::F32 => bytes::<f32>(output),
        ElementType::F64 => bytes::<f64>(output),
        ElementType::String => {
            let (shape, strings) = output.try_extract_strings()?;
            Ok(Value { shape: sizes(shape), data: Data::Strings(strings.into()) })
        }
    }
}

/// A computed shape has no negative dimension.
fn sizes(shape: &[i64]) -> Cow<'static, [usize]> {
    shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect()
}
