//! Runs with made-up rows: ONNX Runtime allocates and plans at the first run of each batch size, and no client waits for it.

use super::{Job, Model, TensorSpec};
use crate::error::Result;
use bytes::Bytes;
use open_inference::Tensor;
use std::time::{Duration, Instant};

/// Elements along a dimension of any size.
const ANY: usize = 1;

/// Runs every instance with the largest batch, then with one row, then with each other batch size while `budget` lasts.
///
/// # Errors
/// When the model fails with the largest batch or one row.
pub fn run(model: &Model, instances: usize, budget: Duration) -> Result<()> {
    let begin = Instant::now();
    let largest = model.spec.max_batch_size.max(1);
    let others = (2..largest).rev();
    let mut sizes = vec![largest];
    sizes.extend((largest > 1).then_some(1));
    for (at, rows) in sizes.into_iter().chain(others).enumerate() {
        if at > 1 && begin.elapsed() >= budget {
            return Ok(());
        }
        let job = job(model, rows)?;
        for _ in 0..instances {
            model.engine.warm_up(&job)?;
        }
    }
    Ok(())
}

/// A job of zeros, or of empty strings.
fn job(model: &Model, rows: usize) -> Result<Job> {
    let batch = (model.spec.max_batch_size > 0).then_some(rows);
    let zeros = |spec: &TensorSpec| {
        let shape: Vec<usize> = batch.into_iter().chain(spec.dims.iter().map(|dim| dim.unwrap_or(ANY))).collect();
        let elements: usize = shape.iter().product();
        let data = vec![0; elements * spec.data_type.size().unwrap_or(size_of::<u32>())];
        Tensor::new(spec.name.clone(), spec.data_type, shape, Bytes::from(data))
    };
    let inputs = model.spec.inputs.iter().map(zeros).collect::<std::result::Result<_, _>>()?;
    Ok(Job { inputs, rows, outputs: Vec::new() })
}
