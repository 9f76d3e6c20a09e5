//! Runs with made-up rows: ONNX Runtime allocates and plans at the first run of each batch size, and no client waits for it.

use super::{Job, Model, Source, Spec, TensorSpec};
use crate::{error::Result, repository::inside, settings::Settings};
use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes};
use open_inference::{
    DataType, InferRequest, Tensor,
    model_config::{ModelConfig, ModelWarmup, WarmupData, WarmupInput},
};
use random::Random;
use std::time::Instant;

/// Elements along a dimension of any size.
const ANY: usize = 1;
/// Folder of a model's warm-up data.
const FOLDER: &str = "warmup";
/// Bytes of the length in front of a string.
const LENGTH: usize = size_of::<u32>();
/// Seed of random warm-up data.
const SEED: u64 = 0;
/// Runs of a sample at most.
const MOST_RUNS: usize = 1000;

/// A request that the configuration names.
pub struct Sample {
    job: Job,
    runs: usize,
}

/// The requests of `model_warmup`.
///
/// # Errors
/// When one does not fit the model, or its data cannot be read.
pub fn samples(source: &Source, spec: &Spec, config: &ModelConfig, settings: &Settings) -> anyhow::Result<Vec<Sample>> {
    let warmups = config.model_warmup.iter().enumerate();
    let named = |index| move || format!("model_warmup[{index}]");
    warmups.map(|(index, warmup)| sample(source, spec, warmup, settings).with_context(named(index))).collect()
}

fn sample(source: &Source, spec: &Spec, warmup: &ModelWarmup, settings: &Settings) -> anyhow::Result<Sample> {
    let (rows, runs, most) = (warmup.rows(), warmup.repetitions(), spec.max_batch_size.max(1));
    ensure!(runs <= MOST_RUNS, "count: {runs}, at most {MOST_RUNS} are run");
    ensure!(rows <= most, "batch_size: {rows}, but the model takes at most {most} rows");
    let batch = (spec.max_batch_size > 0).then_some(rows);
    let inputs = warmup.warmup_inputs();
    let inputs = inputs.iter().map(|input| tensor(source, input, batch, settings)).collect::<anyhow::Result<_>>()?;
    let job = spec.bind(&source.name, InferRequest { inputs, ..InferRequest::default() })?;
    Ok(Sample { job, runs })
}

/// Runs every instance with each sample, the largest batch, one row, and then each other batch size while the budget
/// lasts. Returns the number of batch sizes.
///
/// # Errors
/// When the model fails with a sample, or with a made-up row although all of its dimensions are fixed.
pub fn run(model: &Model, samples: &[Sample], instances: usize, settings: &Settings) -> anyhow::Result<usize> {
    let begin = Instant::now();
    for sample in samples {
        for _ in 0..sample.runs * instances {
            model.engine.warm_up(&sample.job).context("model_warmup")?;
        }
    }
    let Some(largest) = largest(&model.spec, settings) else { return Ok(0) };
    let others = (2..largest).rev();
    let must_run = model.spec.inputs.iter().all(|input| input.dims.iter().all(Option::is_some));
    let sizes = std::iter::once(largest).chain((largest > 1).then_some(1)).chain(others);
    let mut warm = 0;
    for rows in sizes {
        if warm > 1 && begin.elapsed() >= settings.warmup() {
            break;
        }
        let job = zeros(&model.spec, rows)?;
        for _ in 0..instances {
            match model.engine.warm_up(&job) {
                // The size that was made up for a free dimension may be none that the graph takes.
                Err(_) if !must_run => return Ok(warm),
                result => result?,
            }
        }
        warm += 1;
    }
    Ok(warm)
}

/// Rows of the largest request that is accepted; None if not even one row is.
fn largest(spec: &Spec, settings: &Settings) -> Option<usize> {
    let elements =
        |input: &TensorSpec| input.dims.iter().fold(1_usize, |product, dim| product.saturating_mul(dim.unwrap_or(ANY)));
    let row: usize = spec.inputs.iter().map(elements).fold(0, usize::saturating_add);
    let most = settings.limits().elements / row.max(1);
    Some(spec.max_batch_size.max(1).min(most)).filter(|rows| *rows > 0)
}

/// A job of zeros, or of empty strings.
fn zeros(spec: &Spec, rows: usize) -> Result<Job> {
    let batch = (spec.max_batch_size > 0).then_some(rows);
    let zeros = |spec: &TensorSpec| {
        let shape: Vec<usize> = batch.into_iter().chain(spec.dims.iter().map(|dim| dim.unwrap_or(ANY))).collect();
        let elements: usize = shape.iter().product(); // at most what a request may have
        let data = vec![0; elements * spec.data_type.size().unwrap_or(LENGTH)];
        Tensor::new(spec.name.clone(), spec.data_type, shape, Bytes::from(data))
    };
    let inputs = spec.inputs.iter().map(zeros).collect::<std::result::Result<_, _>>()?;
    Ok(Job { inputs, rows, outputs: Vec::new() })
}

/// An input of a sample: so many times the same row.
fn tensor(source: &Source, input: &WarmupInput, batch: Option<usize>, settings: &Settings) -> anyhow::Result<Tensor> {
    let name = &input.name;
    let rows = batch.unwrap_or(1);
    let row = input.dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let most = settings.limits().elements;
    let row = row.filter(|row| row.checked_mul(rows).is_some_and(|all| all <= most));
    let row =
        row.with_context(|| format!("input {name:?}: more than {most} elements (the setting serve.max_elements)"))?;
    let data = match &input.data {
        WarmupData::Zero => vec![0; row * input.data_type.size().unwrap_or(LENGTH)],
        WarmupData::Random => random_data(input.data_type, row),
        WarmupData::File(file) => {
            let path = source.folder.join(FOLDER).join(file);
            inside(&source.root, &path)?;
            files::read_file(&path, settings.model_limit())?
        }
    };
    let shape = batch.into_iter().chain(input.dims.iter().copied()).collect();
    let data = Bytes::from(data.repeat(rows));
    Tensor::new(name.clone(), input.data_type, shape, data).with_context(|| format!("input {name:?}"))
}

/// Random elements: numbers from 0 to 1, whole numbers and strings of any bits, booleans of either value.
fn random_data(data_type: DataType, elements: usize) -> Vec<u8> {
    let mut random = Random::new(SEED, 0);
    let mut data = Vec::new();
    for _ in 0..elements {
        match data_type {
            DataType::Bool => data.put_u8(u8::from(random.index(2) == 1)),
            DataType::Fp16 => data.put_u16_le(half::f16::from_f64(random.uniform()).to_bits()),
            DataType::Bf16 => data.put_u16_le(half::bf16::from_f64(random.uniform()).to_bits()),
            DataType::Fp32 => data.put_f32_le(random.uniform() as f32),
            DataType::Fp64 => data.put_f64_le(random.uniform()),
            DataType::Bytes => {
                let text = format!("{:016x}", random.bits());
                data.put_u32_le(text.len() as u32); // 16
                data.put_slice(text.as_bytes());
            }
            _ => data.put_slice(&random.bits().to_le_bytes()[..data_type.size().unwrap_or(0)]),
        }
    }
    data
}
