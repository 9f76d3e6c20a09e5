//! 2D convolutions with square kernels: forward, `grad_input` and `grad_weight`.
//!
//! | tensor | layout |
//! |---|---|
//! | input, `grad_input` | NHWC: `[images, height, width, inputs]` |
//! | weight, `grad_weight` | OIHW: `[outputs, inputs, kernel, kernel]` |
//! | output, `grad_output` | NHWC: `[images, out_height, out_width, outputs]` |
//!
//! A [`Conv`] is a plan: the geometry, the algorithm of each direction and the sizes of the packed weights and of the
//! workspace, which the caller allocates once. Each step packs the weights and computes. Results depend on the sizes
//! and the instruction set, not on the number of threads.
//!
//! Layers of few channels are bound by memory. Where a plan fuses ([`Conv::fuses`]), a thread reads each image once,
//! computes both gradients from it, and applies the adjacent batch normalizations as prologue and epilogue ([`Operand`],
//! [`Reduction`]).

mod algorithm;
mod axis;
mod chunks;
mod depthwise;
mod direct;
mod fused;
mod gathered;
mod gradient;
mod padded;
mod pass;
mod shape;
mod tile;
mod winograd;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod windowed_tests;

use crate::{
    epilogue::{Epilogue, Store},
    isa::Isa,
    norm::{Reduction, statistics},
    operand::Operand,
};
pub use algorithm::Algorithm;
use algorithm::ConvAlgorithm;
pub use depthwise::DepthwiseConv;
pub use fused::FusedConv;
pub use gathered::{GatheredConv, GatheredWeights};
pub use shape::{ConvShape, ConvShapeError};

/// A plan of one convolution.
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    isa: Isa,
    plan: Box<dyn ConvAlgorithm>,
}

impl Conv {
    /// Plans a convolution for the instruction set of [`crate::isa`], with the faster algorithm.
    ///
    /// # Errors
    /// If the shape is not a valid convolution.
    pub fn new(shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        Self::with(Isa::chosen(), algorithm::choose(&shape, 1), shape)
    }

    /// As [`Self::new`], for a given instruction set and algorithm: for tests and benchmarks.
    ///
    /// # Errors
    /// If the shape is not a valid convolution, or not supported by the algorithm.
    pub fn with(isa: Isa, algorithm: Algorithm, shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        Ok(Self { plan: algorithm::plan(algorithm, &shape)?, shape, isa })
    }

    /// The algorithm of the plan.
    pub fn algorithm(&self) -> Algorithm {
        self.plan.algorithm()
    }

    /// Whether a thread computes whole images, and both gradients of an image together. Operands may have prologues then.
    pub fn fuses(&self) -> bool {
        self.plan.fuses()
    }

    /// The shape of the plan.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Elements of the packed weights of [`Self::forward`].
    pub fn packed_forward_len(&self) -> usize {
        self.plan.forward().packed_len()
    }

    /// Elements of the packed weights of [`Self::backward_input`].
    pub fn packed_backward_len(&self) -> usize {
        self.plan.backward_input().packed_len()
    }

    /// Elements of workspace with which each direction runs on `threads` threads. With a shorter workspace it runs on
    /// fewer; the length for one thread is the minimum.
    pub fn workspace_len(&self, threads: usize) -> usize {
        let pass = self.plan.forward().workspace_len().max(self.plan.backward_input().workspace_len());
        let [shared, each] = self.plan.backward_workspace_len();
        let threads = threads.max(1);
        (threads * pass).max(shared + threads * each)
    }

    /// Elements of the partial statistics of [`Self::forward_with_statistics`].
    pub fn statistics_len(&self) -> usize {
        self.plan.forward().blocks() * statistics::partial_len(self.shape.outputs)
    }

    /// Elements of the partial sums of [`GradInput::reduction`].
    pub fn reduction_len(&self) -> usize {
        self.plan.backward_input().blocks() * statistics::partial_len(self.shape.inputs)
    }

