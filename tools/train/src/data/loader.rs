//! The data loader: batches of a split, scaled and augmented, as an engine takes them.

use super::{
    Inputs, Split,
    augmentation::Augmentation,
    file_inputs::{FileInputs, Values},
    gather,
};
use crate::network::Network;
use anyhow::ensure;
use cuda_nets::images::Rows;
use dataset::augmentation::{self, Epoch};
use nets::{Batch, Loss, Scaling};
use parallel::parallel_for;
use std::sync::OnceLock;

/// Least values per task: below it, waking another thread costs more than it saves.
const MIN_VALUES: usize = 1 << 16;
/// Least rows per task where they are read from a file: a read is a system call.
const MIN_READS: usize = 32;

/// Inputs, targets and weights of a split; batches are any of its rows, by index.
pub struct DataLoader<'a> {
    split: Split<'a>,
    inputs: Source<'a>,
    /// `[rows, target width]`, scaled.
    targets: Vec<f32>,
    /// `[rows]`; empty without `trainer.weight_field`.
    weights: Vec<f32>,
    /// `[classes]`; empty where all weigh the same.
    class_weights: &'a [f32],
    input_width: usize,
    pub target_width: usize,
    /// Number of rows.
    pub count: usize,
}

/// The values of one batch; reused from batch to batch.
#[derive(Default)]
pub struct BatchBuffer {
    /// `[batch, input width]`
    pub inputs: Vec<f32>,
    /// `[batch, target width]`
    pub targets: Vec<f32>,
    weights: Vec<f32>,
}

enum Source<'a> {
    /// `[rows, input width]`, scaled when the loader was made.
    Scaled(Vec<f32>),
    /// Read, converted, augmented and scaled batch by batch: images would take four times the memory as f32.
    PerBatch(Transform<'a>),
}

/// The rows of a loader: what batches are made of.
pub struct RowsInMemory<'a> {
    /// `[rows, shape…]`
    pub values: Rows<'a>,
    pub shape: &'a [usize],
    pub scaling: Option<&'a Scaling>,
    pub augmentation: Option<&'a dataset::augmentation::Augmentation>,
}

/// From raw inputs to a batch.
struct Transform<'a> {
    inputs: &'a Inputs,
    rows: &'a [usize],
    shape: &'a [usize],
    scaling: Option<&'a Scaling>,
    augmentation: Option<Augmentation>,
}

impl<'a> DataLoader<'a> {
    /// Without augmentation.
    pub fn plain(split: Split<'a>, network: &'a Network) -> Self {
        Self::new(split, network, None)
    }

    pub fn new(split: Split<'a>, network: &'a Network, augmentation: Option<Augmentation>) -> Self {
        let Split { dataset, rows } = split;
        let (scaling, shape) = (network.scaling.as_ref(), dataset.input.shape.as_slice());
        let inputs = match &dataset.inputs {
            Inputs::Real(values) if augmentation.is_none() => {
                let mut inputs = Vec::new();
                gather(values, dataset.input_width(), rows, &mut inputs);
                scaling.iter().for_each(|scaling| scaling.apply(&mut inputs, shape));
                Source::Scaled(inputs)
            }
            inputs => Source::PerBatch(Transform { inputs, rows, shape, scaling, augmentation }),
        };
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        gather(&dataset.targets, dataset.target_width(), rows, &mut targets);
        network.target_scaling.iter().for_each(|scaling| scaling.apply(&mut targets));
        if !dataset.weights.is_empty() {
            gather(&dataset.weights, 1, rows, &mut weights);
        }
        let (input_width, target_width) = (dataset.input_width(), dataset.target_width());
        let class_weights = network.class_weights.as_slice();
        Self { split, inputs, targets, weights, class_weights, input_width, target_width, count: rows.len() }
    }

    /// Keeps the first rows, at most `count`.
    pub fn limited(self, count: usize) -> Self {
        Self { count: count.min(self.count), ..self }
    }

    /// Overwrites targets and weights of `buffer` with those of the rows at `indices`.
    pub fn load_targets(&self, indices: &[usize], BatchBuffer { targets, weights, .. }: &mut BatchBuffer) {
        gather(&self.targets, self.target_width, indices, targets);
        if !self.weights.is_empty() {
            gather(&self.weights, 1, indices, weights);
        }
    }

