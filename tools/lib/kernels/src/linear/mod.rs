//! Fully connected layers and their gradients, without packed copies of the weights.
//!
//! A weight `[outputs, inputs]` is read where it lies, and once for 64 rows of a batch: the activations are what is rearranged,
//! into blocks of 64 rows whose lanes are the rows ([`Blocked`]). Packing the weights, as products of general matrices
//! do, would take as long as a product with few rows.
//!
//! Loops run on the threads of `parallel`. Tasks depend on the shapes alone and each element is summed within one task, in
//! order: the same bits for any number of threads and on every instruction set.

mod blocked;

use crate::{
    Activation,
    gemm::{
        DEPTH,
        tile::{Panel, Target, multiply_columns, multiply_rows},
    },
    isa::Isa,
    vector::LANES,
};
pub use blocked::Blocked;
use blocked::{BLOCK, for_each_tile, transpose};

/// Floating-point operations of a task, some tens of microseconds: handing one over must cost little of it.
const TASK_FLOPS: usize = 1 << 22;

/// Fewest outputs of a task that computes gradients of a weight: it reads all inputs.
const LEAST_OUTPUTS: usize = 32;
/// A multiple of the outputs of a tile of registers.
const TILE_OUTPUTS: usize = 24;

/// Calls `body` with each task; one alone runs on this thread.
fn run<T: Send>(tasks: impl ExactSizeIterator<Item = T>, body: impl Fn(T) + Sync) {
    if tasks.len() == 1 {
        tasks.for_each(body);
    } else {
        parallel::parallel_for(tasks, body);
    }
}

/// The shape of a layer, and the instruction set that computes it.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    isa: Isa,
}

