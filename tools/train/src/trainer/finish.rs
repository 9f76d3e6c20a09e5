//! The end of a run: the last validation, the test, and the files of the run folder.

use super::{
    Trainer,
    checkpointing::SaveWhen,
    event_log::EventLog,
    state::{Row, SavedCheckpoint},
};
use crate::{
    evaluate::{RowBatch, evaluate, named},
    run_dir,
    settings::FinalModel,
};
use anyhow::ensure;
use events::{Event, Status, Test};
use nets::{Checkpoint, Parameters};
use std::path::Path;

impl Trainer<'_> {
    /// Validates and tests the final weights, and writes the files of the run.
    pub(super) fn finish(&mut self, folder: Option<&Path>, reason: &str, log: &mut EventLog) -> anyhow::Result<()> {
        let partial_epoch = self.end_partial_epoch(log)?;
        let (epoch, step, mut parameters) = self.final_weights()?;
        // Only rank 0 has the checkpoints.
        self.ranks.broadcast(&mut parameters.values)?;
        self.save(None, SaveWhen::Now, log)?;
        let Self { learner, network, settings, ranks, .. } = self;
        let mut measure = |loader| {
            let predict = &mut |rows: &mut RowBatch<'_>, outputs: &mut Vec<f32>| {
                learner.predict_with(&parameters, rows.inputs()?, outputs)
            };
            evaluate(predict, network, &settings.trainer, loader, ranks)
        };
        let (val, test) = (measure(&self.loaders.val)?, measure(&self.loaders.test)?);
        if let Some(test) = &test {
            let metrics = named("test", test);
            log.add(&Event::Test(Test { epoch, step, metrics, time: events::now() }))?;
        }
        let model = self.network.model(parameters);
        let history = self.state.history.iter().cloned().chain(partial_epoch).collect();
        let results = run_dir::Results { model, epoch, step, history, val, test };
        if let Some(folder) = folder {
            run_dir::write(folder, self.data.test(), &results)?;
        }
        log.end(Status::Finished, reason)
    }

    /// Validates and logs an epoch that a limit cut short. Its row goes into history.csv, but not into the state: a run
    /// resumed with a higher limit completes the epoch.
    fn end_partial_epoch(&mut self, log: &mut EventLog) -> anyhow::Result<Option<Row>> {
        if self.state.batches == 0 {
            return Ok(None);
        }
        let epoch = self.state.epochs + 1;
        let val = self.validate(epoch, log)?;
        let metrics = self.log_epoch(epoch, &val, log)?;
        Ok(Some(Row::new(epoch, self.state.steps, &metrics)))
    }

    /// Epoch, step and parameters that the run ends with, by `callbacks.checkpoint.model`.
    fn final_weights(&mut self) -> anyhow::Result<(usize, usize, Parameters)> {
        let (Some(checkpoints), Some(best), FinalModel::Best) =
            (&self.checkpointing.checkpoints, self.state.best.first(), self.settings.callbacks.checkpoint.model)
        else {
            return Ok((self.state.epochs, self.state.steps, self.learner.model_parameters()?.clone()));
        };
        let parameters = match checkpoints.staged(best) {
            Some(snapshot) => snapshot.model_parameters(),
            None => read_best(&checkpoints.path(best), best)?,
        };
        Ok((best.epoch, best.step, parameters))
    }
}

/// The parameters of a best checkpoint on disk.
fn read_best(path: &Path, best: &SavedCheckpoint) -> anyhow::Result<Parameters> {
    let checkpoint = Checkpoint::read(path)?;
    ensure!(
        checkpoint.progress["steps"] == best.step,
        "{}: not the state after step {}; another run has written it",
        path.display(),
        best.step
    );
    Ok(checkpoint.measured().parameters)
}
