//! The steps of a network for one batch size, and their buffers.

use super::{
    Error, LossFn, Op,
    buffer::Buffer,
    conv::ConvStep,
    elementwise::{ActivationStep, AddStep, FlattenStep, ScaleStep},
    fusion::{Fusion, FusionPlan, Source, Step},
    linear::LinearStep,
    memory::Destination,
    norm::{FusedNorm, NormStep},
    operation::{Backward, Forward, GradInput, Inputs, Operation, Values, Workspace},
    pool::PoolStep,
    row_shape::RowShape,
};
use kernels::{linear::Blocked, norm::BatchNormOptions, pool::Pool};
use parallel::parallel_for;
use std::mem::take;

/// Outputs whose loss is one task: some tens of microseconds of cross-entropy.
const LOSS_OUTPUTS: usize = 1 << 11;

/// The operations for batches of `rows`.
pub(super) struct Plan {
    pub rows: usize,
    pub operations: Vec<PlannedStep>,
    /// By [`NormId`](super::operation::NormId).
    norms: Vec<FusedNorm>,
}

/// A step with its inputs and the destinations of its gradients.
pub(super) struct PlannedStep {
    operation: Box<dyn Operation>,
    inputs: Vec<Source>,
    /// Elements of its output a row.
    width: usize,
    /// Elements that are stored, a row: 0 if the consumer's prologue computes them.
    stored_width: usize,
    needs_grad: bool,
    /// Buffer of the gradient of its output.
    grad_output: usize,
    destinations: [Destination; 2],
}

/// Activations and gradients, sized for the largest batch so far.
#[derive(Default)]
pub(super) struct Buffers {
    /// Outputs of the steps.
    outputs: Vec<Buffer>,
    /// What the steps save beside them.
    saved: Vec<Vec<Blocked>>,
    gradients: Vec<Buffer>,
}

impl Plan {
    /// # Errors
    /// When the kernels have no operation for the shape of a step.
    pub fn new(plan: &FusionPlan, rows: usize) -> Result<Self, Error> {
        let steps = plan.steps.iter().enumerate();
        let operations = steps.map(|(i, step)| {
            Ok(PlannedStep {
                operation: operation(step, rows)?,
                inputs: step.inputs.clone(),
                width: step.width(),
                stored_width: stored_width(step),
                needs_grad: step.needs_grad,
                grad_output: plan.memory.buffer[i],
                destinations: plan.memory.destinations[i],
            })
        });
        let norms = plan.steps.iter().filter_map(|step| match (&step.op, &step.fusion) {
            (&Op::Norm { momentum, eps, .. }, Fusion::Norm(_, fusion)) => {
                Some(FusedNorm::new(step, rows, BatchNormOptions { eps, momentum }, *fusion))
            }
            _ => None,
        });
        Ok(Self { rows, operations: operations.collect::<Result<_, Error>>()?, norms: norms.collect() })
    }

    /// Runs a step forward; `input` is the network's, NHWC.
    pub fn forward(
        &mut self,
        i: usize,
        input: &[f32],
        buffers: &mut Buffers,
        values: &mut Values<'_>,
        workspace: &mut Workspace,
    ) {
        let (mut output, mut saved) = (take(&mut buffers.outputs[i]), take(&mut buffers.saved[i]));
        let inputs = self.inputs(i, input, buffers);
        let stored = self.stored_len(i);
        let pass = Forward { inputs, output: &mut output[..stored], values: values.reborrow(), saved: &mut saved };
        self.operations[i].operation.forward(pass, &mut self.norms, workspace);
        (buffers.outputs[i], buffers.saved[i]) = (output, saved);
    }

    /// Runs a step backward, unless neither it nor a step before it has trainable parameters.
    #[allow(clippy::too_many_arguments, reason = "the step, what it reads, and where it writes")]
    pub fn backward(
        &mut self,
        i: usize,
        input: &[f32],
        buffers: &mut Buffers,
        values: &[f32],
        gradients: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let PlannedStep { needs_grad, grad_output: own, destinations, width, .. } = self.operations[i];
        if !needs_grad {
            return;
        }
        let mut grad_output = take(&mut buffers.gradients[own]);
        let mut taken = destinations.map(|destination| match destination {
            Destination::Write { buffer, .. } => take(&mut buffers.gradients[buffer]),
            Destination::Discard | Destination::InPlace => Buffer::default(),
        });
        let inputs = self.inputs(i, input, buffers);
        let input_width = |source: &Source| match *source {
            Source::Input => 0,
            Source::Step(producer) => self.operations[producer].width,
        };
        let mut lens = self.operations[i].inputs.iter().map(|source| self.rows * input_width(source));
        let mut grad_inputs = taken.iter_mut();
        let grad_inputs = destinations.map(|destination| match (destination, grad_inputs.next(), lens.next()) {
            (Destination::Write { accumulate, .. }, Some(buffer), Some(len)) => {
                GradInput::Write { buffer: &mut buffer[..len], accumulate }
            }
            (Destination::InPlace, ..) => GradInput::InPlace,
            _ => GradInput::Discard,
        });
        let output = &buffers.outputs[i][..self.stored_len(i)];
        let len = self.rows * width;
        let saved = &buffers.saved[i];
        let pass = Backward { inputs, output, grad_output: &mut grad_output[..len], values, gradients, saved };
        self.operations[i].operation.backward(pass, grad_inputs, &mut self.norms, workspace);
        buffers.gradients[own] = grad_output;
        for (destination, buffer) in destinations.into_iter().zip(taken) {
            if let Destination::Write { buffer: index, .. } = destination {
                buffers.gradients[index] = buffer;
            }
        }
    }