    /// The rows that batches are loaded from, for a GPU that loads them itself; None where they stay in a file.
    pub fn rows_in_memory(&self) -> Option<RowsInMemory<'_>> {
        let shape = self.split.dataset.input.shape.as_slice();
        match &self.inputs {
            Source::Scaled(values) => {
                Some(RowsInMemory { values: Rows::Real(values), shape, scaling: None, augmentation: None })
            }
            Source::PerBatch(Transform { inputs, scaling, augmentation, .. }) => {
                let values = match inputs {
                    Inputs::Bytes(bytes) => Rows::Bytes(bytes),
                    Inputs::Real(values) => Rows::Real(values),
                    Inputs::InFile(_) => return None,
                };
                let augmentation = augmentation.as_ref().map(|augmentation| &augmentation.images);
                Some(RowsInMemory { values, shape, scaling: *scaling, augmentation })
            }
        }
    }

    /// The rows of [`Self::rows_in_memory`] that are at `indices`, and the draws of `epoch` (from 1) where they are augmented.
    pub fn rows_of_batch(&self, indices: &[usize], epoch: usize) -> (Vec<usize>, Option<Epoch>) {
        match &self.inputs {
            Source::Scaled(_) => (indices.to_vec(), None),
            Source::PerBatch(Transform { rows, augmentation, .. }) => (
                indices.iter().map(|&index| rows[index]).collect(),
                augmentation.as_ref().map(|augmentation| augmentation.epoch(epoch)),
            ),
        }
    }

    /// Overwrites `buffer` with the rows at `indices`, augmented as in `epoch` (from 1).
    ///
    /// # Errors
    /// When rows are in a file, and cannot be read.
    pub fn load(&self, indices: &[usize], epoch: usize, buffer: &mut BatchBuffer) -> anyhow::Result<()> {
        self.load_targets(indices, buffer);
        let inputs = &mut buffer.inputs;
        match &self.inputs {
            Source::Scaled(values) => gather(values, self.input_width, indices, inputs),
            Source::PerBatch(transform) => {
                // Every element is overwritten.
                inputs.resize(indices.len() * self.input_width, 0.0);
                match transform.inputs {
                    Inputs::Bytes(bytes) => transform.load(bytes, indices, epoch, inputs),
                    Inputs::Real(values) => transform.load(values, indices, epoch, inputs),
                    Inputs::InFile(file) => transform.load_from(file, indices, epoch, inputs)?,
                }
            }
        }
        Ok(())
    }

    /// A loaded batch as an engine's argument.
    pub fn batch<'b>(&'b self, buffer: &'b BatchBuffer) -> Batch<'b> {
        Batch {
            inputs: &buffer.inputs,
            targets: &buffer.targets,
            weights: &buffer.weights,
            class_weights: self.class_weights,
        }
    }

    /// Overwrites `targets` `[batch, target width]` with those at `indices`, unscaled.
    pub fn raw_targets(&self, indices: &[usize], targets: &mut Vec<f32>) {
        let rows: Vec<usize> = indices.iter().map(|&index| self.split.rows[index]).collect();
        gather(&self.split.dataset.targets, self.target_width, &rows, targets);
    }

    /// The divisor of the mean loss over all rows: Σ w.
    pub fn total_weight(&self, loss: Loss) -> f64 {
        let targets = &self.targets[..self.count * self.target_width];
        let weights = &self.weights[..self.count.min(self.weights.len())];
        loss.total_weight(Batch { inputs: &[], targets, weights, class_weights: self.class_weights }, self.count)
    }

    /// # Errors
    /// When there are rows `what_for` (training, say), and their weights are all 0.
    pub fn check_weight(&self, loss: Loss, what_for: &str) -> anyhow::Result<()> {
        ensure!(
            self.count == 0 || self.total_weight(loss) > 0.0,
            "trainer.weight_field, trainer.class_weights: the weights of the {} rows for {what_for} sum to 0",
            self.count
        );
        Ok(())
    }
}

impl Transform<'_> {
    /// Writes the rows at `indices` to `out`, `[batch, input width]`.
    fn load<T: Copy + Into<f32> + Sync>(&self, values: &[T], indices: &[usize], epoch: usize, out: &mut [f32]) {
        let width: usize = self.shape.iter().product();
        let augmentation =
            self.augmentation.as_ref().map(|augmentation| (&augmentation.images, augmentation.epoch(epoch)));
        let task_rows = MIN_VALUES.div_ceil(width);
        let tasks = out.chunks_mut(task_rows * width).zip(indices.chunks(task_rows));
        parallel_for(tasks, |(out, indices)| {
            for (out, &index) in out.chunks_exact_mut(width).zip(indices) {
                let row = self.rows[index];
                self.load_row(&values[row * width..(row + 1) * width], row, augmentation, out);
            }
        });
    }

    /// As [`Self::load`], from a file.
    fn load_from(&self, file: &FileInputs, indices: &[usize], epoch: usize, out: &mut [f32]) -> anyhow::Result<()> {
        let width: usize = self.shape.iter().product();
        let augmentation =
            self.augmentation.as_ref().map(|augmentation| (&augmentation.images, augmentation.epoch(epoch)));
        let task_rows = MIN_VALUES.div_ceil(width).min(MIN_READS);
        let tasks = out.chunks_mut(task_rows * width).zip(indices.chunks(task_rows));
        let failed = OnceLock::new();
        parallel_for(tasks, |(out, indices)| {
            let rows = || indices.iter().map(|&index| self.rows[index]);
            let read = file.with_rows(rows(), |values| match values {
                Values::Bytes(values) => self.load_rows(values, rows(), augmentation, out),
                Values::Real(values) => self.load_rows(values, rows(), augmentation, out),
            });
            if let Err(error) = read {
                // One is enough; which one does not matter.
                let _ = failed.set(error);
            }
        });
        failed.into_inner().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Writes `values`, those of `rows`, to `out`.
    fn load_rows<T: Copy + Into<f32>>(
        &self,
        values: &[T],
        rows: impl Iterator<Item = usize>,
        augmentation: Option<(&augmentation::Augmentation, Epoch)>,
        out: &mut [f32],
    ) {
        let width: usize = self.shape.iter().product();
        for ((out, from), row) in out.chunks_exact_mut(width).zip(values.chunks_exact(width)).zip(rows) {
            self.load_row(from, row, augmentation, out);
        }
    }

    fn load_row<T: Copy + Into<f32>>(
        &self,
        from: &[T],
        row: usize,
        augmentation: Option<(&augmentation::Augmentation, Epoch)>,
        out: &mut [f32],
    ) {
        match augmentation {
            Some((images, epoch)) => images.apply(from, row, epoch, out),
            None => out.iter_mut().zip(from).for_each(|(out, &x)| *out = x.into()),
        }
        self.scaling.iter().for_each(|scaling| scaling.apply(out, self.shape));
    }
}
