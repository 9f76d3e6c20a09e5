//! Square convolutions of NHWC activations: forward, and the gradients of input and weights.
//!
//! A [`Conv`] is a plan: it holds the geometry, the method for each direction and the sizes of the
//! buffers, which the caller allocates once. A step then packs the weights and computes, in those
//! buffers. The bytes of a result depend on the sizes and the instruction set, not on threads.
//!
//! Activations are large and a cache is small: a layer of few channels waits for memory more than it computes. Where a
//! plan fuses ([`Conv::fuses`]), a thread reads each image once, makes both gradients from it, and does on the way what
//! the norms beside the layer leave to it ([`Operand`], [`Reduction`]).

mod axis;
mod chunks;
mod direct;
mod gradient;
mod padded;
mod pass;
mod shape;
mod tile;
mod vector;
mod winograd;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::{
    isa::Isa,
    norm::{Reduction, moments},
    operand::Operand,
};
use gradient::Gradient;
use pass::Pass;
pub use shape::{ConvShape, ConvShapeError};

/// How a layer is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By its definition.
    Direct,
    /// By Winograd's F(4×4, 3×3), with a quarter of the multiplications.
    Winograd,
}

/// A plan of one layer.
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    isa: Isa,
    plan: Plan,
    fuses: bool,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer, made once")]
enum Plan {
    Direct { forward: Pass, backward: Pass, gradient: Gradient },
    Winograd { forward: winograd::Pass, backward: winograd::Pass, gradient: winograd::Gradient },
}

impl Conv {
    /// Plans a layer for the instruction set that kernels run on, by the method that is faster.
    ///
    /// # Errors
    /// When the shape makes no convolution.
    pub fn new(shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        let method = if winograd::pays(&shape) { Method::Winograd } else { Method::Direct };
        Self::with(Isa::chosen(), method, shape)
    }

    /// As [`Self::new`], with the instructions of `isa` and by `method`: for tests and measurements.
    ///
    /// # Errors
    /// When the shape makes no convolution, or none that the method computes.
    pub fn with(isa: Isa, method: Method, shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        let plan = match method {
            Method::Direct => Plan::Direct {
                forward: Pass::forward(&shape),
                backward: Pass::backward(&shape),
                gradient: Gradient::new(&shape),
            },
            Method::Winograd if winograd::fits(&shape) => Plan::Winograd {
                forward: winograd::Pass::forward(&shape),
                backward: winograd::Pass::backward(&shape),
                gradient: winograd::Gradient::new(&shape),
            },
            Method::Winograd => return Err(ConvShapeError::Winograd(shape)),
        };
        Ok(Self { shape, isa, plan, fuses: method == Method::Winograd && winograd::fuses(&shape) })
    }

    /// The method of the plan.
    pub fn method(&self) -> Method {
        match self.plan {
            Plan::Direct { .. } => Method::Direct,
            Plan::Winograd { .. } => Method::Winograd,
        }
    }

    /// Whether a thread computes whole images, and both gradients of one at once: operands need not be ready then.
    pub fn fuses(&self) -> bool {
        self.fuses
    }

    /// The sizes of the layer.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Elements of the weights as [`Self::forward`] wants them.
    pub fn packed_forward_len(&self) -> usize {
        match &self.plan {
            Plan::Direct { forward, .. } => forward.packed_len(),
            Plan::Winograd { forward, .. } => forward.packed_len(),
        }
    }

    /// Elements of the weights as [`Self::backward_input`] wants them.
    pub fn packed_backward_len(&self) -> usize {
        match &self.plan {
            Plan::Direct { backward, .. } => backward.packed_len(),
            Plan::Winograd { backward, .. } => backward.packed_len(),
        }
    }

    /// Elements of scratch memory with which any of the three directions runs on `threads` threads.
    /// With less they run on fewer, but they want what one thread needs.
    pub fn scratch_len(&self, threads: usize) -> usize {
        let (forward, backward, [shared, each]) = match &self.plan {
            Plan::Direct { forward, backward, gradient } => {
                (forward.scratch_len(), backward.scratch_len(), gradient.scratch_len())
            }
            Plan::Winograd { forward, backward, gradient } => {
                (forward.scratch_len(), backward.scratch_len(), gradient.scratch_len())
            }
        };
        let threads = threads.max(1);
        (threads * forward.max(backward)).max(shared + threads * each)
    }

    /// Elements of the moments of [`Self::forward_measured`].
    pub fn moments_len(&self) -> usize {
        let pieces = match &self.plan {
            Plan::Direct { forward, .. } => forward.pieces(),
            Plan::Winograd { forward, .. } => forward.pieces(),
        };
        pieces * moments::record_len(self.shape.outputs)
    }

    /// Elements of the records of a reduction of the input's gradient.
    pub fn records_len(&self) -> usize {
        let pieces = match &self.plan {
            Plan::Direct { backward, .. } => backward.pieces(),
            Plan::Winograd { backward, .. } => backward.pieces(),
        };
        pieces * moments::record_len(self.shape.inputs)
    }