impl Linear {
    /// A layer from `inputs` to `outputs` features.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, isa: Isa::chosen() }
    }

    /// Overwrites `output` `[rows, outputs]` with `activation(input · weightᵀ + bias)`; `input` is `[rows, inputs]`, `weight`
    /// `[outputs, inputs]`.
    ///
    /// # Panics
    /// If the sizes do not match.
    pub fn forward(&self, weight: &[f32], bias: &[f32], input: &Blocked, output: &mut Blocked, activation: Activation) {
        let Self { inputs, outputs, isa } = *self;
        assert_eq!((weight.len(), bias.len()), (inputs * outputs, outputs), "a weight of {outputs} × {inputs}");
        assert_eq!(input.features(), inputs, "features of the input");
        output.resize(input.rows(), outputs, true);
        for_each_tile(output, inputs, |tile| {
            let (first, rows) = (tile.first, tile.rows);
            for (lanes, bias) in tile.by_feature.iter_mut().zip(&bias[first..]) {
                lanes.fill(*bias);
            }
            let count = tile.by_feature.len();
            for (terms, k) in input.block(tile.block).chunks(DEPTH).zip((0..).step_by(DEPTH)) {
                let values = tile.by_feature.as_flattened_mut();
                let target = Target { values, step: BLOCK, width: rows, accumulate: true };
                let weight = &weight[first * inputs + k..];
                multiply_rows(isa, weight, inputs, count, terms.len(), Panel::of_rows(terms), target);
            }
            tile.by_feature.iter_mut().for_each(|lanes| activation.apply_on(isa, &mut lanes[..rows]));
            transpose(tile.by_feature, tile.by_row, rows);
        });
    }

    /// Overwrites `grad_input` `[rows, inputs]` with `grad_output · weight` times the derivative of `activation`, the function
    /// that has `input`, the activations that the layer read, as its outputs.
    ///
    /// # Panics
    /// If the sizes do not match, or the derivative is not one of the outputs ([`Activation::derives_from_output`]).
    pub fn grad_input(
        &self,
        weight: &[f32],
        grad_output: &Blocked,
        input: &Blocked,
        grad_input: &mut Blocked,
        activation: Activation,
    ) {
        let Self { inputs, outputs, isa } = *self;
        assert!(activation.derives_from_output(), "the derivative of {activation:?} by its outputs");
        assert_eq!(weight.len(), inputs * outputs, "a weight of {outputs} × {inputs}");
        self.check_gradient(grad_output, input);
        grad_input.resize(grad_output.rows(), inputs, false);
        for_each_tile(grad_input, outputs, |tile| {
            let (first, rows, count) = (tile.first, tile.rows, tile.by_feature.len());
            for (terms, k) in grad_output.block(tile.block).chunks(DEPTH).zip((0..).step_by(DEPTH)) {
                let values = tile.by_feature.as_flattened_mut();
                let target = Target { values, step: BLOCK, width: rows, accumulate: k > 0 };
                let weight = &weight[k * inputs + first..];
                multiply_columns(isa, weight, inputs, count, terms.len(), Panel::of_rows(terms), target);
            }
            for (activations, lanes) in input.block(tile.block)[first..].iter().zip(tile.by_feature.iter_mut()) {
                activation.backward_on(isa, &[], &activations[..rows], &mut lanes[..rows]);
            }
        });
    }

    /// Overwrites `grad_weight` `[outputs, inputs]` with `grad_outputᵀ · input` and `grad_bias` `[outputs]` with the sums over
    /// the rows of `grad_output`.
    ///
    /// # Panics
    /// If the sizes do not match.
    pub fn grad_weight(&self, grad_output: &Blocked, input: &Blocked, grad_weight: &mut [f32], grad_bias: &mut [f32]) {
        let Self { inputs, outputs, .. } = *self;
        assert_eq!(
            (grad_weight.len(), grad_bias.len()),
            (inputs * outputs, outputs),
            "a weight of {outputs} × {inputs}"
        );
        self.check_gradient(grad_output, input);
        let flops = 2 * inputs * grad_output.rows();
        let least = (TASK_FLOPS / flops.max(1)).max(LEAST_OUTPUTS);
        let count = outputs.div_ceil((outputs / least).max(1)).next_multiple_of(TILE_OUTPUTS);
        let tasks = grad_weight.chunks_mut(count * inputs).zip(grad_bias.chunks_mut(count)).enumerate();
        run(tasks, |(i, (grad_weight, grad_bias))| {
            self.grad_weight_rows(grad_output, input, i * count, grad_weight, grad_bias);
        });
    }

    /// The rows of the gradients from output `first`.
    fn grad_weight_rows(
        &self,
        grad_output: &Blocked,
        input: &Blocked,
        first: usize,
        grad_weight: &mut [f32],
        grad_bias: &mut [f32],
    ) {
        let outputs = grad_bias.len();
        grad_bias.fill(0.0);
        for block in 0..grad_output.blocks() {
            let rows = grad_output.block_rows(block);
            for (sum, lanes) in grad_bias.iter_mut().zip(&grad_output.block(block)[first..]) {
                *sum += sum_of(&lanes[..rows]);
            }
        }
        for start in (0..self.inputs).step_by(BLOCK) {
            for block in 0..grad_output.blocks() {
                let grad_output = grad_output.block(block)[first..].as_flattened(); // [outputs, BLOCK]
                let values = &mut grad_weight[start..];
                let width = BLOCK.min(self.inputs - start);
                let target = Target { values, step: self.inputs, width, accumulate: block > 0 };
                let rows = input.rows_of_tile(block, start);
                multiply_rows(self.isa, grad_output, BLOCK, outputs, rows.len(), Panel::of_rows(rows), target);
            }
        }
    }

    fn check_gradient(&self, grad_output: &Blocked, input: &Blocked) {
        let sizes = (grad_output.features(), input.features(), grad_output.rows());
        assert_eq!(sizes, (self.outputs, self.inputs, input.rows()), "outputs, inputs and rows");
    }
}

/// The sum, in as many partial sums as a line has lanes.
fn sum_of(values: &[f32]) -> f32 {
    let (lines, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for line in lines {
        sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
    }
    sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x);
    let eight: [f32; 8] = std::array::from_fn(|i| sums[i] + sums[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

#[cfg(test)]
mod tests;
