//! The engine of all networks on CPUs, over `executor`.

use crate::{Batch, Engine, Graph, Loss, Parameters, Result};
use executor::training::TrainingExecutor;

/// Training steps whose operations are fused and planned once: see `docs/design/training-step.md`.
///
/// How a step is split over the threads depends on the shapes alone: the same bits for any number of threads.
pub struct Fused {
    executor: TrainingExecutor,
    loss: Loss,
    inputs: usize,
    outputs: usize,
}

impl Fused {
    /// An engine for a network.
    ///
    /// # Errors
    /// When one of its operations has no kernel.
    pub fn new(graph: &Graph, loss: Loss) -> Result<Self> {
        let executor = TrainingExecutor::new(graph.operations())?;
        Ok(Self { executor, loss, inputs: graph.architecture.inputs(), outputs: graph.architecture.outputs })
    }
}

impl Engine for Fused {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let Self { executor, loss, inputs, outputs: width } = self;
        let rows = batch.inputs.len() / *inputs;
        let total_weight = loss.total_weight(batch, rows);
        let loss = |range, outputs: &[f32], grad_outputs: &mut [f32]| {
            loss.add(outputs, batch.targets_of(range, rows), *width, total_weight, grad_outputs)
        };
        Ok(executor.gradients(&mut parameters.values, batch.inputs, &loss, gradients)?)
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        Ok(self.executor.predict(&parameters.values, inputs, outputs)?)
    }
}
