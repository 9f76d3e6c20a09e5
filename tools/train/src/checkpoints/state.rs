//! The state of a run at one moment.

use crate::{
    network::Network,
    progress::{Progress, Row},
    step::Learner,
};
use nets::{AVERAGE, Checkpoint, Parameters};

/// What a checkpoint file is made of.
pub struct State {
    pub parameters: Parameters,
    /// Optimizer state and moving average, each as long as the parameters.
    buffers: Vec<(String, Vec<f32>)>,
    /// Without the history, which only grows: a state holds how much of it there was.
    pub progress: Progress,
    epochs_logged: usize,
}

impl State {
    /// The run as it stands.
    pub fn of(learner: &Learner, progress: &mut Progress) -> Self {
        let optimizer = learner.optimizer.state().map(|(name, values)| (name.to_owned(), values.to_vec()));
        let average = learner.average.iter().map(|average| (AVERAGE.to_owned(), average.values.clone()));
        let history = std::mem::take(&mut progress.history);
        let state = Self {
            parameters: learner.parameters.clone(),
            buffers: optimizer.chain(average).collect(),
            progress: progress.clone(),
            epochs_logged: history.len(),
        };
        progress.history = history;
        state
    }

    /// The parameters that the model is to have: the average, where one is kept.
    pub fn model_parameters(&self) -> Parameters {
        let average = self.buffers.iter().find(|(name, _)| name == AVERAGE);
        let values = average.map_or(&self.parameters.values, |(_, values)| values).clone();
        Parameters { layout: self.parameters.layout.clone(), values }
    }

    /// The bytes of its file; `history` is that of the run, which may have gone on since.
    pub fn to_safetensors(&self, network: &Network, history: &[Row]) -> anyhow::Result<Vec<u8>> {
        let progress = Progress { history: history[..self.epochs_logged].to_vec(), ..self.progress.clone() };
        let checkpoint = Checkpoint {
            model: network.model(self.parameters.clone()),
            buffers: self.buffers.clone(),
            progress: serde_json::to_value(&progress).expect("text, numbers and JSON values only"),
        };
        Ok(checkpoint.to_safetensors()?)
    }
}
