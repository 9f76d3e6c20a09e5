//! The steps of a network for one batch size, and their buffers.

use super::{
    buffer::Buffer,
    conv::ConvStep,
    elementwise::{ActivationStep, AddStep, FlattenStep, ScaleStep},
    flow::Route,
    layout::RowShape,
    linear::LinearStep,
    norm::NormStep,
    operation::{Backward, Before, Forward, Operation, Target, Values, Workspace},
    pool::PoolStep,
    topology::{Left, Source, Step, Topology},
};
use crate::{Error, Result, graph::Op};
use kernels::{norm::BatchNormOptions, pool::Pool};
use std::mem::take;

/// The operations for batches of `rows`.
pub(super) struct Plan {
    pub rows: usize,
    pub operations: Vec<Planned>,
}

/// A step with its inputs and the destinations of its gradients.
pub(super) struct Planned {
    operation: Box<dyn Operation>,
    inputs: Vec<Source>,
    /// Elements of its output a row.
    width: usize,
    left: Left,
    learns: bool,
    /// Buffer of the gradient of its output, and destinations of the gradients of its inputs.
    gradient: usize,
    routes: [Route; 2],
}

/// A step with the norms that are fused into it: the one before, and the one after.
struct Beside<'a> {
    step: &'a mut Planned,
    before: Option<Before<'a>>,
    after: Option<&'a NormStep>,
}

/// Activations and gradients, sized for the largest batch so far.
#[derive(Default)]
pub(super) struct Buffers {
    /// `[rows, height, width, channels]`
    pub input: Buffer,
    /// Outputs of the steps.
    results: Vec<Buffer>,
    gradients: Vec<Buffer>,
}

impl Plan {
    /// # Errors
    /// When the kernels have no operation for the shape of a step.
    pub fn new(topology: &Topology, rows: usize) -> Result<Self> {
        let steps = topology.steps.iter().enumerate();
        let operations = steps.map(|(i, step)| {
            Ok(Planned {
                operation: operation(step, i, rows)?,
                inputs: step.inputs.clone(),
                width: step.width(),
                left: step.left,
                learns: step.learns,
                gradient: topology.flow.buffer[i],
                routes: topology.flow.routes[i],
            })
        });
        Ok(Self { rows, operations: operations.collect::<Result<_>>()? })
    }

    /// Runs a step forward.
    pub fn forward(&mut self, i: usize, buffers: &mut Buffers, values: &mut Values<'_>, workspace: &mut Workspace) {
        let mut result = take(&mut buffers.results[i]);
        let inputs = self.inputs(i, buffers);
        let output = &mut result[..self.result_len(i)];
        let Beside { step, before, .. } = self.beside(i, buffers);
        step.operation.forward(Forward { inputs, before, output, values: values.reborrow() }, workspace);
        buffers.results[i] = result;
    }

    /// Runs a step backward, unless neither it nor a step before it has trainable parameters.
    pub fn backward(
        &mut self,
        i: usize,
        buffers: &mut Buffers,
        values: &[f32],
        gradients: &mut [f32],
        workspace: &mut Workspace,
    ) {
        if !self.operations[i].learns {
            return;
        }
        let (own, routes) = (self.operations[i].gradient, self.operations[i].routes);
        let mut delta = take(&mut buffers.gradients[own]);
        let mut held = routes.map(|route| match route {
            Route::To { buffer, .. } => take(&mut buffers.gradients[buffer]),
            Route::Nowhere | Route::InPlace => Buffer::default(),
        });
        let inputs = self.inputs(i, buffers);
        let len = self.rows * self.operations[i].width;
        let width = |source: &Source| match *source {
            Source::Input => 0,
            Source::Step(before) => self.operations[before].width,
        };
        let mut lens = self.operations[i].inputs.iter().map(|source| self.rows * width(source));
        let mut places = held.iter_mut();
        let targets = routes.map(|route| match (route, places.next(), lens.next()) {
            (Route::To { accumulate, .. }, Some(held), Some(len)) => {
                Target::To { gradient: &mut held[..len], accumulate }
            }
            (Route::InPlace, ..) => Target::InPlace,
            _ => Target::Nowhere,
        });
        let output = &buffers.results[i][..self.result_len(i)];
        let Beside { step, before, after } = self.beside(i, buffers);
        let pass = Backward { inputs, before, output, after, delta: &mut delta[..len], values, gradients };
        step.operation.backward(pass, targets, workspace);
        buffers.gradients[own] = delta;
        for (route, held) in routes.into_iter().zip(held) {
            if let Route::To { buffer, .. } = route {
                buffers.gradients[buffer] = held;
            }
        }
    }