    /// Packs `weights` (OIHW) for [`Self::forward`].
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn pack_forward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        match &self.plan {
            Plan::Direct { forward, .. } => forward.pack(weights, packed),
            Plan::Winograd { forward, .. } => forward.pack(self.isa, weights, packed),
        }
    }

    /// Packs `weights` (OIHW) for [`Self::backward_input`].
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn pack_backward(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_backward_len());
        match &self.plan {
            Plan::Direct { backward, .. } => backward.pack(weights, packed),
            Plan::Winograd { backward, .. } => backward.pack(self.isa, weights, packed),
        }
    }

    /// `output` from `input`, both NHWC, with the weights that [`Self::pack_forward`] packed.
    ///
    /// # Panics
    /// When a length is not that of the plan, or the input is not ready and the layer does not fuse
    /// ([`Self::fuses`]).
    pub fn forward(&self, input: Operand<'_>, packed: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        self.run_forward(input, packed, output, None, scratch);
    }

    /// As [`Self::forward`], and takes what [`crate::norm::BatchNorm::measured`] wants to know of the output
    /// while it is in a cache.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_measured(
        &self,
        input: Operand<'_>,
        packed: &[f32],
        output: &mut [f32],
        moments: &mut [f32],
        scratch: &mut [f32],
    ) {
        check("moments", moments.len(), self.moments_len());
        self.run_forward(input, packed, output, Some(moments), scratch);
    }

    fn run_forward(
        &self,
        input: Operand<'_>,
        packed: &[f32],
        output: &mut [f32],
        moments: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) {
        check("input", input.len(), self.shape.input_len());
        check("packed weights", packed.len(), self.packed_forward_len());
        check("output", output.len(), self.shape.output_len());
        let moments = moments.unwrap_or_default();
        match &self.plan {
            Plan::Direct { forward, .. } => {
                forward.run(self.isa, self.ready(input), packed, output, false, moments, scratch);
            }
            Plan::Winograd { forward, .. } => {
                let input = if self.fuses { input } else { Operand::Ready(self.ready(input)) };
                forward.run(self.isa, input, packed, output, false, moments, scratch);
            }
        }
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
        let (isa, none) = (self.isa, &mut []);
        match &self.plan {
            Plan::Direct { backward, .. } => backward.run(isa, output, packed, input, accumulate, none, scratch),
            Plan::Winograd { backward, .. } => {
                backward.run(isa, Operand::Ready(output), packed, input, accumulate, none, scratch);
            }
        }
    }

    /// The gradient of the weights (OIHW) from the input and the gradient of the output, in place of
    /// what `weights` held.
    ///
    /// # Panics
    /// When a length is not that of the plan.
    pub fn backward_weights(&self, input: &[f32], output: &[f32], weights: &mut [f32], scratch: &mut [f32]) {
        self.backward([Operand::Ready(input), Operand::Ready(output)], weights, None, scratch);
    }

    /// The gradient of the weights (OIHW), in place of what `weights` held, and where it is wanted that of the input,
    /// as by [`Self::backward_input`], from the input and the gradient of the output.
    ///
    /// # Panics
    /// When a length is not that of the plan, or the layer does not fuse ([`Self::fuses`]) and an operand is not ready
    /// or a reduction is wanted.
    pub fn backward(
        &self,
        [input, output]: [Operand<'_>; 2],
        weights: &mut [f32],
        wanted: Option<InputGradient<'_>>,
        scratch: &mut [f32],
    ) {
        check("input", input.len(), self.shape.input_len());
        check("gradient of the output", output.len(), self.shape.output_len());
        check("gradient of the weights", weights.len(), self.shape.weights_len());
        if let Some(InputGradient { packed, values, then, .. }) = &wanted {
            check("packed weights", packed.len(), self.packed_backward_len());
            check("gradient of the input", values.len(), self.shape.input_len());
            let records = then.as_ref().map(|(_, records)| records.len());
            assert!(
                records.is_none_or(|len| self.fuses && len == self.records_len()),
                "a reduction, for {:?}",
                self.shape
            );
        }
        match &self.plan {
            Plan::Winograd { gradient, backward, .. } if self.fuses => {
                let back = wanted.map(|wanted| (backward, wanted));
                return gradient.run(self.isa, [input, output], back, weights, scratch);
            }
            Plan::Winograd { gradient, .. } => {
                let operands = [input, output].map(|operand| Operand::Ready(self.ready(operand)));
                gradient.run(self.isa, operands, None, weights, scratch);
            }
            Plan::Direct { gradient, .. } => {
                gradient.run(self.isa, self.ready(input), self.ready(output), weights, scratch);
            }
        }
        if let Some(InputGradient { packed, values, accumulate, .. }) = wanted {
            self.backward_input(self.ready(output), packed, values, accumulate, scratch);
        }
    }

    fn ready<'a>(&self, operand: Operand<'a>) -> &'a [f32] {
        operand.ready().unwrap_or_else(|| panic!("an operand that is not ready, for {:?}", self.shape))
    }
}

/// The gradient of the input: how it is made, and where it goes.
#[derive(Debug)]
pub struct InputGradient<'a> {
    /// The weights, by [`Conv::pack_backward`].
    pub packed: &'a [f32],
    /// As many as elements of the input.
    pub values: &'a mut [f32],
    /// Whether it is added to `values`, and does not replace them.
    pub accumulate: bool,
    /// What is to be done with each piece of `values` as soon as it is there, and where its records go:
    /// [`Conv::records_len`] elements.
    pub then: Option<(Reduction<'a>, &'a mut [f32])>,
}

fn check(what: &str, len: usize, expected: usize) {
    assert_eq!(len, expected, "elements of the {what}");
}
