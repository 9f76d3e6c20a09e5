//! Logging: the events of a run, its lines on standard error, and the closing line in a terminal.

use super::{RunOutcome, Trainer, event_log::EventLog, git, state::Exact};
use crate::{
    checkpoints::Written,
    console::{self, Console},
    run_dir::MODEL,
    settings::FinalModel,
    training_step::StepOutput,
};
use events::{Checkpoint, Epoch, Event, Metrics, Resumed, RowCounts, Start, Step};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Runs of at least this duration are shown in hours, minutes and seconds.
const MINUTE: Duration = Duration::from_secs(60);

/// The console, and the speed of the current epoch.
pub struct Reporting {
    pub console: Console,
    pub throughput: Throughput,
}

impl Reporting {
    pub fn new(console: Console) -> Self {
        Self { console, throughput: Throughput::start() }
    }

    /// A line on standard error, behind the tool's name.
    pub fn note(&self, text: &str) {
        self.console.note(text);
    }
}

/// Training rows per second of an epoch, in this process.
pub struct Throughput {
    started: Instant,
    pub rows: usize,
}

impl Throughput {
    pub fn start() -> Self {
        Self { started: Instant::now(), rows: 0 }
    }

    fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.started.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Trainer<'_> {
    /// The first event: settings, data, code and machine.
    pub(super) fn start_event(&self, resumed: Option<Resumed>) -> Event {
        let [train, val, test] = self.data.counts();
        let trainer = &self.settings.trainer;
        Event::Start(Box::new(Start {
            name: run_name(&trainer.run_dir),
            run_dir: trainer.run_dir.clone(),
            config: self.settings.json.clone(),
            seed: trainer.seed,
            device: self.device.to_string(),
            threads: rayon::current_num_threads(),
            rows: RowCounts { train, val, test },
            data_sha256: self.data_sha256.to_owned(),
            parameters: self.network.graph.layout.len(),
            git: git::state(),
            resumed,
            version: env!("CARGO_PKG_VERSION").into(),
            time: events::now(),
        }))
    }

    /// Updates the progress bar; every `trainer.log_every_steps` steps adds an event.
    pub(super) fn log_step(
        &mut self,
        epoch: usize,
        output: &StepOutput,
        learning_rate: f64,
        log: &mut EventLog,
    ) -> anyhow::Result<()> {
        self.reporting.console.step(output.loss());
        let step = self.state.steps;
        if !(step as u64).is_multiple_of(self.settings.trainer.log_every_steps) {
            return Ok(());
        }
        let metrics = Metrics::from([
            ("train_loss_step", output.loss()),
            ("learning_rate", learning_rate),
            ("gradient_norm", self.learner.gradient_norm()?),
        ]);
        log.add(&Event::Step(Step { epoch, step, metrics, time: events::now() }))
    }

    /// Logs an epoch; returns its metrics, those of the validation `val` included.
    pub(super) fn log_epoch(&self, epoch: usize, val: &Metrics, log: &mut EventLog) -> anyhow::Result<Metrics> {
        let train_loss = self.state.loss_sum / self.state.loss_rows as f64;
        let Exact(learning_rate) = self.state.learning_rate;
        let mut metrics = Metrics::from([("train_loss", train_loss), ("learning_rate", learning_rate)]);
        let rows_per_second = self.reporting.throughput.rows_per_second();
        let mut logged = metrics.clone();
        logged.insert("rows_per_second", rows_per_second);
        val.iter().for_each(|(name, value)| metrics.insert(name, value));
        let (step, seconds) = (self.state.steps, self.limits.started.elapsed().as_secs_f64());
        log.add(&Event::Epoch(Epoch { epoch, step, metrics: logged, seconds, time: events::now() }))?;
        self.reporting.console.end_epoch(epoch, self.limits.max_epochs, &metrics, rows_per_second);
        Ok(metrics)
    }

    pub(super) fn log_checkpoint(&self, written: &Written, log: &mut EventLog) -> anyhow::Result<()> {
        let monitor = self.settings.callbacks.checkpoint.monitor.as_deref();
        let metrics = written.value.map(|value| Metrics::from([(self.monitor(monitor), value)])).unwrap_or_default();
        let state = &written.snapshot.state;
        let epoch = state.epochs + usize::from(state.batches > 0);
        let (path, step, time) = (written.path.display().to_string(), state.steps, events::now());
        log.add(&Event::Checkpoint(Checkpoint { epoch, step, path, metrics, time }))
    }

    /// The closing line in a terminal: how the run ended, the best metric, where the model is, the time.
    /// None after divergence, which is reported as an error.
    pub(super) fn summary_line(&self, outcome: &RunOutcome) -> Option<String> {
        let state = &self.state;
        let (reason, result) = match outcome {
            RunOutcome::Finished => (state.stop_reason.as_ref()?.reason.clone(), self.model_of_epoch()),
            RunOutcome::Signal(signal) => (format!("{} at step {}", signal.name, state.steps), self.how_to_resume()),
            RunOutcome::Diverged(_) => return None,
        };
        let time = human_time(self.limits.time_spent());
        let parts = [self.best_metric().map(|best| format!("; {best}")), result.map(|result| format!("; {result}"))];
        Some(format!("{reason}{}; {time}\n", parts.into_iter().flatten().collect::<String>()))
    }

    /// The monitored metric of the best checkpoint; without checkpoints, that of the last epoch.
    fn best_metric(&self) -> Option<String> {
        let monitor = self.monitor(self.settings.callbacks.checkpoint.monitor.as_deref());
        let (which, value, epoch) = match self.state.best.first() {
            Some(best) => ("best", best.value, best.epoch),
            None => self.state.history.last().and_then(|row| Some(("last", row.get(monitor)?, row.epoch)))?,
        };
        Some(format!("{which} {monitor} {} (epoch {epoch})", console::short(value)))
    }

    fn model_of_epoch(&self) -> Option<String> {
        self.checkpointing.checkpoints.as_ref()?;
        let epoch = match (self.settings.callbacks.checkpoint.model, self.state.best.first()) {
            (FinalModel::Best, Some(best)) => best.epoch,
            _ => self.state.epochs,
        };
        let path = Path::new(&self.settings.trainer.run_dir).join(MODEL);
        Some(format!("{} has the weights of epoch {epoch}", path.display()))
    }

    fn how_to_resume(&self) -> Option<String> {
        let is_saved = self.checkpointing.checkpoints.is_some() && self.settings.callbacks.checkpoint.save_last;
        is_saved.then(|| "resume with trainer.resume=last".to_owned())
    }
}

/// The last part of the run folder's path.
fn run_name(run_dir: &str) -> String {
    Path::new(run_dir).file_name().map_or_else(|| run_dir.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn human_time(time: Duration) -> String {
    if time < MINUTE { format!("{:.1} s", time.as_secs_f64()) } else { cli::clock(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_seconds_below_a_minute() {
        let cases = [(1_240, "1.2 s"), (59_900, "59.9 s"), (60_000, "00:01:00"), (3_723_000, "01:02:03")];
        for (milliseconds, expected) in cases {
            assert_eq!(human_time(Duration::from_millis(milliseconds)), expected);
        }
    }
}
