//! Training steps of networks on CPUs: graph, fused graph, memory plan, run. See `docs/design/training-step.md`.
//!
//! Activations are NHWC here, `[rows, height, width, channels]`, and those between linear layers in blocks of rows; inputs and
//! outputs are NCHW, parameters have the shapes of their [`Op`]. Results have the same bits for any number of threads.
//!
//! | file | content |
//! |---|---|
//! | `graph.rs`, `layout.rs` | the graph that a plan is made from, and where its parameters are |
//! | `fusion.rs` | fusion plan: which nodes are one step, and which passes of norms are fused into convolutions |
//! | `memory.rs` | memory plan of the backward pass |
//! | `plan.rs` | the steps for one batch size, and the buffers that they run in |
//! | `operation.rs` | the trait of a step, its arguments and the shared workspace |
//! | `conv.rs`, `norm.rs`, … | the steps |
//! | `steps.rs`, `row_sharded.rs` | a run: steps over the whole batch, or narrow linear layers by shards of rows |

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
mod row_sharded;
mod steps;

pub use graph::{Activation, Graph, Node, Op, Value};
pub use layout::{Layout, LayoutBuilder, ParameterKind, TensorLayout};
pub use onnx::cost::Work;

use fusion::FusionPlan;
use kernels::conv::ConvShapeError;
use parallel::with_active_workers;
use row_sharded::RowSharded;
use std::ops::Range;
use steps::Steps;

/// Why a network has no training plan. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernels cannot compute a convolution of this shape.
    #[error(transparent)]
    Conv(#[from] ConvShapeError),
    /// No operation that could be a step.
    #[error("a network without operations")]
    Empty,
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

/// Rows that [`TrainingExecutor::predict`] computes at a time, which bounds the buffers.
const PREDICT_ROWS: usize = 1024;

/// Runs training steps of one network, in buffers that are allocated once.
pub struct TrainingExecutor {
    runner: Runner,
    /// Elements of a row of the input.
    width: usize,
    /// Number of trainable parameters.
    trainable: usize,
}

/// How a step is split over the threads: by the shapes of the network alone.
enum Runner {
    /// Each shard of rows runs forward, loss and backward on one thread.
    RowSharded(RowSharded),
    /// Each step of the plan splits its own loops.
    Steps(Box<Steps>),
}

impl TrainingExecutor {
    /// An executor of a network.
    ///
    /// # Errors
    /// When an operation has no kernel.
    pub fn new(graph: Graph<'_>) -> Result<Self, Error> {
        let plan = FusionPlan::new(graph)?;
        let runner = match plan.row_sharded() {
            Some(layers) => Runner::RowSharded(RowSharded::new(layers)),
            None => Runner::Steps(Box::new(Steps::new(plan)?)),
        };
        Ok(Self { runner, width: graph.input_shape.iter().product(), trainable: graph.layout.trainable() })
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
        let loss = with_active_workers(|| match &mut self.runner {
            Runner::RowSharded(chain) => Ok(chain.gradients(parameters, inputs, loss, gradients)),
            Runner::Steps(steps) => steps.gradients(parameters, inputs, inputs.len() / self.width, loss, gradients),
        })?;
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
        outputs.clear();
        let width = self.width;
        with_active_workers(|| match &mut self.runner {
            Runner::RowSharded(chain) => {
                chain.predict(parameters, inputs, outputs);
                Ok(())
            }
            Runner::Steps(steps) => inputs
                .chunks(PREDICT_ROWS * width)
                .try_for_each(|inputs| steps.predict(parameters, inputs, inputs.len() / width, outputs)),
        })
    }
}
