//! The backward pass.

#![allow(unsafe_code, reason = "calls of kernels and libraries, on buffers of the plan")]

use super::{
    Addresses, Network, named,
    plan::{Buffer, Norm, Op, Step},
    tensor,
};
use crate::{
    Activations, Element, Result, calls,
    cublas::{Matrix, Product},
    cudnn::Pass,
};
use cudarc::driver::CudaSlice;

// SAFETY of all calls in this file: as in forward.rs, whose pass prepared the buffers.

/// The addresses of gradients.
#[derive(Debug, Clone, Copy)]
struct Gradients {
    /// Of the output, `f32`.
    output: u64,
    /// Of the parameters.
    parameters: u64,
}

impl Network {
    /// Overwrites `gradients` with those of the trainable parameters, for the gradient `[rows, outputs]` of the logits that the
    /// last forward pass gave, which was of training; with 0 where parameters are statistics or frozen. Parameters and inputs are
    /// those of that pass.
    ///
    /// # Errors
    /// If a library refuses.
    ///
    /// # Panics
    /// If there was no such pass, or an array is shorter.
    pub fn backward(
        &mut self,
        parameters: &CudaSlice<f32>,
        inputs: &Activations,
        grad_output: &CudaSlice<f32>,
        gradients: &mut CudaSlice<f32>,
    ) -> Result<()> {
        let rows = self.trained.expect("a forward pass of training before");
        assert!(inputs.capacity() >= rows * self.inputs() && inputs.element() == self.element(), "rows of inputs");
        assert!(grad_output.len() >= rows * self.outputs(), "a gradient for each output");
        assert_eq!(gradients.len(), parameters.len(), "a gradient for each parameter");
        self.gpu.stream().memset_zeros(gradients)?;
        let at = self.addresses(parameters, inputs, rows, true);
        let own = Gradients { output: self.gpu.address(grad_output), parameters: self.gpu.address(gradients) };
        self.start(&at, own)?;
        for index in (0..self.plan.steps.len()).rev() {
            if self.plan.has_backward(&self.plan.steps[index]) {
                self.step_backward(&at, own, index).map_err(|error| named(&self.plan.steps[index], error))?;
            }
        }
        let segments = (self.gpu.address(&self.fixed.gradient_segments), self.fixed.gradient_segment_count);
        let packed = self.gpu.address(&self.fixed.packed_gradients);
        // SAFETY: as above; segments are of weights of the layout.
        unsafe { calls::unpack(&self.gpu, self.element(), packed, segments, own.parameters) }
    }

    /// The gradient of the output in the output's type, where that is not `f32`.
    fn start(&self, at: &Addresses, own: Gradients) -> Result<()> {
        let output = &self.plan.values[self.plan.output];
        if output.element == Element::F32 || !output.has_gradient {
            return Ok(());
        }
        let to = (output.element, self.gradient(at, own, self.plan.output));
        // SAFETY: as above.
        unsafe { calls::convert(&self.gpu, (Element::F32, own.output), to, at.rows * output.elements()) }
    }

    /// Where a value's gradient is.
    fn gradient(&self, at: &Addresses, own: Gradients, value: usize) -> u64 {
        if value == self.plan.output && self.plan.values[value].element == Element::F32 {
            return own.output;
        }
        self.in_arena(at, Buffer::Gradient(value))
    }

    fn step_backward(&self, at: &Addresses, own: Gradients, index: usize) -> Result<()> {
        let step = &self.plan.steps[index];
        let grad_y = self.gradient(at, own, step.output);
        match &step.op {
            Op::Conv { weight, bias, .. } => {
                if let Some(bias) = bias {
                    self.bias_backward(at, step, grad_y, tensor(own.parameters, bias))?;
                }
                self.conv_backward(at, own, index, *weight, grad_y)
            }
            Op::Linear { weight, bias } => {
                self.bias_backward(at, step, grad_y, tensor(own.parameters, bias))?;
                self.linear_backward(at, own, step, *weight, grad_y)
            }
            Op::Norm(norm) => self.norm_backward(at, own, step, norm, grad_y),
            _ => {
                for (write, value) in step.writes.iter().zip([Some(step.input), step.other]) {
                    let (Some(write), Some(value)) = (write, value) else { continue };
                    let grad_x = self.gradient(at, own, value);
                    self.elementwise_backward(at, step, (grad_y, grad_x), write.accumulate)?;
                }
                Ok(())
            }
        }
    }

    fn bias_backward(&self, at: &Addresses, step: &Step, grad_y: u64, grad_bias: u64) -> Result<()> {
        let partials = self.gpu.address(&self.fixed.partials);
        // SAFETY: as above.
        unsafe { calls::bias_gradient(&self.gpu, self.shape(at, step.output), grad_y, partials, grad_bias) }
    }