    /// The output of the network, `[rows, outputs]`.
    pub fn result<'a>(&self, buffers: &'a Buffers) -> &'a [f32] {
        let last = self.operations.len() - 1;
        &buffers.outputs[last][..self.rows * self.operations[last].width]
    }

    /// The loss; writes its gradient with respect to the outputs into the last step's buffer.
    pub fn loss(&self, buffers: &mut Buffers, loss: &LossFn<'_>) -> f64 {
        let last = &self.operations[self.operations.len() - 1];
        let outputs = &buffers.outputs[self.operations.len() - 1][..self.rows * last.width];
        let grad_outputs = &mut buffers.gradients[last.grad_output][..outputs.len()];
        let task_rows = (LOSS_OUTPUTS / last.width).max(1);
        let blocks = outputs.chunks(task_rows * last.width).zip(grad_outputs.chunks_mut(task_rows * last.width));
        let mut terms = vec![0.0; self.rows.div_ceil(task_rows)];
        parallel_for(terms.iter_mut().zip(blocks).enumerate(), |(i, (term, (outputs, grad_outputs)))| {
            let rows = i * task_rows..i * task_rows + outputs.len() / last.width;
            *term = loss(rows, outputs, grad_outputs);
        });
        terms.iter().sum()
    }

    fn inputs<'a>(&self, i: usize, input: &'a [f32], buffers: &'a Buffers) -> Inputs<'a> {
        let value = |source: Option<&Source>| -> &'a [f32] {
            match source {
                None => &[],
                Some(Source::Input) => input,
                Some(&Source::Step(producer)) => &buffers.outputs[producer][..self.stored_len(producer)],
            }
        };
        let inputs = &self.operations[i].inputs;
        let producer_x = match inputs.first() {
            Some(&Source::Step(producer)) => value(self.operations[producer].inputs.first()),
            Some(Source::Input) | None => &[],
        };
        Inputs { x: value(inputs.first()), residual: value(inputs.get(1)), producer_x }
    }

    /// Stored elements of a step's output.
    fn stored_len(&self, i: usize) -> usize {
        self.rows * self.operations[i].stored_width
    }
}

/// Stored elements of a step's output a row.
fn stored_width(step: &Step) -> usize {
    if step.is_output_fused() { 0 } else { step.width() }
}

impl Buffers {
    /// Sizes the buffers for a batch of `rows`.
    pub fn fit(&mut self, plan: &FusionPlan, rows: usize) {
        self.outputs.resize_with(plan.steps.len(), Buffer::default);
        self.saved.resize_with(plan.steps.len(), Vec::new);
        self.gradients.resize_with(plan.memory.widths.len(), Buffer::default);
        for (output, step) in self.outputs.iter_mut().zip(&plan.steps) {
            output.room(rows * stored_width(step));
        }
        for (gradient, width) in self.gradients.iter_mut().zip(&plan.memory.widths) {
            gradient.room(rows * width);
        }
    }
}

fn operation(step: &Step, rows: usize) -> Result<Box<dyn Operation>, Error> {
    let pool = |size: [usize; 2]| {
        let [channels, height, width] = image(step)?;
        Ok::<_, Error>(Pool::new(height, width, channels, size))
    };
    Ok(match (&step.op, &step.fusion) {
        (Op::Conv { .. }, Fusion::Conv(fusion)) => {
            let shape = step.conv(rows).ok_or_else(|| no_kernel(step))?;
            Box::new(ConvStep::new(step, shape, *fusion)?)
        }
        (Op::Norm { .. }, Fusion::Norm(norm, _)) => Box::new(NormStep(*norm)),
        (Op::Linear { .. }, Fusion::Linear(layers)) => Box::new(LinearStep(layers.clone())),
        (&Op::Activation(activation), _) => Box::new(ActivationStep(activation.into())),
        (&Op::MaxPool { size }, _) => Box::new(PoolStep::Max(pool(size)?)),
        (&Op::AveragePool { size }, _) => Box::new(PoolStep::Average(pool(size)?)),
        (Op::Flatten, _) => Box::new(FlattenStep(RowShape::of(&step.shapes[0])?)),
        (Op::Add, _) => Box::new(AddStep),
        (&Op::Scale { factor }, _) => Box::new(ScaleStep(factor)),
        (Op::Conv { .. } | Op::Norm { .. } | Op::Linear { .. }, _) => return Err(no_kernel(step)),
    })
}

fn image(step: &Step) -> Result<[usize; 3], Error> {
    <[usize; 3]>::try_from(step.shapes[0].as_slice()).map_err(|_| no_kernel(step))
}

fn no_kernel(step: &Step) -> Error {
    Error::RowShape { shape: step.shapes[0].clone() }
}
