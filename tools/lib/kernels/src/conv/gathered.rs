//! Convolutions of any windows and groups, in NHWC: blocks of windows are gathered into a matrix (im2col) that is multiplied.
//!
//! An element starts from its bias; terms follow in row-major order of the kernel, then by channels, each by a fused multiply-add, with
//! zeros for padding. Then residual and activation.

use crate::{
    epilogue::{Activation, Epilogue},
    gemm::{FusedLinear, Matrix},
    isa::Isa,
    windows::Windows,
};
use parallel::parallel_for_with_workspace;
use std::sync::Arc;

/// Most elements of a block of gathered windows: 256 KiB.
const BLOCK: usize = 1 << 16;
/// A multiple of the rows of the products' tiles.
const TILE: usize = 12;

/// Weights of each group, packed once.
#[derive(Debug)]
pub struct GatheredWeights {
    groups: Vec<FusedLinear>,
    channels: usize,
    outputs: usize,
}

impl GatheredWeights {
    /// Packs `weights` `[outputs, channels / groups, kernel]`; `bias` is `[outputs]`, or empty for zeros.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn new(weights: &[f32], [channels, outputs, groups]: [usize; 3], taps: usize, bias: &[f32]) -> Self {
        Self::on(Isa::chosen(), weights, [channels, outputs, groups], taps, bias)
    }

    fn on(isa: Isa, weights: &[f32], [channels, outputs, groups]: [usize; 3], taps: usize, bias: &[f32]) -> Self {
        let (inputs, columns) = (channels / groups, outputs / groups);
        let depth = inputs * taps;
        assert_eq!(weights.len(), outputs * depth, "weights of {outputs} outputs");
        let group = |group: usize| {
            let weights = &weights[group * columns * depth..][..columns * depth];
            // [columns, kernel, inputs]
            let moved: Vec<f32> = (0..columns * depth)
                .map(|i| weights[i / depth * depth + i % depth % inputs * taps + i % depth / inputs])
                .collect();
            let bias = if bias.is_empty() { bias } else { &bias[group * columns..][..columns] };
            FusedLinear::on(isa, Matrix::new(&moved, columns, depth).transposed(), bias)
        };
        Self { groups: (0..groups).map(group).collect(), channels, outputs }
    }
}

/// A plan of a convolution.
#[derive(Debug)]
pub struct GatheredConv {
    windows: Windows,
    weights: Arc<GatheredWeights>,
    activation: Activation,
    /// Windows of a block.
    block: usize,
}

impl GatheredConv {
    /// Plans a convolution of NHWC images.
    pub fn new(windows: Windows, weights: Arc<GatheredWeights>, activation: Activation) -> Self {
        let depth = weights.channels / weights.groups.len().max(1) * windows.taps();
        let block = (BLOCK / depth.max(1) / TILE * TILE).clamp(TILE, windows.output_pixels().max(TILE));
        Self { windows, weights, activation, block }
    }

    fn depth(&self) -> usize {
        self.group_channels() * self.windows.taps()
    }

    fn group_channels(&self) -> usize {
        self.weights.channels / self.weights.groups.len().max(1)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.windows.images * self.windows.input_pixels() * self.weights.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.windows.images * self.windows.output_pixels() * self.weights.outputs
    }

    /// Multiply-adds of a run.
    pub fn cost(&self) -> usize {
        self.output_len().saturating_mul(self.depth())
    }

    /// Elements of workspace for so many threads.
    pub fn workspace_len(&self, threads: usize) -> usize {
        threads.max(1) * self.thread_len()
    }

    /// Gathered windows, and the product of one of several groups.
    fn thread_len(&self) -> usize {
        let groups = self.weights.groups.len();
        let product = if groups > 1 { self.weights.outputs / groups } else { 0 };
        self.block * (self.depth() + product)
    }

