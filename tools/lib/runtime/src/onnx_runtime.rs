//! Models that ONNX Runtime runs.

use crate::{Data, ElementType, ModelError, Options, Port, Result, Value, library, source::Source};
use bytemuck::{AnyBitPattern, NoUninit};
use half::{bf16, f16};
use ort::{
    environment::Environment,
    ep::CUDA,
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

/// A model in ONNX Runtime.
pub(crate) struct OnnxRuntime {
    session: OrtSession,
    /// Kept for as long as the session lives.
    _environment: Environment,
}

impl OnnxRuntime {
    /// Loads a model, on GPU number `gpu`, or else the CPU.
    ///
    /// # Errors
    /// When its files of weights must not be read, the library is missing, or it refuses the model.
    pub fn new(source: Source<'_>, options: &Options<'_>, gpu: Option<u32>) -> Result<Self> {
        let Source { name, .. } = source;
        match source.file_with_weights()? {
            None => Self::commit(name, options, gpu, |builder| builder.commit_from_memory(&source.bytes)),
            // From the file: from memory, ONNX Runtime would look for weights in the working folder.
            Some(path) => {
                drop(source.bytes);
                Self::commit(name, options, gpu, |builder| builder.commit_from_file(&path))
            }
        }
    }

    fn commit(
        name: &str,
        options: &Options<'_>,
        gpu: Option<u32>,
        commit: impl Fn(&mut SessionBuilder) -> ort::Result<OrtSession>,
    ) -> Result<Self> {
        let environment = library::load(options.library, &options.setting("onnxruntime"))?;
        let open =
            |threads| builder(&environment, threads, options.profile, gpu).and_then(|mut builder| commit(&mut builder));
        let session = open(options.threads).or_else(|error| match error.message().contains(NO_THREAD) {
            // The system has no more threads: run on this one.
            true => open(1),
            false => Err(error),
        });
        let session = session.map_err(|e| refused(&e).of(name))?;
        Ok(Self { session, _environment: environment })
    }

    /// The inputs, in the graph's order.
    ///
    /// # Errors
    /// When one is no tensor, or has elements of an unsupported type.
    pub fn inputs(&self) -> Result<Vec<Port>, ModelError> {
        self.session.inputs().iter().map(|outlet| port("input", outlet)).collect()
    }

    /// The outputs, in the graph's order.
    ///
    /// # Errors
    /// As [`OnnxRuntime::inputs`].
    pub fn outputs(&self) -> Result<Vec<Port>, ModelError> {
        self.session.outputs().iter().map(|outlet| port("output", outlet)).collect()
    }

    /// The value of `key` in the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs the model on a value for each of `ports`, its inputs.
    ///
    /// # Errors
    /// When ONNX Runtime refuses.
    pub fn run(&mut self, ports: &[Port], inputs: &[Value<'_>]) -> Result<SessionOutputs<'_>, ModelError> {
        let values = ports.iter().zip(inputs).map(|(port, value)| tensor(port, value));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.session.run(values.as_slice()).map_err(|e| refused(&e))
    }

    /// Ends the profile of [`Options::profile`] and returns the path of its file.
    ///
    /// # Errors
    /// When ONNX Runtime cannot write it.
    pub fn finish_profile(&mut self) -> Result<PathBuf, ModelError> {
        self.session.end_profiling().map(PathBuf::from).map_err(|e| refused(&e))
    }
}

/// An error of ONNX Runtime's.
pub(crate) fn refused(error: &dyn std::fmt::Display) -> ModelError {
    ModelError::OnnxRuntime(crate::one_line(error))
}

/// ONNX Runtime's option for exact int8 products on x86-64 (`onnxruntime_session_options_config_keys.h`).
const X64_QUANT_PRECISION: &str = "session.x64quantprecision";

/// Part of ONNX Runtime's message when it cannot start a thread.
const NO_THREAD: &str = "pthread_create failed";

fn builder(
    environment: &Environment,
    threads: usize,
    profile: Option<&Path>,
    gpu: Option<u32>,
) -> ort::Result<SessionBuilder> {
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
    if let Some(number) = gpu.and_then(|number| i32::try_from(number).ok()) {
        builder =
            builder.with_execution_providers([CUDA::default().with_device_id(number).build().error_on_failure()])?;
    }
    // A spinning pool burns the processor time of the tools on either side of the pipe.
    Ok(builder.with_intra_op_spinning(false)?)
}

fn port(kind: &'static str, outlet: &Outlet) -> Result<Port, ModelError> {
    let unsupported =
        || ModelError::Unsupported { kind, name: outlet.name().into(), found: crate::one_line(outlet.dtype()) };
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return Err(unsupported()) };
    let element = ElementType::from_ort(*ty).ok_or_else(unsupported)?;
    let shape = shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    Ok(Port { name: outlet.name().into(), element, shape })
}

/// What ONNX Runtime takes for an input.
fn tensor<'v>(port: &Port, value: &'v Value<'_>) -> Result<SessionInputValue<'v>, ModelError> {
    let shape = value.shape.as_ref();
    let bytes = match (&value.data, port.element) {
        (Data::Strings(strings), ElementType::String) => {
            let tensor = Tensor::from_string_array((shape, strings.as_ref())).map_err(|e| refused(&e))?;
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
    tensor.map_err(|e| refused(&e))
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
pub(crate) fn value(element: ElementType, output: &DynValue) -> ort::Result<Value<'_>> {
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
