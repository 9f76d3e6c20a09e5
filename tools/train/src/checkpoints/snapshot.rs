//! A copy of everything that a checkpoint file holds, taken between two steps.

use crate::{
    network::Network,
    trainer::state::{Row, TrainerState},
    training_step::Learner,
};
use nets::{AVERAGE, Checkpoint, Parameters};

/// Parameters, optimizer state, moving average and trainer state.
pub struct Snapshot {
    pub parameters: Parameters,
    /// Optimizer state and moving average by name, each of the parameters' length.
    buffers: Vec<(String, Vec<f32>)>,
    /// Its history is left out: the run's only grows, and `history_len` rows of it are this snapshot's.
    pub state: TrainerState,
    history_len: usize,
}

impl Snapshot {
    /// Leaves `state` as it was; it is mutable so that its history need not be copied.
    pub fn of(learner: &mut Learner, state: &mut TrainerState) -> anyhow::Result<Self> {
        let (buffers, parameters) = (learner.buffers()?, learner.parameters()?.clone());
        let history = std::mem::take(&mut state.history);
        let snapshot = Self { parameters, buffers, state: state.clone(), history_len: history.len() };
        state.history = history;
        Ok(snapshot)
    }

    /// The moving average, where `trainer.ema_decay` keeps one; otherwise the parameters.
    pub fn model_parameters(&self) -> Parameters {
        let average = self.buffers.iter().find(|(name, _)| name == AVERAGE);
        let values = average.map_or(&self.parameters.values, |(_, values)| values).clone();
        Parameters { layout: self.parameters.layout.clone(), values }
    }

    /// The checkpoint file; `history` is the run's, which may have grown since.
    pub fn to_safetensors(&self, network: &Network, history: &[Row]) -> anyhow::Result<Vec<u8>> {
        let state = TrainerState { history: history[..self.history_len].to_vec(), ..self.state.clone() };
        let checkpoint = Checkpoint {
            model: network.model(self.parameters.clone()),
            buffers: self.buffers.clone(),
            progress: serde_json::to_value(&state).expect("text, numbers and JSON values only"),
        };
        Ok(checkpoint.to_safetensors()?)
    }
}