    /// Packs `weights` (OIHW) for [`Self::forward`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn pack_forward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        self.plan.forward().pack(self.isa, weights, packed);
    }

    /// Packs `weights` (OIHW) for [`Self::backward_input`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn pack_backward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_backward_len());
        self.plan.backward_input().pack(self.isa, weights, packed);
    }

    /// Writes `output`, with the weights of [`Self::pack_forward`].
    ///
    /// # Panics
    /// If a length does not match the plan, or `input` has a prologue and the plan does not fuse ([`Self::fuses`]).
    pub fn forward(&self, input: Operand<'_>, packed: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        self.run_forward(input, packed, output, Store::Replace, &mut [], workspace);
    }

    /// As [`Self::forward`], with bias, residual and activation as the epilogue: the bits of a pass over the output after it.
    ///
    /// # Panics
    /// As [`Self::forward`], or if a length of the epilogue does not match.
    pub fn forward_with_epilogue(
        &self,
        input: Operand<'_>,
        packed: &[f32],
        epilogue: Epilogue<'_>,
        output: &mut [f32],
        workspace: &mut [f32],
    ) {
        epilogue.check(&self.shape);
        self.run_forward(input, packed, output, Store::Fused(epilogue), &mut [], workspace);
    }

    /// As [`Self::forward`], with an epilogue that writes partial batch statistics of the output, for
    /// [`crate::norm::BatchNorm::combine_statistics`], to `statistics`: [`Self::statistics_len`] elements.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with_statistics(
        &self,
        input: Operand<'_>,
        packed: &[f32],
        output: &mut [f32],
        statistics: &mut [f32],
        workspace: &mut [f32],
    ) {
        check("statistics", statistics.len(), self.statistics_len());
        self.run_forward(input, packed, output, Store::Replace, statistics, workspace);
    }

    fn run_forward(
        &self,
        input: Operand<'_>,
        packed: &[f32],
        output: &mut [f32],
        store: Store<'_>,
        statistics: &mut [f32],
        workspace: &mut [f32],
    ) {
        check("input", input.len(), self.shape.input_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        check("output", output.len(), self.shape.output_len());
        self.check_prologue(&input);
        self.plan.forward().run(self.isa, input, packed, output, store, statistics, workspace);
    }

    /// Writes `grad_input`, or with `accumulate` adds to it, with the weights of [`Self::pack_backward`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn backward_input(
        &self,
        grad_output: &[f32],
        packed: &[f32],
        grad_input: &mut [f32],
        accumulate: bool,
        workspace: &mut [f32],
    ) {
        check("gradient of the output", grad_output.len(), self.shape.output_len());
        check("packed weights", packed.len(), self.packed_backward_len());
        check("gradient of the input", grad_input.len(), self.shape.input_len());
        let (grad_output, store) = (Operand::Plain(grad_output), Store::adding(accumulate));
        self.plan.backward_input().run(self.isa, grad_output, packed, grad_input, store, &mut [], workspace);
    }

    /// Writes `grad_weight` (OIHW).
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn backward_weights(&self, input: &[f32], grad_output: &[f32], grad_weight: &mut [f32], workspace: &mut [f32]) {
        self.backward([Operand::Plain(input), Operand::Plain(grad_output)], grad_weight, None, workspace);
    }

    /// Writes `grad_weight` (OIHW) and, if given, the gradient of the input. The operands are input and `grad_output`.
    ///
    /// # Panics
    /// If a length does not match the plan, or the plan does not fuse ([`Self::fuses`]) and an operand has a prologue
    /// or there is a reduction.
    pub fn backward(
        &self,
        [input, grad_output]: [Operand<'_>; 2],
        grad_weight: &mut [f32],
        grad_input: Option<GradInput<'_>>,
        workspace: &mut [f32],
    ) {
        check("input", input.len(), self.shape.input_len());
        check("gradient of the output", grad_output.len(), self.shape.output_len());
        check("gradient of the weights", grad_weight.len(), self.shape.weights_len());
        if let Some(GradInput { packed, grad_input, reduction, .. }) = &grad_input {
            check("packed weights", packed.len(), self.packed_backward_len());
            check("gradient of the input", grad_input.len(), self.shape.input_len());
            let partials = reduction.as_ref().map(|(_, partials)| partials.len());
            assert!(
                partials.is_none_or(|len| self.fuses() && len == self.reduction_len()),
                "a reduction, for {:?}",
                self.shape
            );
        }
        self.check_prologue(&input);
        self.check_prologue(&grad_output);
        self.plan.backward(self.isa, [input, grad_output], grad_weight, grad_input, workspace);
    }

    fn check_prologue(&self, operand: &Operand<'_>) {
        assert!(self.fuses() || operand.plain().is_some(), "an operand with a prologue, for {:?}", self.shape);
    }
}

/// Where the gradient of the input goes, and its epilogue.
#[derive(Debug)]
pub struct GradInput<'a> {
    /// The weights of [`Conv::pack_backward`].
    pub packed: &'a [f32],
    /// As the input.
    pub grad_input: &'a mut [f32],
    /// Whether the gradient is added to `grad_input` instead of replacing it.
    pub accumulate: bool,
    /// An epilogue that reduces each block of `grad_input`, and its partial sums: [`Conv::reduction_len`] elements.
    pub reduction: Option<(Reduction<'a>, &'a mut [f32])>,
}

impl Epilogue<'_> {
    /// Panics if a length does not match.
    fn check(&self, shape: &ConvShape) {
        check("bias", self.bias.len(), Self::padded_len(shape.outputs));
        if !self.residual.is_empty() {
            check("residual", self.residual.len(), shape.output_len());
        }
    }
}

fn check(what: &str, len: usize, expected: usize) {
    assert_eq!(len, expected, "elements of the {what}");
}
