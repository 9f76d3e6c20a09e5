//! The training loop: epochs and steps. Beside it: what is measured, what is kept, and when a run ends.

mod checkpointing;
mod closing;
mod ending;
mod measuring;

use crate::{
    checkpoints::Checkpoints,
    data::{Data, stream},
    feed::Feed,
    folder,
    lock::Lock,
    log::Log,
    network::Network,
    previous,
    progress::{Exact, Progress, Row},
    rate::LearningRate,
    report::Report,
    settings::{Limit, Settings},
    start,
    step::{Learner, Stepped},
    summary,
};
use checkpointing::{OnDisk, When};
use cli::{Signal, Signals};
use ending::Stop;
use events::{Epoch, Event, Metrics, Status, Step};
use random::Random;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// It came to its end.
    Finished,
    /// The loss or a gradient is not finite, and nothing more can be learned; what to do.
    Diverged(String),
    /// A signal came.
    Signal(Signal),
}

pub struct Trainer<'a> {
    settings: &'a Settings,
    data: &'a Data,
    data_sha256: String,
    network: &'a Network,
    learner: Learner,
    rate: LearningRate,
    progress: Progress,
    /// The epoch that a limit cut off: told in the history, but no part of the state to go on from.
    unfinished: Option<Row>,
    /// None in a run that leaves no files.
    checkpoints: Option<Checkpoints>,
    /// The state that `last.safetensors` holds.
    on_disk: Option<OnDisk>,
    resumed: Option<PathBuf>,
    train: Feed<'a>,
    val: Feed<'a>,
    test: Feed<'a>,
    /// Batches of an epoch.
    batches: usize,
    max_epochs: Option<u64>,
    max_time: Option<Duration>,
    /// Time spent before this process, where `max_time` counts it.
    spent: Duration,
    began: Instant,
    epoch: Pace,
    signals: Signals,
    report: Report,
}

/// How fast the epoch goes, in this process.
struct Pace {
    began: Instant,
    rows: usize,
}

impl Pace {
    fn begin() -> Self {
        Self { began: Instant::now(), rows: 0 }
    }

    fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl<'a> Trainer<'a> {
    /// Everything that a run needs, at its start or where a checkpoint left off.
    pub fn new(settings: &'a Settings, data: &'a Data, network: &'a Network, report: Report) -> anyhow::Result<Self> {
        let began = Instant::now();
        let trainer = &settings.trainer;
        let [train_rows, val_rows, test_rows] = data.counts();
        let start = network.start(trainer.seed, data);
        let dry = trainer.fast_dev_run;
        let all = train_rows.div_ceil(trainer.batch_size);
        let batches = match trainer.overfit_batches {
            0 if dry => 1,
            0 => Limit::of(trainer.limit_train_batches, all),
            most => most.min(all),
        };
        let limit = |limit, rows: usize| match dry {
            true => trainer.batch_size,
            false => Limit::of(limit, rows.div_ceil(trainer.batch_size)).saturating_mul(trainer.batch_size),
        };
        let val = match trainer.overfit_batches {
            0 => Feed::plain(data.val(), network).limited(limit(trainer.limit_val_batches, val_rows)),
            _ => Feed::plain(data.train(), network).limited(batches.saturating_mul(trainer.batch_size)),
        };
        let train = Feed::new(data.train(), network, network.augmentation(settings, data)?);
        let test = Feed::plain(data.test(), network).limited(limit(trainer.limit_test_batches, test_rows));
        for (feed, what_for) in [(&train, "training"), (&val, "validation"), (&test, "the test")] {
            feed.check_weight(trainer.loss(), what_for)?;
        }
        network.check_batches(train_rows, trainer.batch_size, batches)?;
        let data_sha256 = data.sha256();
        Ok(Self {
            settings,
            data,
            learner: Learner::new(settings, network, start)?,
            rate: LearningRate::new(settings, batches.div_ceil(trainer.accumulate_batches as usize))?,
            progress: Progress::new(settings, &data_sha256),
            data_sha256,
            checkpoints: (!dry).then(|| Checkpoints::new(Path::new(&trainer.run_dir), &settings.callbacks.checkpoint)),
            unfinished: None,
            on_disk: None,
            resumed: None,
            train,
            val,
            test,
            batches,
            max_epochs: if dry { Some(1) } else { trainer.max_epochs },
            max_time: trainer.max_time(),
            network,
            spent: Duration::ZERO,
            began,
            epoch: Pace::begin(),
            signals: Signals::listen()?,
            report,
        })
    }

    /// Trains to the end, and writes the run folder, which is locked meanwhile.
    pub fn run(mut self) -> anyhow::Result<Ended> {
        let folder = self.checkpoints.is_some().then(|| Path::new(&self.settings.trainer.run_dir));
        let lock = folder.map(Lock::take).transpose()?;
        let resumed = self.restore()?;
        // What has come to its end already is left as it is.
        let folder = folder.filter(|folder| !self.is_done(folder));
        if let Some(folder) = folder {
            self.prepare(folder)?;
        }
        let mut log = Log::open(folder, resumed.is_some())?;
        log.add(&start::event(self.settings, self.data, &self.data_sha256, &self.learner, resumed))?;
        let ended = match (&self.progress.ended, lock.is_some() && folder.is_none()) {
            (Some(done), true) => {
                let told = format!("{}: nothing is left to train: {}", self.settings.trainer.run_dir, done.reason);
                self.report.note(&told);
                log.end(Status::Finished, &done.reason).map(|()| Ended::Finished)
            }
            _ => self.train_and_finish(folder, &mut log),
        };
        self.report.finish();
        if let Err(error) = &ended {
            // The disk that the log is on may be what failed.
            let _ = log.end(Status::Failed, &format!("{error:#}"));
        }
        let ended = ended?;
        log.close(|| self.closing(&ended))?;
        Ok(ended)
    }

    /// Makes the run folder ready: a finished run in it is kept, and what else another run has left goes.
    fn prepare(&mut self, folder: &Path) -> anyhow::Result<()> {
        // Killed in the middle of this, a run resumed from its last state must not take another's for it.
        let goes_on =
            self.checkpoints.as_ref().is_some_and(|own| self.resumed.as_deref().is_some_and(|from| own.has(from)));
        if !goes_on {
            folder::take_over(folder)?;
        }
        if let Some(told) = previous::keep(folder, self.settings, &self.data_sha256)? {
            self.report.note(&told);
        }
        let cost = folder::prepare(folder, self.settings)?;
        let (best, source) = (&self.progress.best, self.resumed.as_deref());
        self.checkpoints.as_mut().map_or(Ok(()), |checkpoints| checkpoints.begin(best, source, cost))?;
        folder::taken_over(folder)
    }

    fn train_and_finish(&mut self, folder: Option<&Path>, log: &mut Log) -> anyhow::Result<Ended> {
        self.report.introduce(&summary::table(self.network));
        self.rate.warning().iter().for_each(|warning| self.report.note(warning));
        match self.train(log)? {
            Stop::Limit(reason) => self.finish(folder, &reason, log).map(|()| Ended::Finished),
            Stop::Diverged(problem) => {
                // What waits is of the last epoch, before the weights went astray.
                self.save(log)?;
                log.end(Status::Failed, &problem)?;
                Ok(Ended::Diverged(problem))
            }
            Stop::Signal(signal) => {
                self.keep(None, When::Now, log)?;
                log.end(Status::Killed, signal.name)?;
                Ok(Ended::Signal(signal))
            }
        }
    }

    fn train(&mut self, log: &mut Log) -> anyhow::Result<Stop> {
        loop {
            if let Some(stop) = self.stop() {
                return Ok(stop);
            }
            if let Some(stop) = self.epoch(log)? {
                return Ok(stop);
            }
        }
    }

    /// One epoch, or the rest of one; less where a run is to stop before its end.
    fn epoch(&mut self, log: &mut Log) -> anyhow::Result<Option<Stop>> {
        let trainer = &self.settings.trainer;
        self.epoch = Pace::begin();
        let epoch = self.progress.epochs + 1;
        let order = self.order(epoch);
        let batches: Vec<&[usize]> = order.chunks(trainer.batch_size).take(self.batches).collect();
        let accumulate = trainer.accumulate_batches as usize;
        let steps = batches.len().div_ceil(accumulate);
        self.report.begin(epoch, self.max_epochs, steps, self.progress.batches / accumulate);
        while self.progress.batches < batches.len() {
            let end = self.progress.batches.saturating_add(accumulate).min(batches.len());
            let stepped = self.step(epoch, &batches[self.progress.batches..end], log)?;
            if !stepped.finite {
                return Ok(Some(self.diverged(epoch)));
            }
            self.progress.batches = end;
            self.epoch.rows += stepped.rows;
            if end < batches.len() {
                self.between_steps(epoch, log)?;
                if self.is_over() {
                    return Ok(None);
                }
            }
        }
        self.end_epoch(epoch, log).map(|()| None)
    }

    /// The order in which the rows of an epoch come.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let rows = self.train.count;
        if self.settings.trainer.overfit_batches > 0 {
            return (0..rows).collect();
        }
        Random::new(self.settings.trainer.seed, stream::ORDER + epoch as u64).permutation(rows)
    }