    /// Writes `output` (NHWC) from `input` (NHWC); `residual` has the output's shape, or is empty.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn run(&self, input: &[f32], residual: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        assert_eq!(input.len(), self.input_len(), "elements of the input");
        assert_eq!(output.len(), self.output_len(), "elements of the output");
        assert!(residual.is_empty() || residual.len() == output.len(), "elements of the residual");
        let (pixels, outputs) = (self.windows.output_pixels(), self.weights.outputs);
        let image_len = self.windows.input_pixels() * self.weights.channels;
        let images = output.chunks_mut((pixels * outputs).max(1)).enumerate();
        let blocks = images.flat_map(|(image, output)| {
            let blocks = output.chunks_mut((self.block * outputs).max(1)).enumerate();
            blocks.map(move |(block, output)| (image, block * self.block, output))
        });
        parallel_for_with_workspace(blocks, workspace, self.thread_len(), |(image, first, output), workspace| {
            let input = &input[image * image_len..][..image_len];
            self.run_block(input, first, output, workspace);
            let at = (image * pixels + first) * outputs;
            if let Some(residual) = residual.get(at..at + output.len()) {
                output.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
            }
            self.activation.apply(output);
        });
    }

    fn run_block(&self, image: &[f32], first: usize, output: &mut [f32], workspace: &mut [f32]) {
        let (outputs, groups) = (self.weights.outputs, &self.weights.groups);
        let rows = output.len() / outputs;
        let (gathered, product) = workspace.split_at_mut(self.block * self.depth());
        let gathered = &mut gathered[..rows * self.depth()];
        let plain = Epilogue { bias: &[], residual: &[], activation: Activation::Identity };
        for (index, group) in groups.iter().enumerate() {
            self.gather(image, first, index * self.group_channels(), gathered);
            if groups.len() == 1 {
                group.run(gathered, plain, output);
                continue;
            }
            let columns = outputs / groups.len();
            let product = &mut product[..rows * columns];
            group.run(gathered, plain, product);
            for (to, from) in output.chunks_exact_mut(outputs).zip(product.chunks_exact(columns)) {
                to[index * columns..][..columns].copy_from_slice(from);
            }
        }
    }

    /// The windows from `first`, of the channels of a group from `channel`: `[windows, kernel, channels of the group]`.
    fn gather(&self, image: &[f32], first: usize, channel: usize, gathered: &mut [f32]) {
        let (w, channels, count) = (&self.windows, self.weights.channels, self.group_channels());
        for (index, window) in gathered.chunks_exact_mut(self.depth().max(1)).enumerate() {
            let [y, x] = [(first + index) / w.output[1] * w.stride[0], (first + index) % w.output[1] * w.stride[1]];
            let mut taps = window.chunks_exact_mut(count.max(1));
            for ky in 0..w.kernel[0] {
                let row = (y + ky * w.dilation[0]).checked_sub(w.before[0]).filter(|&row| row < w.input[0]);
                for (kx, to) in (0..w.kernel[1]).zip(&mut taps) {
                    let column = (x + kx * w.dilation[1]).checked_sub(w.before[1]).filter(|&x| x < w.input[1]);
                    match (row, column) {
                        (Some(row), Some(column)) => {
                            let pixel = (row * w.input[1] + column) * channels + channel;
                            to.copy_from_slice(&image[pixel..][..to.len()]);
                        }
                        _ => to.fill(0.0),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::windowed_tests::{SHAPES, draw, reference};

    /// Within the rounding of a sum that starts from the bias; the same bits on every instruction set.
    #[test]
    fn convolves_by_the_definition() {
        for windows in SHAPES {
            for sizes in [[3, 5, 1], [8, 12, 4], [6, 6, 2], [2, 70, 1], [4, 8, 4]] {
                let [channels, outputs, groups] = sizes;
                let input = draw(1, windows.images * windows.input_pixels() * channels);
                let weights = draw(2, outputs * channels / groups * windows.taps());
                let bias = draw(3, outputs);
                let sums = reference(&windows, sizes, &input, &weights);
                let residual = draw(4, sums.len());
                let mut first: Option<Vec<f32>> = None;
                for isa in Isa::supported() {
                    let packed = Arc::new(GatheredWeights::on(isa, &weights, sizes, windows.taps(), &bias));
                    let conv = GatheredConv::new(windows, packed, Activation::Relu);
                    let mut output = vec![f32::NAN; conv.output_len()];
                    conv.run(&input, &residual, &mut output, &mut vec![f32::NAN; conv.workspace_len(2)]);
                    for (i, (&x, &sum)) in output.iter().zip(&sums).enumerate() {
                        let expected = (sum + bias[i % outputs] + residual[i]).max(0.0);
                        assert!((x - expected).abs() < 1e-4, "{windows:?}, {sizes:?}, {isa}, {i}: {x}, {expected}");
                    }
                    assert!(*first.get_or_insert_with(|| output.clone()) == output, "{windows:?}, {sizes:?}, {isa}");
                }
            }
        }
    }
}
