//! Any number of rows through a model, a block at a time.

use crate::{
    error::{Error, Result},
    model::{Job, Model},
};
use bytes::{Bytes, BytesMut};
use open_inference::{DataType, RequestedOutput, Tensor};
use prediction::{Rows, Values};
use std::time::Duration;

/// Rows of a run of a model whose batch axis has any size, but that does not batch.
const UNBATCHED: usize = 1024;
/// How long a block that the queue has no room for waits before it tries again.
const RETRY: Duration = Duration::from_millis(5);

/// How rows are divided into runs.
#[derive(Debug, Clone, Copy)]
pub struct Blocks {
    /// About how long a run may take, where more than the model's largest batch runs faster.
    pub run_time: Duration,
    /// How long a block waits for room in the queue; None for any time.
    pub patience: Option<Duration>,
}

/// The output `[rows, row shape…]` of a model that takes rows (see [`super::encoder`]), and its row shape.
///
/// # Errors
/// When the model fails, or its queue stays full.
pub async fn predict(model: &Model, rows: Rows, count: usize, blocks: Blocks) -> Result<(Vec<usize>, Vec<f32>)> {
    let Some(input) = model.spec.inputs.first() else { return Err(Error::Internal("the model has no input".into())) };
    let data = match rows.values {
        Values::F32(values) => Bytes::from_owner(Floats(values)),
        Values::U8(bytes) => Bytes::from(bytes),
    };
    let shape = std::iter::once(count).chain(rows.shape).collect();
    let input = Tensor::new(input.name.clone(), input.data_type, shape, data)?;
    let fixed = input_batch(model);
    let size = match (fixed, model.spec.max_batch_size) {
        (Some(fixed), _) => fixed,
        (None, 0) => UNBATCHED,
        (None, most) => model.engine.rows_within(blocks.run_time).max(most),
    };
    let mut outputs: Vec<f32> = Vec::new();
    let mut row_shape = Vec::new();
    for begin in (0..count).step_by(size) {
        let rows = size.min(count - begin);
        let mut block = slice(&input, begin, rows)?;
        if fixed.is_some_and(|fixed| fixed > rows) {
            block = padded(&block, size)?;
        }
        let output = retry(model, &block, blocks.patience).await?;
        row_shape = output.shape().iter().skip(1).copied().collect();
        let width: usize = row_shape.iter().product();
        if output.shape().first() != block.shape().first() {
            return Err(Error::Internal(format!("{} rows gave an output of shape {:?}", rows, output.shape())));
        }
        let values = output.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        outputs.extend(values.take(rows * width));
    }
    Ok((row_shape, outputs))
}

/// The batch size of a graph that fixes it.
fn input_batch(model: &Model) -> Option<usize> {
    let input = model.spec.inputs.first().filter(|_| model.spec.max_batch_size == 0)?;
    input.dims.first().copied().flatten()
}

/// Runs a block; while the queue is full, it waits and tries again: a stream takes what interactive requests leave.
async fn retry(model: &Model, block: &Tensor, patience: Option<Duration>) -> Result<Tensor> {
    let rows = if model.spec.max_batch_size > 0 { block.shape()[0] } else { 1 };
    let output = RequestedOutput { name: model.spec.outputs[0].name.clone(), binary: true, classes: None };
    let begin = tokio::time::Instant::now();
    loop {
        let job = Job { inputs: vec![block.clone()], rows, outputs: vec![(0, output.clone())] };
        match model.engine.run(job, None).await {
            Err(Error::Overloaded { .. }) if patience.is_none_or(|patience| begin.elapsed() < patience) => {
                tokio::time::sleep(RETRY).await;
            }
            answer => {
                return answer?.pop().ok_or_else(|| Error::Internal("the run gave no output".into()));
            }
        }
    }
}

/// Values as the bytes that they are.
struct Floats(Vec<f32>);

impl AsRef<[u8]> for Floats {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// `count` rows of a tensor from row `begin` on.
pub fn slice(tensor: &Tensor, begin: usize, count: usize) -> Result<Tensor> {
    let rows = tensor.shape().first().copied().unwrap_or(0);
    if (begin, count) == (0, rows) {
        return Ok(tensor.clone());
    }
    let data = match tensor.data_type() {
        DataType::Bytes => {
            let elements = tensor.elements() / rows.max(1);
            let length = |string: &[u8]| size_of::<u32>() + string.len();
            let first: usize = tensor.strings().take(begin * elements).map(length).sum();
            let bytes: usize = tensor.strings().skip(begin * elements).take(count * elements).map(length).sum();
            tensor.data().slice(first..first + bytes)
        }
        _ => {
            let row = tensor.data().len() / rows.max(1);
            tensor.data().slice(begin * row..(begin + count) * row)
        }
    };
    let shape = std::iter::once(count).chain(tensor.shape().iter().skip(1).copied()).collect();
    Ok(Tensor::new(tensor.name().to_owned(), tensor.data_type(), shape, data)?)
}

/// The rows and copies of the last one, `rows` in all.
fn padded(tensor: &Tensor, rows: usize) -> Result<Tensor> {
    let count = tensor.shape().first().copied().unwrap_or(0);
    let row = tensor.data().len() / count.max(1);
    let mut data = BytesMut::with_capacity(rows * row);
    data.extend_from_slice(tensor.data());
    for _ in count..rows {
        data.extend_from_slice(&tensor.data()[(count - 1) * row..]);
    }
    let shape = std::iter::once(rows).chain(tensor.shape().iter().skip(1).copied()).collect();
    Ok(Tensor::new(tensor.name().to_owned(), tensor.data_type(), shape, data.freeze())?)
}
