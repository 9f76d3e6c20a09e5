//! Engines of TensorRT, run on a GPU by a process of their own: a crash of TensorRT is an error here.

use crate::{Data, ElementType, Error, ModelError, Port, Result, Value};
use files::Limit;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use trt_protocol::{Answer, LoadOptions, Process, Request, TensorInfo, arrays};

/// How an engine is loaded and run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Path of `trt-run`; None for the one beside this program, or on `PATH`.
    pub program: Option<PathBuf>,
    /// Path of TensorRT's library; None searches for it.
    pub library: Option<PathBuf>,
    /// The GPU: 0 is the first.
    pub device: u32,
    /// File of kernels that were compiled for this GPU; None compiles in every process.
    pub runtime_cache: Option<PathBuf>,
    /// How long loading may take. TensorRT-RTX compiles kernels then.
    pub load_time: Duration,
    /// How long a run may take.
    pub run_time: Duration,
}

impl Default for EngineOptions {
    /// GPU 0, no cache, ten minutes to load and one to run.
    fn default() -> Self {
        Self {
            program: None,
            library: None,
            device: 0,
            runtime_cache: None,
            load_time: Duration::from_secs(600),
            run_time: Duration::from_secs(60),
        }
    }
}

/// A loaded engine.
#[derive(Debug)]
pub struct Engine {
    name: String,
    process: Process,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// The outputs as TensorRT's process calls them.
    results: Vec<TensorInfo>,
    run_time: Duration,
}

/// An output: its shape, and its elements, row-major and little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOutput {
    /// Shape, batch axis included.
    pub shape: Vec<usize>,
    /// The elements.
    pub bytes: Vec<u8>,
}

impl Engine {
    /// Loads the engine at `path`, which has at most `limit` bytes.
    ///
    /// # Errors
    /// When the file cannot be read; `trt-run`, TensorRT's library, the driver or the GPU is missing; or the file is no
    /// engine, or one for another GPU or version.
    pub fn open(path: &Path, limit: Limit<'_>, options: &EngineOptions) -> Result<Self> {
        let bytes = files::read_file(path, limit)?;
        let name = path.display().to_string();
        let failed = |problem| Error::Engine { name: name.clone(), problem };
        let program = options.program.clone().unwrap_or_else(trt_protocol::locate);
        let mut process = Process::start(&program, |_| {}).map_err(failed)?;
        let load = LoadOptions {
            library: options.library.clone(),
            device: options.device,
            runtime_cache: options.runtime_cache.clone(),
            verbose: false,
        };
        let (inputs, results) = match process.call(Request::Load(load), bytes, options.load_time).map_err(failed)? {
            (Answer::Loaded { inputs, outputs }, _) => (inputs, outputs),
            _ => return Err(failed(process.garbage("another answer than of a loaded engine"))),
        };
        let ports = |kind, tensors: &[TensorInfo]| {
            let ports: std::result::Result<Vec<Port>, ModelError> =
                tensors.iter().map(|tensor| port(kind, tensor)).collect();
            ports.map_err(|problem| Error::Model { name: name.clone(), problem })
        };
        let (inputs, outputs) = (ports("input", &inputs)?, ports("output", &results)?);
        Ok(Self { name, process, inputs, outputs, results, run_time: options.run_time })
    }

    /// The inputs, in the order of [`Engine::run`].
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the order that [`Engine::run`] gives.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Runs the engine on one value for each input.
    ///
    /// # Errors
    /// When values do not fit the inputs, the GPU refuses, or the process ends or takes too long: then the engine is of no more
    /// use.
    pub fn run(&mut self, inputs: &[Value<'_>]) -> Result<Vec<EngineOutput>> {
        let request = self.request(inputs).map_err(|problem| Error::Model { name: self.name.clone(), problem })?;
        let (request, data) = request;
        let failed = |problem| Error::Engine { name: self.name.clone(), problem };
        match self.process.call(request, data, self.run_time).map_err(failed)? {
            (Answer::Ran { shapes }, data) => {
                let arrays = arrays::split(&self.results, &shapes, &data);
                let arrays = arrays.map_err(|problem| failed(self.process.garbage(problem.to_string())))?;
                Ok(shapes.iter().zip(arrays).map(|(shape, bytes)| output(shape, bytes)).collect())
            }
            _ => Err(failed(self.process.garbage("another answer than of a run"))),
        }
    }

    fn request(&self, values: &[Value<'_>]) -> std::result::Result<(Request, Vec<u8>), ModelError> {
        if values.len() != self.inputs.len() {
            return Err(ModelError::InputCount { expected: self.inputs.len(), found: values.len() });
        }
        let (mut shapes, mut data) = (Vec::new(), Vec::new());
        for (port, value) in self.inputs.iter().zip(values) {
            let another = || ModelError::DataOfAnotherType { name: port.name.clone() };
            let Data::Bytes(bytes) = &value.data else { return Err(another()) };
            let size = port.element.size().ok_or_else(another)?;
            let length = value.shape.iter().try_fold(size, |product, &dim| product.checked_mul(dim));
            if length != Some(bytes.len()) {
                return Err(another());
            }
            shapes.push(value.shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect());
            data.extend_from_slice(bytes);
        }
        Ok((Request::Run { shapes }, data))
    }
}

/// An output whose shape has been checked: no dimension is negative.
fn output(shape: &[i64], bytes: &[u8]) -> EngineOutput {
    let shape = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or_default()).collect();
    EngineOutput { shape, bytes: bytes.to_vec() }
}

fn port(kind: &'static str, tensor: &TensorInfo) -> std::result::Result<Port, ModelError> {
    let element = match tensor.dtype.as_str() {
        "bool" => ElementType::Bool,
        "uint8" => ElementType::U8,
        "int8" => ElementType::I8,
        "int32" => ElementType::I32,
        "int64" => ElementType::I64,
        "float16" => ElementType::F16,
        "bfloat16" => ElementType::Bf16,
        "float32" => ElementType::F32,
        other => {
            return Err(ModelError::Unsupported { kind, name: tensor.name.clone(), found: other.into() });
        }
    };
    let shape = tensor.shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    Ok(Port { name: tensor.name.clone(), element, shape })
}
