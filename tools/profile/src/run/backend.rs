//! What runs a model.

use super::job::Job;
use anyhow::{Context, bail};
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
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
    /// candle on the CPU, from a run folder or checkpoint.
    Candle,
    /// An engine of TensorRT on a GPU.
    Tensorrt,
}

impl Backend {
    /// What runs the model at a path: candle a run folder or a file of weights, TensorRT an engine, ONNX Runtime the rest.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => Self::Candle,
            Some("safetensors") => Self::Candle,
            Some("engine" | "plan") => Self::Tensorrt,
            _ => Self::OnnxRuntime,
        }
    }

    /// The name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "onnxruntime",
            Self::Candle => "candle",
            Self::Tensorrt => "tensorrt",
        }
    }
}

/// A loaded model and the values of its inputs.
pub trait Loaded {
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
        Backend::OnnxRuntime => Box::new(OnnxRuntime::open(job)?),
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

/// Values for an input: floats are normal, bytes uniform, and other integers 0, which is an index that every tensor has.
fn fill(port: &Port, shape: Vec<usize>, random: &mut Random) -> anyhow::Result<Filled> {
    let name = &port.name;
    let size =
        port.element.size().with_context(|| format!("input {name:?} takes strings, which --run cannot make up"))?;
    let length = shape.iter().try_fold(size, |length, &dim| length.checked_mul(dim));
    let mut bytes = Vec::new();
    let length = length.filter(|&length| bytes.try_reserve_exact(length).is_ok());
    let length = length.with_context(|| format!("input {name:?} of shape {shape:?} does not fit into memory"))?;
    bytes.resize(length, 0);
    match port.element {
        ElementType::F32 => {
            bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = (random.normal() as f32).to_le_bytes())
        }
        ElementType::F64 => bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = random.normal().to_le_bytes()),
        ElementType::F16 => {
            let mut draw = || half::f16::from_f64(random.normal()).to_le_bytes();
            bytes.as_chunks_mut().0.iter_mut().for_each(|x| *x = draw());
        }
        ElementType::U8 => bytes.iter_mut().for_each(|byte| *byte = random.index(256) as u8),
        _ => {}
    }
    Ok(Filled { shape, bytes })
}

/// Fills every input; `symbols` are the names of dimensions by input and axis, as far as the file has them.
fn fill_all(job: &Job, ports: &[Port], symbol: impl Fn(&str, usize) -> String) -> anyhow::Result<Vec<Filled>> {
    let mut random = Random::new(0, 0);
    let model = job.path.display();
    let filled = ports.iter().map(|port| {
        let size = |(axis, dim): (usize, &Option<usize>)| match *dim {
            Some(size) if axis == 0 && size != job.batch_size && port.shape.len() > 1 => {
                bail!("{model}: the batch size of {:?} is fixed: {size}, not {}", port.name, job.batch_size)
            }
            Some(size) => Ok(size),
            None if axis == 0 => Ok(job.batch_size),
            None => {
                let name = symbol(&port.name, axis);
                let given = job.dims.iter().find(|(known, _)| *known == name).map(|(_, size)| *size);
                given.with_context(|| {
                    format!("{model}: input {:?}: dimension {axis} has no size; give it: --dim '{name}=224'", port.name)
                })
            }
        };
        let shape = port.shape.iter().enumerate().map(size).collect::<anyhow::Result<Vec<_>>>()?;
        fill(port, shape, &mut random)
    });
    filled.collect()
}

struct OnnxRuntime {
    model: Model,
    inputs: Vec<Filled>,
}

impl OnnxRuntime {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let limit = Limit { bytes: job.bytes, setting: Some("profile.model_bytes") };
        let options = Options {
            library: job.onnxruntime.as_deref(),
            library_setting: "profile.run.onnxruntime",
            threads: job.threads,
            profile: job.profile.as_deref(),
        };
        let model = Model::open(&job.path, limit, &options)?;
        // ONNX Runtime does not tell the names of dimensions.
        let names = onnx::Model::open(&job.path, limit)?.graph.inputs;
        let symbol = |input: &str, axis: usize| {
            let shape = names.iter().find(|value| value.name == input).and_then(|value| value.tensor_type()?.shape);
            match shape.as_ref().and_then(|shape| shape.get(axis)) {
                Some(onnx::Dim::Symbol(name)) => name.clone(),
                _ => format!("{input}.{axis}"),
            }
        };
        let inputs = fill_all(job, model.inputs(), symbol)?;
        Ok(Self { model, inputs })
    }
}

impl Loaded for OnnxRuntime {
    fn run(&mut self) -> anyhow::Result<()> {
        let values: Vec<_> = self.inputs.iter().map(Filled::value).collect();
        self.model.run(&values)?;
        Ok(())
    }

    fn finish_profile(&mut self) -> anyhow::Result<Option<PathBuf>> {
        Ok(Some(self.model.finish_profile()?))
    }
}

struct Candle {
    model: CandleModel,
    input: Tensor,
}

impl Candle {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let file = if job.path.is_dir() { job.path.join("model.safetensors") } else { job.path.clone() };
        let model = nets::Model::read(&file)?;
        cli::use_threads((job.threads > 0).then_some(job.threads))?;
        let rows: Vec<usize> =
            std::iter::once(job.batch_size).chain(model.graph.architecture.input_shape.clone()).collect();
        let mut random = Random::new(0, 0);
        let values: Vec<f32> = (0..rows.iter().product()).map(|_| random.normal() as f32).collect();
        let input = Tensor::from_vec(values, rows, &Device::Cpu)?; // [batch, input shape…]
        Ok(Self { model: CandleModel::new(&model, &Device::Cpu)?, input })
    }
}

impl Loaded for Candle {
    fn run(&mut self) -> anyhow::Result<()> {
        self.model.forward(&self.input)?;
        Ok(())
    }
}

struct Tensorrt {
    engine: Engine,
    inputs: Vec<Filled>,
}

impl Tensorrt {
    fn open(job: &Job) -> anyhow::Result<Self> {
        let limit = Limit { bytes: job.bytes, setting: Some("profile.model_bytes") };
        let engine = Engine::open(&job.path, limit, &EngineOptions::default())?;
        let inputs = fill_all(job, engine.inputs(), |input, axis| format!("{input}.{axis}"))?;
        Ok(Self { engine, inputs })
    }
}

impl Loaded for Tensorrt {
    fn run(&mut self) -> anyhow::Result<()> {
        let values: Vec<_> = self.inputs.iter().map(Filled::value).collect();
        self.engine.run(&values)?;
        Ok(())
    }
}
