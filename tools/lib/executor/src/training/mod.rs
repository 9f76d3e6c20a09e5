//! Training steps of networks on CPUs: a fusion plan and a memory plan are made once, then steps run on `kernels`.
//!
//! Activations are NHWC here, `[rows, height, width, channels]`; inputs and outputs are NCHW, parameters have the shapes of
//! their [`Op`]. Results have the same bits for any number of threads. A norm is fused into the convolutions around it where
//! possible: batch statistics as an epilogue of the one before, normalization as a prologue of the one after; its output is
//! then not stored.
//!
//! | file | content |
//! |---|---|
//! | `graph.rs`, `layout.rs` | the graph that a plan is made from, and where its parameters are |
//! | `fusion.rs` | fusion plan: which nodes are one step, and which passes of norms are fused into convolutions |
//! | `memory.rs` | memory plan of the backward pass |
//! | `plan.rs` | steps for one batch size, and the buffers that they run in |
//! | `operation.rs` | the trait of a step, its arguments and the shared workspace |
//! | `conv.rs`, `norm.rs`, … | the steps |

mod buffer;
mod conv;
mod elementwise;
mod fusion;
mod graph;
mod layout;
mod linear;
mod memory;
mod norm;
mod operation;
mod plan;
mod pool;
mod row_shape;

pub use graph::{Activation, Graph, Node, Op, Value};
pub use layout::{LayerLayout, Layout, LayoutBuilder, ParameterKind, TensorLayout};

use fusion::FusionPlan;
use kernels::conv::ConvShapeError;
use operation::{Values, Workspace};
use parallel::with_active_workers;
use plan::{Buffers, Plan};
use row_shape::RowShape;
use std::ops::Range;

/// Plans in the cache, one a batch size: a whole batch and the last of an epoch, in training and in validation.
const MAX_PLANS: usize = 4;

/// Why a network has no training plan. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernels cannot compute a convolution of this shape.
    #[error(transparent)]
    Conv(#[from] ConvShapeError),
    /// A row is neither a vector nor an image: the kernels have no layout for it.
    #[error("no kernel for rows of shape {shape:?}; expected [features] or [channels, height, width]")]
    RowShape {
        /// The shape of a row that goes into the operation.
        shape: Vec<usize>,
    },
}

/// The terms of some rows in the loss of a batch: gets the rows' indices and outputs `[rows, outputs]`, overwrites
/// the gradient with respect to those, and returns the terms' sum. Called from several threads.
pub type LossFn<'a> = dyn Fn(Range<usize>, &[f32], &mut [f32]) -> f64 + Sync + 'a;

/// Runs training steps of one network, in buffers that are allocated once.
pub struct TrainingExecutor {
    fusion: FusionPlan,
    input: RowShape,
    /// Elements of a row of the input.
    width: usize,
    /// Number of trainable parameters.
    trainable: usize,
    /// Cache of plans by batch size, the most recently used last.
    plans: Vec<Plan>,
    buffers: Buffers,
    workspace: Workspace,
    /// Gradient of the loss with respect to the outputs, `[rows, outputs]`.
    grad_outputs: Vec<f32>,
}

impl TrainingExecutor {
    /// An executor of a network.
    ///
    /// # Errors
    /// When an operation has no kernel.
    pub fn new(graph: Graph<'_>) -> Result<Self, Error> {
        let fusion = FusionPlan::new(graph)?;
        // What can be planned for one row can be planned for any number.
        Plan::new(&fusion, 1)?;
        Ok(Self {
            input: RowShape::of(graph.input_shape)?,
            width: graph.input_shape.iter().product(),
            trainable: graph.layout.trainable(),
            fusion,
            plans: Vec::new(),
            buffers: Buffers::default(),
            workspace: Workspace::default(),
            grad_outputs: Vec::new(),
        })
    }

    /// Forward pass over `inputs` `[rows, input shape…]`, loss, and backward pass: overwrites `gradients`, in the layout of the
    /// parameters, and returns the loss. Gradients of running statistics and frozen parameters are 0. Updates the running
    /// statistics in `parameters`, and nothing else there.
    ///
    /// # Errors
    /// When the kernels have no operation for this number of rows.
    pub fn gradients(
        &mut self,
        parameters: &mut [f32],
        inputs: &[f32],
        loss: &LossFn<'_>,
        gradients: &mut [f32],
    ) -> Result<f64, Error> {
        // A training step has hundreds of parallel loops, many of them shorter than the time to wake a thread.
        with_active_workers(|| self.step(parameters, inputs, loss, gradients))
    }

    fn step(
        &mut self,
        parameters: &mut [f32],
        inputs: &[f32],
        loss: &LossFn<'_>,
        gradients: &mut [f32],
    ) -> Result<f64, Error> {
        self.forward(inputs, Values::Training(parameters))?;
        let Self { plans, buffers, workspace, grad_outputs, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(0.0) };
        let outputs = plan.result(buffers);
        grad_outputs.resize(outputs.len(), 0.0);
        let loss = loss(0..plan.rows, outputs, grad_outputs);
        plan.begin_backward(buffers, grad_outputs);
        for i in (0..plan.operations.len()).rev() {
            plan.backward(i, buffers, parameters, gradients, workspace);
        }
        // Kernels of norms write the gradient of γ even where it is frozen.
        gradients[self.trainable..].fill(0.0);
        Ok(loss)
    }

    /// Overwrites `outputs` with the network's output `[rows, outputs]` for `inputs` `[rows, input shape…]`, with running
    /// statistics.
    ///
    /// # Errors
    /// When the kernels have no operation for this number of rows.
    pub fn predict(&mut self, parameters: &[f32], inputs: &[f32], outputs: &mut Vec<f32>) -> Result<(), Error> {
        with_active_workers(|| self.forward(inputs, Values::Evaluation(parameters)))?;
        outputs.clear();
        outputs.extend(self.plans.last().iter().flat_map(|plan| plan.result(&self.buffers)));
        Ok(())
    }

    /// Forward pass over `inputs` `[rows, input shape…]`; the outputs of all steps stay in `buffers`.
    fn forward(&mut self, inputs: &[f32], mut values: Values<'_>) -> Result<(), Error> {
        self.plan(inputs.len() / self.width)?;
        let Self { plans, buffers, workspace, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(()) };
        buffers.fit(&self.fusion, plan.rows, self.width);
        self.input.nchw_to_nhwc(inputs, &mut buffers.input[..inputs.len()]);
        for i in 0..plan.operations.len() {
            plan.forward(i, buffers, &mut values, workspace);
        }
        Ok(())
    }

    /// Moves or adds the plan for `rows` rows to the end of the cache.
    fn plan(&mut self, rows: usize) -> Result<(), Error> {
        if let Some(known) = self.plans.iter().position(|plan| plan.rows == rows) {
            let plan = self.plans.remove(known);
            self.plans.push(plan);
            return Ok(());
        }
        if self.plans.len() == MAX_PLANS {
            self.plans.remove(0);
        }
        self.plans.push(Plan::new(&self.fusion, rows)?);
        Ok(())
    }
}
