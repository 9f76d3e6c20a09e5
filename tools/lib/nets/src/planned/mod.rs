//! The fast way to any network's gradients on a CPU: operations planned once, no graph in a step.
//!
//! Activations are NHWC here, `[rows, height, width, channels]`; at the edges, and in parameters, everything
//! has the order of [`Batch`] and [`Layout`](crate::Layout). The bytes of a result do not depend on threads.
//! A norm leaves what it can to the convolutions beside it, and then writes nothing itself.

mod buffer;
mod conv;
mod elementwise;
mod flow;
mod linear;
mod norm;
mod operation;
mod plan;
mod pool;
mod topology;

use crate::{Batch, Engine, Graph, Loss, Parameters, Result, order::Order};
use operation::{Values, Workspace};
use parallel::with_active_workers;
use plan::{Buffers, Plan};
use topology::Topology;

/// Plans that are kept: of a batch and of the last of an epoch, in training and in validation.
const MOST_PLANS: usize = 4;

/// Forward, loss and backward by the kernels, in buffers that are allocated once.
pub struct Planned {
    topology: Topology,
    loss: Loss,
    input: Order,
    input_width: usize,
    outputs: usize,
    /// One for each number of rows that came.
    plans: Vec<Plan>,
    buffers: Buffers,
    workspace: Workspace,
    /// The loss's gradient with respect to the outputs: `[rows, outputs]`
    delta: Vec<f32>,
}

impl Planned {
    /// An engine for a network, unless one of its operations has no kernel.
    pub fn new(graph: &Graph, loss: Loss) -> Option<Self> {
        let topology = Topology::new(graph)?;
        // A network that can be planned for one row can be for any number.
        Plan::new(&topology, 1).ok()?;
        Some(Self {
            input: Order::of(&graph.architecture.input_shape)?,
            input_width: graph.architecture.inputs(),
            outputs: graph.architecture.outputs,
            topology,
            loss,
            plans: Vec::new(),
            buffers: Buffers::default(),
            workspace: Workspace::default(),
            delta: Vec::new(),
        })
    }

    /// Prepares for so many rows: the plan for them is the last.
    fn plan(&mut self, rows: usize) -> Result<()> {
        if let Some(known) = self.plans.iter().position(|plan| plan.rows == rows) {
            let plan = self.plans.remove(known);
            self.plans.push(plan);
            return Ok(());
        }
        if self.plans.len() == MOST_PLANS {
            self.plans.remove(0);
        }
        self.plans.push(Plan::new(&self.topology, rows)?);
        Ok(())
    }

    /// Fills the buffers from `inputs` `[rows, input shape…]`.
    fn forward(&mut self, inputs: &[f32], mut values: Values<'_>) -> Result<()> {
        self.plan(inputs.len() / self.input_width)?;
        let Self { plans, buffers, workspace, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(()) };
        buffers.fit(&self.topology, plan.rows, self.input_width);
        workspace.fit(plan.operations.len());
        self.input.to_nhwc(inputs, &mut buffers.input[..inputs.len()]);
        for i in 0..plan.operations.len() {
            plan.forward(i, buffers, &mut values, workspace);
        }
        Ok(())
    }
}

impl Planned {
    fn step(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        self.forward(batch.inputs, Values::Learning(&mut parameters.values))?;
        let Self { plans, buffers, workspace, delta, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(0.0) };
        let outputs = plan.result(buffers);
        let total_weight = self.loss.total_weight(batch, plan.rows);
        let loss = self.loss.add(outputs, batch, self.outputs, total_weight, delta);
        plan.begin_backward(buffers, delta);
        for i in (0..plan.operations.len()).rev() {
            plan.backward(i, buffers, &parameters.values, gradients, workspace);
        }
        // A norm gives its factor a gradient, also where that is fixed.
        gradients[parameters.layout.trainable()..].fill(0.0);
        Ok(loss)
    }
}

// A step has hundreds of parallel loops, many of them shorter than it takes to wake a thread.
impl Engine for Planned {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        with_active_workers(|| self.step(parameters, batch, gradients))
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        with_active_workers(|| self.forward(inputs, Values::Fixed(&parameters.values)))?;
        outputs.clear();
        outputs.extend(self.plans.last().iter().flat_map(|plan| plan.result(&self.buffers)));
        Ok(())
    }
}