    fn conv_backward(&self, at: &Addresses, own: Gradients, index: usize, weight: usize, grad_y: u64) -> Result<()> {
        let step = &self.plan.steps[index];
        let convolution = self.convolutions[&(at.rows, true)][index].as_ref().expect("a convolution");
        let (cudnn, workspace) = (self.gpu.cudnn()?, self.workspace.address(&self.gpu));
        if self.plan.weights[weight].trainable {
            let offset = (self.plan.weights[weight].packed * self.element().size()) as u64;
            let grad_weight = self.gpu.address(&self.fixed.packed_gradients) + offset;
            let arrays = [self.value(at, step.input), grad_y, grad_weight];
            // SAFETY: as above; each array begins at a multiple of 16 bytes.
            unsafe { cudnn.run(convolution, Pass::Weight, arrays, workspace, false) }?;
        }
        if let Some(write) = step.writes[0] {
            let arrays = [self.packed(weight), grad_y, self.gradient(at, own, step.input)];
            // SAFETY: as above.
            unsafe { cudnn.run(convolution, Pass::Input, arrays, workspace, write.accumulate) }?;
        }
        Ok(())
    }

    fn linear_backward(
        &self,
        at: &Addresses,
        own: Gradients,
        step: &Step,
        weight: usize,
        mut grad_y: u64,
    ) -> Result<()> {
        let (input, output) = (&self.plan.values[step.input], &self.plan.values[step.output]);
        let (element, rows) = (input.element, at.rows);
        let (inputs, outputs) = (input.elements(), output.elements());
        if self.plan.is_mixed(step) {
            let narrow = self.in_arena(at, Buffer::Narrow);
            // SAFETY: as above.
            unsafe { calls::convert(&self.gpu, (output.element, grad_y), (element, narrow), rows * outputs) }?;
            grad_y = narrow;
        }
        let matrix = |address: u64, element: Element, transposed: bool| Matrix { address, element, transposed };
        let cublas = self.gpu.cublas()?;
        let grad_weight = Product {
            rows: outputs,
            depth: rows,
            columns: inputs,
            a: matrix(grad_y, element, true),
            b: matrix(self.value(at, step.input), element, false),
            c: matrix(tensor(own.parameters, &self.plan.weights[weight].range), Element::F32, false),
            accumulate: false,
        };
        // SAFETY: as above.
        unsafe { cublas.product(grad_weight, self.precision) }?;
        let Some(write) = step.writes[0] else { return Ok(()) };
        let grad_input = Product {
            rows,
            depth: outputs,
            columns: inputs,
            a: matrix(grad_y, element, false),
            b: matrix(self.packed(weight), element, false),
            c: matrix(self.gradient(at, own, step.input), element, false),
            accumulate: write.accumulate,
        };
        // SAFETY: as above.
        unsafe { cublas.product(grad_input, self.precision) }
    }

    fn norm_backward(&self, at: &Addresses, own: Gradients, step: &Step, norm: &Norm, grad_y: u64) -> Result<()> {
        let (gpu, shape, arrays) = (&self.gpu, self.shape(at, step.input), self.norm_arrays(at, step, norm));
        let (partials, sums) = (gpu.address(&self.fixed.partials), gpu.address(&self.fixed.sums));
        let grad_scale = if norm.scale_trainable { tensor(own.parameters, &norm.scale) } else { 0 };
        let grad_shift = tensor(own.parameters, &norm.shift);
        let target = |i: usize, value: Option<usize>| match (step.writes[i], value) {
            (Some(write), Some(value)) => (self.gradient(at, own, value), write.accumulate),
            _ => (0, false),
        };
        let targets = (target(0, Some(step.input)), target(1, step.other));
        // SAFETY: as above.
        unsafe {
            let results = (sums, grad_scale, grad_shift);
            calls::norm_sums(gpu, shape, arrays, (grad_y, norm.activation), partials, results)?;
            if targets.0.0 == 0 && targets.1.0 == 0 {
                return Ok(());
            }
            calls::norm_backward(gpu, shape, arrays, (grad_y, sums, norm.activation), targets)
        }
    }

    /// The gradient of one input of an operation without parameters.
    fn elementwise_backward(
        &self,
        at: &Addresses,
        step: &Step,
        (grad_y, grad_x): (u64, u64),
        accumulate: bool,
    ) -> Result<()> {
        let (gpu, input) = (&self.gpu, &self.plan.values[step.input]);
        let (shape, element) = (self.shape(at, step.input), input.element);
        let [channels, height, width] = input.shape;
        // SAFETY: as above.
        unsafe {
            match step.op {
                Op::Activation(activation) => {
                    let arrays = (self.value(at, step.input), grad_y, grad_x);
                    calls::activation_backward(gpu, shape, arrays, activation, accumulate)
                }
                Op::Scale(factor) => calls::scale(gpu, shape, grad_y, factor, accumulate, grad_x),
                Op::Pool { max, size } => {
                    // What no window has.
                    if !accumulate && (height % size[0], width % size[1]) != (0, 0) {
                        gpu.fill_zero(grad_x, shape.count() * element.size())?;
                    }
                    let x = if max { self.value(at, step.input) } else { 0 };
                    let sizes = (at.rows, input.shape, size);
                    calls::pool_backward(gpu, (max, element), sizes, (x, grad_y, grad_x), accumulate)
                }
                Op::Flatten => {
                    let sizes = [at.rows, channels, height * width];
                    calls::transpose(gpu, (element, grad_y), (element, grad_x), sizes, accumulate)
                }
                _ => calls::scale(gpu, shape, grad_y, 1.0, accumulate, grad_x),
            }
        }
    }
}
