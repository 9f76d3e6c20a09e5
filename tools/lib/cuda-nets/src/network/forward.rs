//! The forward pass.

#![allow(unsafe_code, reason = "calls of kernels and libraries, on buffers of the plan")]

use super::{
    Addresses, Network, named,
    plan::{Norm, Op, Step},
    tensor,
};
use crate::{
    Activations, Element, Result,
    calls::{self, NormArrays},
    cublas::{Matrix, Product},
    cudnn::Pass,
};
use cudarc::driver::CudaSlice;

// SAFETY of all calls in this file: the addresses are those of buffers that the network or the caller holds, and that have
// room for the plan's shapes and the rows at hand (`prepare`, and the assertions of `forward`); the work is on one stream,
// which buffers end on.

impl Network {
    /// The logits `[rows, outputs]` of `rows` rows of inputs. With `training`, norms take the batch's statistics, and update the
    /// running ones in `parameters`; otherwise they take the running ones.
    ///
    /// # Errors
    /// If the GPU's memory has no room, or a library refuses.
    ///
    /// # Panics
    /// If `inputs` are of another type or fewer than `rows` rows, or there are no rows.
    pub fn forward(
        &mut self,
        parameters: &mut CudaSlice<f32>,
        inputs: &Activations,
        rows: usize,
        training: bool,
    ) -> Result<&CudaSlice<f32>> {
        assert!(rows > 0 && inputs.capacity() >= rows * self.inputs(), "rows of inputs");
        assert_eq!(inputs.element(), self.element(), "inputs of the network's type");
        self.trained = None;
        self.prepare(rows, training)?;
        let at = self.addresses(parameters, inputs, rows, training);
        let segments = (self.gpu.address(&self.fixed.segments), self.fixed.segment_count);
        let packed = self.gpu.address(&self.fixed.packed);
        // SAFETY: as above; segments are of weights of the layout.
        unsafe { calls::pack(&self.gpu, self.element(), at.parameters, segments, packed) }?;
        for index in 0..self.plan.steps.len() {
            self.step(&at, index).map_err(|error| named(&self.plan.steps[index], error))?;
        }
        self.finish(&at)?;
        self.trained = training.then_some(rows);
        Ok(self.logits.get().expect("reserved"))
    }

    /// The output as `f32`, where it is not.
    fn finish(&self, at: &Addresses) -> Result<()> {
        let output = &self.plan.values[self.plan.output];
        if output.element == Element::F32 {
            return Ok(());
        }
        let from = (output.element, self.value(at, self.plan.output));
        // SAFETY: as above.
        unsafe { calls::convert(&self.gpu, from, (Element::F32, at.logits), at.rows * output.elements()) }
    }

    fn step(&self, at: &Addresses, index: usize) -> Result<()> {
        let step = &self.plan.steps[index];
        let (gpu, shape) = (&self.gpu, self.shape(at, step.output));
        let (x, y) = (self.value(at, step.input), self.value(at, step.output));
        let input = &self.plan.values[step.input];
        match &step.op {
            Op::Conv { weight, bias, .. } => {
                self.convolve(at, index, [x, self.packed(*weight), y])?;
                let Some(bias) = bias else { return Ok(()) };
                // SAFETY: as above.
                unsafe { calls::add_bias(gpu, shape, y, tensor(at.parameters, bias)) }
            }
            Op::Linear { weight, bias } => {
                self.linear(at, step, *weight, x, y)?;
                // SAFETY: as above.
                unsafe { calls::add_bias(gpu, shape, y, tensor(at.parameters, bias)) }
            }
            Op::Norm(norm) => self.norm(at, step, norm, y),
            // SAFETY: as above.
            Op::Activation(activation) => unsafe { calls::activation(gpu, shape, x, *activation, y) },
            Op::Add => {
                let other = self.value(at, step.other.unwrap_or(step.input));
                // SAFETY: as above.
                unsafe { calls::add(gpu, shape, x, other, y) }
            }
            // SAFETY: as above.
            Op::Scale(factor) => unsafe { calls::scale(gpu, shape, x, *factor, false, y) },
            Op::Pool { max, size } => {
                // SAFETY: as above.
                unsafe { calls::pool(gpu, (*max, shape.element), (at.rows, input.shape, *size), x, y) }
            }
            Op::Flatten => {
                let [channels, height, width] = input.shape;
                let element = input.element;
                // SAFETY: as above.
                unsafe { calls::transpose(gpu, (element, x), (element, y), [at.rows, height * width, channels], false) }
            }
        }
    }

    fn convolve(&self, at: &Addresses, index: usize, arrays: [u64; 3]) -> Result<()> {
        let convolution = self.convolutions[&(at.rows, at.training)][index].as_ref().expect("a convolution");
        let workspace = self.workspace.address(&self.gpu);
        // SAFETY: as above; each array begins at a multiple of 16 bytes.
        unsafe { self.gpu.cudnn()?.run(convolution, Pass::Forward, arrays, workspace, false) }
    }

    fn linear(&self, at: &Addresses, step: &Step, weight: usize, x: u64, y: u64) -> Result<()> {
        let (input, output) = (&self.plan.values[step.input], &self.plan.values[step.output]);
        let element = input.element;
        let product = Product {
            rows: at.rows,
            depth: input.elements(),
            columns: output.elements(),
            a: Matrix { address: x, element, transposed: false },
            b: Matrix { address: self.packed(weight), element, transposed: true },
            c: Matrix { address: y, element: output.element, transposed: false },
            accumulate: false,
        };
        // SAFETY: as above.
        unsafe { self.gpu.cublas()?.product(product, self.precision) }
    }

    fn norm(&self, at: &Addresses, step: &Step, norm: &Norm, y: u64) -> Result<()> {
        let (gpu, shape) = (&self.gpu, self.shape(at, step.input));
        let running = (tensor(at.parameters, &norm.mean), tensor(at.parameters, &norm.variance));
        let arrays = self.norm_arrays(at, step, norm);
        // SAFETY: as above.
        unsafe {
            if at.training {
                let partials = gpu.address(&self.fixed.partials);
                let arrays = (arrays.x, partials, arrays.statistics);
                calls::statistics(gpu, shape, arrays, (norm.momentum, norm.eps), running)?;
            } else {
                calls::running_statistics(gpu, shape.channels, running, norm.eps, arrays.statistics)?;
            }
            calls::norm(gpu, shape, arrays, norm.activation, y)
        }
    }

    pub(super) fn norm_arrays(&self, at: &Addresses, step: &Step, norm: &Norm) -> NormArrays {
        NormArrays {
            x: self.value(at, step.input),
            residual: step.other.map_or(0, |other| self.value(at, other)),
            statistics: self.statistics(norm),
            scale: tensor(at.parameters, &norm.scale),
            shift: tensor(at.parameters, &norm.shift),
        }
    }
}
