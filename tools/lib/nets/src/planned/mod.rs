//! The engine of all networks on CPUs: a fusion plan and a memory plan are made once, then steps run on `kernels`.
//!
//! Activations are NHWC here, `[rows, height, width, channels]`; inputs, outputs and parameters have the layouts of
//! [`Batch`] and [`Layout`](crate::Layout). Results have the same bits for any number of threads. A norm is fused into the
//! convolutions around it where possible: batch statistics as an epilogue of the one before, normalization as a prologue of
//! the one after; its output is then not stored.
//!
//! | file | content |
//! |---|---|
//! | `fusion.rs` | fusion plan: which nodes are one step, and which passes of norms are fused into convolutions |
//! | `memory.rs` | memory plan of the backward pass |
//! | `plan.rs` | steps for one batch size, and the buffers that they run in |
//! | `operation.rs` | the trait of a step, its arguments and the shared workspace |
//! | `conv.rs`, `norm.rs`, … | the steps |

mod buffer;
mod conv;
mod elementwise;
mod fusion;
mod layout;
mod linear;
mod memory;
mod norm;
mod operation;
mod plan;
mod pool;

use crate::{Batch, Engine, Graph, Loss, Parameters, Result};
use fusion::FusionPlan;
use layout::RowShape;
use operation::{Values, Workspace};
use parallel::with_active_workers;
use plan::{Buffers, Plan};

/// Plans in the cache, one a batch size: a whole batch and the last of an epoch, in training and in validation.
const MOST_PLANS: usize = 4;

/// The engine of all networks on CPUs, in buffers that are allocated once. See the table in `docs/design/nets.md`.
pub struct Planned {
    fusion: FusionPlan,
    loss: Loss,
    input: RowShape,
    input_width: usize,
    outputs: usize,
    /// Cache of plans by batch size, the most recently used last.
    plans: Vec<Plan>,
    buffers: Buffers,
    workspace: Workspace,
    /// Gradient of the loss with respect to the outputs, `[rows, outputs]`.
    grad_outputs: Vec<f32>,
}

impl Planned {
    /// An engine for a network; None if one of its operations has no kernel.
    pub fn new(graph: &Graph, loss: Loss) -> Option<Self> {
        let fusion = FusionPlan::new(graph)?;
        // What can be planned for one row can be planned for any number.
        Plan::new(&fusion, 1).ok()?;
        Some(Self {
            input: RowShape::of(&graph.architecture.input_shape)?,
            input_width: graph.architecture.inputs(),
            outputs: graph.architecture.outputs,
            fusion,
            loss,
            plans: Vec::new(),
            buffers: Buffers::default(),
            workspace: Workspace::default(),
            grad_outputs: Vec::new(),
        })
    }

    /// Moves or adds the plan for `rows` rows to the end of the cache.
    fn plan(&mut self, rows: usize) -> Result<()> {
        if let Some(known) = self.plans.iter().position(|plan| plan.rows == rows) {
            let plan = self.plans.remove(known);
            self.plans.push(plan);
            return Ok(());
        }
        if self.plans.len() == MOST_PLANS {
            self.plans.remove(0);
        }
        self.plans.push(Plan::new(&self.fusion, rows)?);
        Ok(())
    }

    /// Forward pass over `inputs` `[rows, input shape…]`; the outputs of all steps stay in `buffers`.
    fn forward(&mut self, inputs: &[f32], mut values: Values<'_>) -> Result<()> {
        self.plan(inputs.len() / self.input_width)?;
        let Self { plans, buffers, workspace, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(()) };
        buffers.fit(&self.fusion, plan.rows, self.input_width);
        self.input.nchw_to_nhwc(inputs, &mut buffers.input[..inputs.len()]);
        for i in 0..plan.operations.len() {
            plan.forward(i, buffers, &mut values, workspace);
        }
        Ok(())
    }
}

impl Planned {
    fn step(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        self.forward(batch.inputs, Values::Training(&mut parameters.values))?;
        let Self { plans, buffers, workspace, grad_outputs, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(0.0) };
        let outputs = plan.result(buffers);
        let total_weight = self.loss.total_weight(batch, plan.rows);
        grad_outputs.resize(outputs.len(), 0.0);
        let loss = self.loss.add(outputs, batch, self.outputs, total_weight, grad_outputs);
        plan.begin_backward(buffers, grad_outputs);
        for i in (0..plan.operations.len()).rev() {
            plan.backward(i, buffers, &parameters.values, gradients, workspace);
        }
        // Kernels of norms write the gradient of γ even where it is frozen.
        gradients[parameters.layout.trainable()..].fill(0.0);
        Ok(loss)
    }
}

// A training step has hundreds of parallel loops, many of them shorter than the time to wake a thread.
impl Engine for Planned {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        with_active_workers(|| self.step(parameters, batch, gradients))
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        with_active_workers(|| self.forward(inputs, Values::Evaluation(&parameters.values)))?;
        outputs.clear();
        outputs.extend(self.plans.last().iter().flat_map(|plan| plan.result(&self.buffers)));
        Ok(())
    }
}
