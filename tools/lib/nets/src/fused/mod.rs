//! Multilayer perceptrons: forward, loss and backward without a graph, in buffers that are allocated once.

mod narrow;
mod wide;

use crate::{Batch, Engine, Graph, Loss, Parameters, Result};
use narrow::Narrow;
use wide::Wide;

/// Fewest weights of a network whose products are split over the threads. With fewer, a step of a usual batch is so short
/// that handing over each product costs more than it saves.
const WIDE_WEIGHTS: usize = 1 << 16;

/// The engine of multilayer perceptrons ([`Architecture::as_perceptron`](crate::Architecture::as_perceptron)).
///
/// How a step is split over the threads depends on the shapes alone: the same bits for any number of threads.
pub struct FusedMlp(Split);

enum Split {
    Narrow(Narrow),
    Wide(Wide),
}

impl FusedMlp {
    /// An engine for a network, if it is a multilayer perceptron.
    pub fn new(graph: &Graph, loss: Loss) -> Option<Self> {
        let perceptron = graph.architecture.as_perceptron()?;
        let widths = [&[perceptron.inputs], &perceptron.hidden[..], &[perceptron.outputs]].concat();
        let weights = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])).fold(0, usize::saturating_add);
        Some(Self(if weights < WIDE_WEIGHTS {
            Split::Narrow(Narrow::new(perceptron, loss))
        } else {
            Split::Wide(Wide::new(perceptron, loss))
        }))
    }

    fn engine(&mut self) -> &mut dyn Engine {
        match &mut self.0 {
            Split::Narrow(engine) => engine,
            Split::Wide(engine) => engine,
        }
    }
}

impl Engine for FusedMlp {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        self.engine().gradients(parameters, batch, gradients)
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        self.engine().predict(parameters, inputs, outputs)
    }
}
