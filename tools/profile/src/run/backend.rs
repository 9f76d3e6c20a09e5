//! What runs a model.

use super::job::{Batch, Job};
use anyhow::{Context, ensure};
use candle_core::{Device, Module, Tensor};
use files::Limit;
use nets::CandleModel;
use random::Random;
use runtime::{Data, ElementType, Engine, EngineOptions, Model, Options, Port, Value};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A backend by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The native executor on the CPU.
    Native,
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
    /// candle on the CPU, from a run folder or checkpoint.
    Candle,
    /// An engine of TensorRT on a GPU.
    Tensorrt,
}

impl Backend {
    /// What runs the model at a path: candle a run folder or a file of weights, TensorRT an engine, `runtime` the rest, for
    /// which only loading it tells where that is [`runtime::Backend::Auto`]: the native executor counts as its backend till
    /// then.
    pub fn of(path: &Path, runtime: runtime::Backend) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => Self::Candle,
            Some("safetensors") => Self::Candle,
            Some("engine" | "plan") => Self::Tensorrt,
            _ if runtime == runtime::Backend::Ort => Self::OnnxRuntime,
            _ => Self::Native,
        }
    }

    /// The name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OnnxRuntime => "onnxruntime",
            Self::Candle => "candle",
            Self::Tensorrt => "tensorrt",
        }
    }
}

/// A loaded model and the values of its inputs.
pub trait Loaded {
    /// What runs it.
    fn backend(&self) -> Backend;

    /// The rows of a run.
    fn batch(&self) -> Batch;

    /// Runs the model once.
    ///
    /// # Errors
    /// When the backend refuses.
    fn run(&mut self) -> anyhow::Result<()>;

    /// Writes the profile that the job asked for; None for a backend without one.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish_profile(&mut self) -> anyhow::Result<Option<PathBuf>> {
        Ok(None)
    }
}

/// Loads the model of a job.
///
/// # Errors
/// When it cannot be read, or its inputs cannot be made up.
pub fn open(job: &Job) -> anyhow::Result<Box<dyn Loaded>> {
    Ok(match job.backend {
        Backend::Native | Backend::OnnxRuntime => Box::new(Onnx::open(job)?),
        Backend::Candle => Box::new(Candle::open(job)?),
        Backend::Tensorrt => Box::new(Tensorrt::open(job)?),
    })
}

/// An input: its shape, batch axis included, and its elements, little-endian.
struct Filled {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Filled {
    fn value(&self) -> Value<'_> {
        Value { shape: self.shape.as_slice().into(), data: Data::Bytes(&self.bytes) }
    }
}

/// The values of all inputs of a model.
struct Inputs {
    batch: Batch,
    filled: Vec<Filled>,
}

impl Inputs {
    /// Makes up values; `symbol` is the name of a dimension by input and axis.
    fn new(job: &Job, ports: &[Port], symbol: impl Fn(&str, usize) -> String) -> anyhow::Result<Self> {
        let model = job.path.display();
        let mut shapes = Shapes { job, symbol, is_fixed: true };
        let all = ports.iter().map(|port| shapes.of(port)).collect::<anyhow::Result<Vec<_>>>();
        let all = all.with_context(|| model.to_string())?;
        let batch = if shapes.is_fixed {
            let rows = all.iter().find(|shape| shape.len() > 1).map_or(1, |shape| shape[0]);
            Batch { size: rows, is_fixed: true }
        } else {
            Batch { size: job.batch_size, is_fixed: false }
        };
        let sizes = ports.iter().zip(&all).map(|(port, shape)| byte_length(port, shape));
        let sizes = sizes.collect::<anyhow::Result<Vec<_>>>().with_context(|| model.to_string())?;
        check_length(job, batch, sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size)))?;
        let mut random = Random::new(0, 0);
        let filled = ports.iter().zip(all).zip(sizes);
        let filled = filled.map(|((port, shape), size)| fill(port.element, shape, size, &mut random)).collect();
        Ok(Self { batch, filled })
    }

    fn values(&self) -> Vec<Value<'_>> {
        self.filled.iter().map(Filled::value).collect()
    }
}

/// Sizes of the dimensions of inputs.
struct Shapes<'a, S> {
    job: &'a Job,
    symbol: S,
    /// No first axis has had the size of the job.
    is_fixed: bool,
}

impl<S: Fn(&str, usize) -> String> Shapes<'_, S> {
    fn of(&mut self, port: &Port) -> anyhow::Result<Vec<usize>> {
        port.shape.iter().enumerate().map(|(axis, dim)| dim.map_or_else(|| self.size(&port.name, axis), Ok)).collect()
    }

    /// The size of a dimension that the model leaves open.
    fn size(&mut self, input: &str, axis: usize) -> anyhow::Result<usize> {
        let name = (self.symbol)(input, axis);
        let given = self.job.dims.iter().find(|(known, _)| *known == name).map(|(_, size)| *size);
        if axis == 0 && given.is_none() {
            self.is_fixed = false;
            return Ok(self.job.batch_size);
        }
        given.with_context(|| {
            format!("input {input:?}: the size of dimension {axis} is not known; give it: --dim '{name}=224'")
        })
    }
}

