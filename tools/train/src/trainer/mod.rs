//! The trainer: sets a run up, runs the fit loop, and closes the run.
//!
//! [`fit_loop`] has epochs and steps, [`validation`] metrics and what watches them, [`stopping`] limits and early
//! stopping, [`checkpointing`] saving and resuming, [`logging`] events and the console, [`finish`] the test and the
//! files of the run folder.

mod checkpointing;
mod event_log;
mod finish;
mod fit_loop;
mod git;
mod learning_rate;
mod loaders;
mod logging;
pub mod state;
mod stopping;
mod validation;

use crate::{
    console::Console,
    data::DataModule,
    device::Device,
    distributed::{Ranks, is_lost},
    inspect::summary,
    network::Network,
    run_dir::{self, Lock},
    settings::Settings,
    training_step::Learner,
};
use checkpointing::{Checkpointing, SaveWhen};
use cli::Signal;
use event_log::EventLog;
use events::Status;
use learning_rate::LearningRate;
use loaders::DataLoaders;
use logging::Reporting;
use state::TrainerState;
use std::{path::Path, time::Instant};
use stopping::{Limits, Stop};

/// How a run ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// A limit was reached, early stopping included.
    Finished,
    /// The loss, a gradient or a running statistic is not finite; the text says what to do.
    Diverged(String),
    /// SIGHUP, SIGINT or SIGTERM.
    Signal(Signal),
}

pub struct Trainer<'a> {
    settings: &'a Settings,
    data: &'a DataModule,
    /// [`DataModule::sha256`]
    data_sha256: &'a str,
    network: &'a Network,
    device: &'a Device,
    loaders: DataLoaders<'a>,
    learner: Learner,
    learning_rate: LearningRate,
    /// What a checkpoint holds beside parameters and optimizer state.
    state: TrainerState,
    checkpointing: Checkpointing,
    limits: Limits,
    reporting: Reporting,
    ranks: Ranks,
}

impl<'a> Trainer<'a> {
    /// A run before its first step; [`Self::run`] resumes from a checkpoint.
    pub fn new(
        settings: &'a Settings,
        data: &'a DataModule,
        network: &'a Network,
        device: &'a Device,
        console: Console,
        ranks: Ranks,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let parameters = network.initial_parameters(settings.trainer.seed, data)?;
        let data_sha256 = data.sha256()?;
        let loaders = DataLoaders::new(settings, data, network)?;
        // Ranks exchange gradients in the CPU's memory.
        let resident = ranks.is_alone().then_some(&loaders.train);
        let learner = Learner::new(settings, network, device, resident, parameters)?;
        let steps_per_epoch = loaders.batches_per_epoch.div_ceil(settings.trainer.accumulate_batches as usize);
        Ok(Self {
            settings,
            data,
            data_sha256,
            network,
            device,
            loaders,
            learner,
            learning_rate: LearningRate::new(settings, steps_per_epoch)?,
            state: TrainerState::new(settings, data_sha256),
            checkpointing: Checkpointing::new(settings, ranks.is_first()),
            // Last, so that until here a signal ends the process at once.
            limits: Limits::new(&settings.trainer, started)?,
            reporting: Reporting::new(console),
            ranks,
        })
    }

    /// Trains to the end, and writes the run folder, which is locked meanwhile.
    pub fn run(mut self) -> anyhow::Result<RunOutcome> {
        let writes = self.ranks.is_first() && !self.settings.trainer.fast_dev_run;
        let folder = writes.then(|| Path::new(&self.settings.trainer.run_dir));
        let lock = folder.map(Lock::take).transpose()?;
        let resumed = self.restore()?;
        // A run that has finished already is left as it is.
        let folder = folder.filter(|folder| !self.has_finished(folder));
        let has_finished = self.begin_together(lock.is_some() && folder.is_none())?;
        if !self.ranks.is_first() {
            return self.follow(has_finished);
        }
        if let Some(folder) = folder {
            self.prepare(folder)?;
        }
        let mut log = EventLog::open(folder, resumed.is_some())?;
        log.add(&self.start_event(resumed))?;
        let outcome = match (&self.state.stop_reason, has_finished) {
            (Some(done), true) => {
                let run_dir = &self.settings.trainer.run_dir;
                self.reporting.note(&format!("{run_dir}: nothing is left to train: {}", done.reason));
                log.end(Status::Finished, &done.reason).map(|()| RunOutcome::Finished)
            }
            _ => self.fit_and_finish(folder, &mut log),
        };
        self.reporting.console.finish();
        if let Err(error) = &outcome {
            // The disk that the log is on may be what failed.
            let _ = log.end(Status::Failed, &cli::describe(error));
        }
        let outcome = outcome?;
        self.ranks.finish();
        log.close(|| self.summary_line(&outcome))?;
        Ok(outcome)
    }

    /// A rank other than the first: trains alike, and neither writes nor reports.
    fn follow(mut self, has_finished: bool) -> anyhow::Result<RunOutcome> {
        let outcome = match has_finished {
            true => RunOutcome::Finished,
            false => self.fit_and_finish(None, &mut EventLog::silent())?,
        };
        self.ranks.finish();
        Ok(outcome)
    }

    /// Prepares the run folder: a finished run in it is kept as `previous/`, other files of another run are deleted.
    fn prepare(&mut self, folder: &Path) -> anyhow::Result<()> {
        // If this is killed midway, trainer.resume=last must not resume from the other run's checkpoint.
        let continues = self.checkpointing.continues_own_run();
        if !continues {
            run_dir::begin_takeover(folder)?;
        }
        if let Some(note) = run_dir::rotate(folder, self.settings, self.data_sha256, continues)? {
            self.reporting.note(&note);
        }
        let file_cost = run_dir::prepare(folder, self.settings)?;
        self.checkpointing.begin(&self.state.best, file_cost)?;
        run_dir::end_takeover(folder)
    }

    fn fit_and_finish(&mut self, folder: Option<&Path>, log: &mut EventLog) -> anyhow::Result<RunOutcome> {
        self.reporting.console.introduce(&summary::table(self.network));
        self.learning_rate.warning().iter().for_each(|warning| self.reporting.note(warning));
        self.learner.note(&self.loaders.train).iter().for_each(|note| self.reporting.note(note));
        let stop = self.fit(log).or_else(|error| {
            if is_lost(&error) {
                // In a validation: the staged state is that before it.
                self.save_staged(log)?;
            }
            Err(error)
        })?;
        match stop {
            Stop::Limit(reason) => self.finish(folder, &reason, log).map(|()| RunOutcome::Finished),
            Stop::Diverged(problem) => {
                // Staged states are from before the step that diverged.
                self.save_staged(log)?;
                log.end(Status::Failed, &problem)?;
                Ok(RunOutcome::Diverged(problem))
            }
            Stop::Signal(signal) => {
                self.save(None, SaveWhen::Now, log)?;
                log.end(Status::Killed, signal.name)?;
                Ok(RunOutcome::Signal(signal))
            }
        }
    }
}
