//! Losses on a GPU: [`nets::Loss`] of outputs that are there, and its gradient.

#![allow(unsafe_code, reason = "calls of kernels")]

use crate::{Argument, Gpu, Result, staging::Staged};
use cuda::source::Grid;
use cudarc::driver::CudaSlice;
use nets::{Batch, Loss};
use std::sync::Arc;

/// Threads of a block, and of a row of the cross-entropy: LOSS_THREADS and LOSS_LANES of loss.cu.
const THREADS: usize = 128;
const LANES: usize = 32;
/// Threads of the block that adds the partial sums.
const FINISH_THREADS: usize = 256;
/// Arrays of a value a thread in the cross-entropy's shared memory.
const SOFTMAX_ARRAYS: usize = 4;

/// A loss, with the memory that it needs on a GPU.
///
/// In double, as on the CPU. The squared, absolute and Huber losses give gradients with the CPU's bits; those through exp and
/// log differ where these round differently, by 1 unit in the last place of `f32` at most where the terms do not cancel. Sums
/// have a fixed order, which is not the CPU's: losses differ by rounding in double.
pub struct LossKernel {
    gpu: Arc<Gpu>,
    loss: Loss,
    targets: Staged<f32>,
    weights: Staged<f32>,
    class_weights: Staged<f32>,
    partial_sums: Option<CudaSlice<f64>>,
}

impl LossKernel {
    /// A loss before its first batch.
    pub fn new(gpu: &Arc<Gpu>, loss: Loss) -> Self {
        let staged = |what| Staged::new(gpu, what);
        let (targets, weights, class_weights) = (staged("targets"), staged("row weights"), staged("class weights"));
        Self { gpu: gpu.clone(), loss, targets, weights, class_weights, partial_sums: None }
    }

    /// Overwrites `loss[index]` with the (weighted) mean loss of `rows` rows of `outputs`, and `grad_output` with its gradient;
    /// both are `[rows, width]`. The batch is on the host; its inputs are not read. Does not wait for the GPU.
    ///
    /// # Errors
    /// If the GPU's memory has no room, or the driver refuses.
    ///
    /// # Panics
    /// If a buffer is too short, or `width` or the batch is of another shape.
    pub fn run(
        &mut self,
        outputs: &CudaSlice<f32>,
        batch: Batch<'_>,
        (rows, width): (usize, usize),
        grad_output: &mut CudaSlice<f32>,
        (losses, index): (&mut CudaSlice<f64>, usize),
    ) -> Result<()> {
        let count = rows * width;
        assert!(outputs.len() >= count && grad_output.len() >= count && losses.len() > index, "buffers of the loss");
        assert!(batch.weights.is_empty() || batch.weights.len() == rows, "a weight for each row");
        let target_width = batch.targets.len() / rows.max(1);
        let targets_fit = target_width == width || (self.loss.is_categorical() && target_width == 1);
        assert!(targets_fit && batch.targets.len() == rows * target_width, "targets of the rows");
        let is_softmax = self.loss.is_categorical();
        let blocks = if is_softmax { (rows * LANES).div_ceil(THREADS) } else { count.div_ceil(THREADS) };
        let partial_sums = self.partial_sums(blocks)?;
        let factor = self.loss.mean_factor(self.loss.total_weight(batch, rows), width);
        let (name, parameter) = match self.loss {
            Loss::Mse => ("loss_mse", 0.0),
            Loss::Mae => ("loss_mae", 0.0),
            Loss::Huber { delta } => ("loss_huber", delta),
            Loss::BinaryCrossEntropy => ("loss_bce", 0.0),
            Loss::CrossEntropy { label_smoothing } => ("loss_cross_entropy", label_smoothing),
        };
        let shared = THREADS * size_of::<f64>() * if is_softmax { SOFTMAX_ARRAYS } else { 1 };
        let mut arguments: Vec<Argument> = vec![
            self.gpu.address(outputs).into(),
            self.targets.upload(batch.targets)?.into(),
            self.weights.upload(batch.weights)?.into(),
            (batch.weights.len() as u64).into(),
            self.class_weights.upload(batch.class_weights)?.into(),
            (batch.class_weights.len() as u32).into(),
            (if is_softmax { rows } else { count } as u64).into(),
            (width as u32).into(),
        ];
        arguments.extend(is_softmax.then_some(Argument::from(target_width as u32)));
        arguments.extend([
            Argument::from(factor),
            parameter.into(),
            self.gpu.address(grad_output).into(),
            partial_sums.into(),
        ]);
        let loss = self.gpu.address(losses) + (index * size_of::<f64>()) as u64;
        let finish = [partial_sums.into(), (blocks as u64).into(), factor.into(), loss.into()];
        // SAFETY: the arguments are those of loss.cu: outputs, gradients and targets of the rows, as checked, a partial sum for
        // each block, and one loss.
        unsafe {
            self.gpu.launch(name, Grid::new(blocks, THREADS, shared), &arguments)?;
            self.gpu.launch("loss_finish", Grid::new(1, FINISH_THREADS, FINISH_THREADS * size_of::<f64>()), &finish)
        }
    }

    /// Where there is room for `count` partial sums.
    fn partial_sums(&mut self, count: usize) -> Result<u64> {
        if self.partial_sums.as_ref().is_none_or(|sums| sums.len() < count) {
            self.partial_sums = Some(self.gpu.zeros("partial sums", count)?);
        }
        Ok(self.partial_sums.as_ref().map_or(0, |sums| self.gpu.address(sums)))
    }
}
