//! Square convolutions of NHWC activations: forward, and the gradients of input and weights.
//!
//! A [`Conv`] is a plan: it holds the geometry, the method for each direction and the sizes of the
//! buffers, which the caller allocates once. A step then packs the weights and computes, without
//! allocating. The bytes of a result depend on the sizes and the instruction set, not on threads.

mod axis;
mod chunks;
mod direct;
mod gradient;
mod padded;
mod pass;
mod shape;
mod tasks;
mod tile;
mod vector;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::isa::Isa;
use gradient::Gradient;
use pass::Pass;
pub use shape::{ConvShape, ConvShapeError};

/// A plan of one layer.
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    isa: Isa,
    forward: Pass,
    backward: Pass,
    gradient: Gradient,
}

impl Conv {
    /// Plans a layer for the instruction set that kernels run on.
    ///
    /// # Errors
    /// When the shape makes no convolution.
    pub fn new(shape: ConvShape) -> Result<Self, ConvShapeError> {
        Self::on(Isa::chosen(), shape)
    }

    /// As [`Self::new`], with the instructions of `isa`: for tests and measurements.
    ///
    /// # Errors
    /// When the shape makes no convolution.
    pub fn on(isa: Isa, shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        let (forward, backward, gradient) = (Pass::forward(&shape), Pass::backward(&shape), Gradient::new(&shape));
        Ok(Self { shape, isa, forward, backward, gradient })
    }

    /// The sizes of the layer.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Elements of the weights as [`Self::forward`] wants them.
    pub fn packed_forward_len(&self) -> usize {
        self.forward.packed_len()
    }

    /// Elements of the weights as [`Self::backward_input`] wants them.
    pub fn packed_backward_len(&self) -> usize {
        self.backward.packed_len()
    }

    /// Elements of scratch memory with which any of the three directions runs on `threads` threads.
    /// With less they run on fewer, but they want what one thread needs.
    pub fn scratch_len(&self, threads: usize) -> usize {
        let [shared, each] = self.gradient.scratch_len();
        let threads = threads.max(1);
        (threads * self.forward.scratch_len()).max(threads * self.backward.scratch_len()).max(shared + threads * each)
    }

    /// Packs `weights` (OIHW) for [`Self::forward`].
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn pack_forward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        self.forward.pack(weights, packed);
    }

    /// Packs `weights` (OIHW) for [`Self::backward_input`].
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn pack_backward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_backward_len());
        self.backward.pack(weights, packed);
    }

    /// `output` from `input`, both NHWC, with the weights that [`Self::pack_forward`] packed.
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn forward(&self, input: &[f32], packed: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        check("input", input.len(), self.shape.input_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        check("output", output.len(), self.shape.output_len());
        self.forward.run(self.isa, input, packed, output, false, scratch);
    }

    /// The gradient of the input, `input`, from that of the output, `output`, with the weights that
    /// [`Self::pack_backward`] packed. With `accumulate` it is added to what `input` holds, as where a
    /// residual branch joins; otherwise it replaces it.
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn backward_input(
        &self,
        output: &[f32],
        packed: &[f32],
        input: &mut [f32],
        accumulate: bool,
        scratch: &mut [f32],
    ) {
        check("gradient of the output", output.len(), self.shape.output_len());
        check("packed weights", packed.len(), self.packed_backward_len());
        check("gradient of the input", input.len(), self.shape.input_len());
        self.backward.run(self.isa, output, packed, input, accumulate, scratch);
    }

    /// The gradient of the weights (OIHW) from the input and the gradient of the output, in place of
    /// what `weights` held.
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn backward_weights(&self, input: &[f32], output: &[f32], weights: &mut [f32], scratch: &mut [f32]) {
        check("input", input.len(), self.shape.input_len());
        check("gradient of the output", output.len(), self.shape.output_len());
        check("gradient of the weights", weights.len(), self.shape.weights_len());
        self.gradient.run(self.isa, input, output, weights, scratch);
    }
}

fn check(what: &str, len: usize, expected: usize) {
    assert_eq!(len, expected, "elements of the {what}");
}