    fn step(&mut self, epoch: usize, batches: &[&[usize]], log: &mut Log) -> anyhow::Result<Stepped> {
        let learning_rate = self.rate.now(&self.progress);
        let stepped = self.learner.step(self.settings, &self.train, epoch, batches, learning_rate)?;
        if !stepped.finite {
            return Ok(stepped);
        }
        self.progress.learning_rate = Exact(learning_rate);
        self.progress.steps += 1;
        self.progress.loss_sum += stepped.loss_sum;
        self.progress.loss_rows += stepped.rows;
        self.report.step(stepped.loss());
        if (self.progress.steps as u64).is_multiple_of(self.settings.trainer.log_every_steps) {
            let metrics = Metrics::from([
                ("train_loss_step", stepped.loss()),
                ("learning_rate", learning_rate),
                ("gradient_norm", self.learner.gradient_norm()),
            ]);
            log.add(&Event::Step(Step { epoch, step: self.progress.steps, metrics, time: events::now() }))?;
        }
        Ok(stepped)
    }

    /// What happens after a step that is not an epoch's last.
    fn between_steps(&mut self, epoch: usize, log: &mut Log) -> anyhow::Result<()> {
        let steps = self.progress.steps;
        let validates = self.settings.trainer.val_every_steps.is_some_and(|n| (steps as u64).is_multiple_of(n));
        let is_due = self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.is_due_at(steps));
        let best = match validates {
            true => {
                let metrics = self.validate(epoch, log)?;
                self.measured(epoch, &metrics)?
            }
            false => None,
        };
        match (is_due, validates) {
            (true, _) => self.keep(best, When::Now, log),
            (false, true) => self.keep(best, When::Due, log),
            (false, false) => Ok(()),
        }
    }

    fn end_epoch(&mut self, epoch: usize, log: &mut Log) -> anyhow::Result<()> {
        let trainer = &self.settings.trainer;
        let due = match trainer.val_every_steps {
            Some(n) => (self.progress.steps as u64).is_multiple_of(n),
            None => (epoch as u64).is_multiple_of(trainer.val_every_epochs),
        };
        let val = if due { self.validate(epoch, log)? } else { Metrics::default() };
        let metrics = self.tell_epoch(epoch, &val, log)?;
        self.progress.history.push(Row::new(epoch, self.progress.steps, &metrics));
        self.progress.epochs = epoch;
        self.progress.batches = 0;
        (self.progress.loss_sum, self.progress.loss_rows) = (0.0, 0);
        let best = self.measured(epoch, &metrics)?;
        let is_due = self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.is_due_at(self.progress.steps));
        self.keep(best, if is_due { When::Now } else { When::Due }, log)
    }

    /// Tells how an epoch went; returns its metrics, the validation's among them.
    fn tell_epoch(&self, epoch: usize, val: &Metrics, log: &mut Log) -> anyhow::Result<Metrics> {
        let train_loss = self.progress.loss_sum / self.progress.loss_rows as f64;
        let Exact(learning_rate) = self.progress.learning_rate;
        let mut metrics = Metrics::from([("train_loss", train_loss), ("learning_rate", learning_rate)]);
        let rows_per_second = self.epoch.rows_per_second();
        let mut told = metrics.clone();
        told.insert("rows_per_second", rows_per_second);
        val.iter().for_each(|(name, value)| metrics.insert(name, value));
        let (step, seconds) = (self.progress.steps, self.began.elapsed().as_secs_f64());
        log.add(&Event::Epoch(Epoch { epoch, step, metrics: told, seconds, time: events::now() }))?;
        self.report.end(epoch, self.max_epochs, &metrics, rows_per_second);
        Ok(metrics)
    }
}