/// Bytes of an input.
fn byte_length(port: &Port, shape: &[usize]) -> anyhow::Result<usize> {
    let name = &port.name;
    let size = port.element.size();
    let size = size.with_context(|| format!("input {name:?} takes strings, which --run cannot make up"))?;
    let length = shape.iter().try_fold(size, |length, &dim| length.checked_mul(dim));
    length.with_context(|| format!("input {name:?}: no array has shape {shape:?}"))
}

/// Refuses inputs beyond the limit; None is beyond all.
fn check_length(job: &Job, batch: Batch, bytes: Option<usize>) -> anyhow::Result<()> {
    let (model, limit) = (job.path.display(), job.input_bytes);
    ensure!(
        bytes.is_some_and(|bytes| bytes <= limit),
        "{model}: inputs at batch size {} have more than {limit} bytes (profile.run.input_bytes)",
        batch.size
    );
    Ok(())
}

/// Values for an input: floats are normal, bytes uniform; booleans and other integers are 0, an index that every tensor has.
fn fill(element: ElementType, shape: Vec<usize>, length: usize, random: &mut Random) -> Filled {
    let mut bytes = vec![0; length];
    match element {
        ElementType::F32 => {
            bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = (random.normal() as f32).to_le_bytes())
        }
        ElementType::F64 => bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = random.normal().to_le_bytes()),
        ElementType::F16 => {
            let mut draw = || half::f16::from_f64(random.normal()).to_le_bytes();
            bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = draw());
        }
        ElementType::Bf16 => {
            let mut draw = || half::bf16::from_f64(random.normal()).to_le_bytes();
            bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = draw());
        }
        ElementType::U8 | ElementType::I8 => bytes.iter_mut().for_each(|byte| *byte = random.index(256) as u8),
        _ => {}
    }
    Filled { shape, bytes }
}

struct Onnx {
    model: Model,
    inputs: Inputs,
}

impl Onnx {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let limit = Limit { bytes: job.bytes, setting: Some("profile.model_bytes") };
        let options = Options {
            backend: job.runtime,
            device: runtime::Device::Cpu,
            library: job.onnxruntime.as_deref(),
            group: "profile.run",
            threads: job.threads,
            memory_bytes: job.memory_bytes,
            profile: job.profile.as_deref(),
        };
        let model = Model::open(&job.path, limit, &options)?;
        // A session does not tell the names of dimensions.
        let names = onnx::Model::open(&job.path, limit)?.graph.inputs;
        let symbol = |input: &str, axis: usize| {
            let shape = names.iter().find(|value| value.name == input).and_then(|value| value.tensor_type()?.shape);
            match shape.as_ref().and_then(|shape| shape.get(axis)) {
                Some(onnx::Dim::Symbol(name)) => name.clone(),
                _ => format!("{input}.{axis}"),
            }
        };
        let inputs = Inputs::new(job, model.inputs(), symbol)?;
        Ok(Self { model, inputs })
    }
}

impl Loaded for Onnx {
    fn backend(&self) -> Backend {
        match self.model.backend() {
            runtime::Backend::Ort => Backend::OnnxRuntime,
            _ => Backend::Native,
        }
    }

    fn batch(&self) -> Batch {
        self.inputs.batch
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.model.run(&self.inputs.values())?;
        Ok(())
    }

    fn finish_profile(&mut self) -> anyhow::Result<Option<PathBuf>> {
        Ok(Some(self.model.finish_profile()?))
    }
}

struct Candle {
    model: CandleModel,
    batch: Batch,
    input: Tensor,
}

impl Candle {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let file = if job.path.is_dir() { job.path.join("model.safetensors") } else { job.path.clone() };
        let model = nets::Model::read(&file)?;
        cli::use_threads((job.threads > 0).then_some(job.threads))?;
        let batch = Batch { size: job.batch_size, is_fixed: false };
        let shape: Vec<usize> =
            std::iter::once(batch.size).chain(model.graph.architecture.input_shape.clone()).collect();
        let bytes = shape.iter().try_fold(size_of::<f32>(), |bytes, &dim| bytes.checked_mul(dim));
        check_length(job, batch, bytes)?;
        let mut random = Random::new(0, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
        let input = Tensor::from_vec(values, shape, &Device::Cpu)?; // [batch, input shape…]
        Ok(Self { model: CandleModel::new(&model, &Device::Cpu)?, batch, input })
    }
}

impl Loaded for Candle {
    fn backend(&self) -> Backend {
        Backend::Candle
    }

    fn batch(&self) -> Batch {
        self.batch
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.model.forward(&self.input)?;
        Ok(())
    }
}

struct Tensorrt {
    engine: Engine,
    inputs: Inputs,
}

impl Tensorrt {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let limit = Limit { bytes: job.bytes, setting: Some("profile.model_bytes") };
        let engine = Engine::open(&job.path, limit, &EngineOptions::default())?;
        let inputs = Inputs::new(job, engine.inputs(), |input, axis| format!("{input}.{axis}"))?;
        Ok(Self { engine, inputs })
    }
}

impl Loaded for Tensorrt {
    fn backend(&self) -> Backend {
        Backend::Tensorrt
    }

    fn batch(&self) -> Batch {
        self.inputs.batch
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.engine.run(&self.inputs.values())?;
        Ok(())
    }
}