    /// The output of the network, `[rows, outputs]`.
    pub fn result<'a>(&self, buffers: &'a Buffers) -> &'a [f32] {
        let last = self.operations.len() - 1;
        &buffers.results[last][..self.rows * self.operations[last].width]
    }

    /// Copies the gradient of the loss with respect to the outputs into the last step's buffer.
    pub fn begin_backward(&self, buffers: &mut Buffers, delta: &[f32]) {
        let last = &self.operations[self.operations.len() - 1];
        buffers.gradients[last.gradient][..delta.len()].copy_from_slice(delta);
    }

    fn inputs<'a>(&self, i: usize, buffers: &'a Buffers) -> [&'a [f32]; 2] {
        let mut inputs: [&[f32]; 2] = [&[]; 2];
        for (input, source) in inputs.iter_mut().zip(&self.operations[i].inputs) {
            *input = match *source {
                Source::Input => &buffers.input,
                Source::Step(before) => &buffers.results[before][..self.result_len(before)],
            };
        }
        inputs
    }

    /// Stored elements of a step's output: 0 if it is fused into the next step.
    fn result_len(&self, i: usize) -> usize {
        let Planned { left, width, .. } = &self.operations[i];
        if left.result { 0 } else { self.rows * width }
    }

    /// A step and the norms that are fused into it.
    fn beside<'a>(&'a mut self, i: usize, buffers: &'a Buffers) -> Beside<'a> {
        let before = match self.operations[i].inputs[0] {
            Source::Step(before) => Some((before, self.inputs(before, buffers)[0])),
            Source::Input => None,
        };
        let (earlier, later) = self.operations.split_at_mut(i);
        let (step, later) = later.split_first_mut().expect("a step of the plan");
        let before = before.and_then(|(index, input)| {
            let Planned { operation, left, .. } = &earlier[index];
            Some(Before { norm: operation.norm()?, index, input, result: left.result, sums: left.sums == Some(i) })
        });
        let after = later.first().filter(|next| next.left.gradient).and_then(|next| next.operation.norm());
        Beside { step, before, after }
    }
}

impl Buffers {
    /// Sizes the buffers for a batch of `rows`.
    pub fn fit(&mut self, topology: &Topology, rows: usize, input_width: usize) {
        self.input.room(rows * input_width);
        self.results.resize_with(topology.steps.len(), Buffer::default);
        self.gradients.resize_with(topology.flow.widths.len(), Buffer::default);
        for (result, step) in self.results.iter_mut().zip(&topology.steps) {
            result.room(if step.left.result { 0 } else { rows * step.width() });
        }
        for (gradient, width) in self.gradients.iter_mut().zip(&topology.flow.widths) {
            gradient.room(rows * width);
        }
    }
}

fn operation(step: &Step, index: usize, rows: usize) -> Result<Box<dyn Operation>> {
    let pool = |size| {
        let [channels, height, width] = image(step)?;
        Ok::<_, Error>(Pool::new(height, width, channels, size))
    };
    Ok(match step.op {
        Op::Conv { .. } => {
            let shape = step.conv(rows).ok_or_else(|| no_kernel(step))?;
            Box::new(ConvStep::new(step, index, shape)?)
        }
        Op::Norm { momentum, eps, .. } => {
            Box::new(NormStep::new(step, index, rows, BatchNormOptions { eps, momentum }))
        }
        Op::Activation(activation) => Box::new(ActivationStep(activation)),
        Op::MaxPool { size } => Box::new(PoolStep::Max(pool(size)?)),
        Op::AveragePool { size } => Box::new(PoolStep::Average(pool(size)?)),
        Op::Flatten => Box::new(FlattenStep(RowShape::of(&step.shapes[0]).ok_or_else(|| no_kernel(step))?)),
        Op::Linear { .. } => Box::new(LinearStep::new(step)),
        Op::Add => Box::new(AddStep),
        Op::Scale { factor } => Box::new(ScaleStep(factor)),
    })
}

fn image(step: &Step) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(step.shapes[0].as_slice()).map_err(|_| no_kernel(step))
}

fn no_kernel(step: &Step) -> Error {
    Error::RowShape { shape: step.shapes[0].clone() }
}
