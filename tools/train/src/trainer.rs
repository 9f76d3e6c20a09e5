//! The training loop: epochs, validations, checkpoints, and when to stop.

use crate::{
    checkpoints::{self, Checkpoints},
    data::{Data, stream},
    evaluate::{evaluate, named},
    feed::Feed,
    folder,
    log::Log,
    network::Network,
    progress::{Kept, Progress, Row},
    rate::LearningRate,
    report::Report,
    settings::{FinalModel, Limit, Settings},
    start,
    step::{Learner, Stepped, all_finite},
    summary,
};
use cli::{Signal, Signals};
use events::{Checkpoint as CheckpointEvent, Epoch, Event, Metrics, Resumed, Status, Step, Test, Validation};
use kernels::random::Random;
use nets::{Checkpoint, Mode};
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

/// Why the loop ends.
enum Stop {
    Limit(String),
    Diverged(String),
    Signal(Signal),
}

pub struct Trainer<'a> {
    settings: &'a Settings,
    data: &'a Data,
    data_sha256: String,
    network: &'a Network,
    learner: Learner,
    rate: LearningRate,
    /// That of the last step.
    learning_rate: f64,
    progress: Progress,
    /// The epoch that a limit cut off: told in the history, but no part of the state to go on from.
    unfinished: Option<Row>,
    /// Epochs and steps of the last state that was saved.
    saved: Option<(usize, usize)>,
    /// None in a run that leaves no files.
    checkpoints: Option<Checkpoints>,
    resumed: Option<PathBuf>,
    train: Feed<'a>,
    val: Feed<'a>,
    test: Feed<'a>,
    /// Batches of an epoch.
    batches: usize,
    max_epochs: Option<u64>,
    max_time: Option<Duration>,
    began: Instant,
    signals: Signals,
    report: Report,
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
            learning_rate: settings.optimizer.learning_rate,
            progress: Progress::new(settings, &data_sha256),
            data_sha256,
            checkpoints: (!dry).then(|| Checkpoints::new(Path::new(&trainer.run_dir), &settings.callbacks.checkpoint)),
            unfinished: None,
            saved: None,
            resumed: None,
            train,
            val,
            test,
            batches,
            max_epochs: if dry { Some(1) } else { trainer.max_epochs },
            max_time: trainer.max_time(),
            network,
            began,
            signals: Signals::listen()?,
            report,
        })
    }

    /// Trains to the end, and writes the run folder.
    pub fn run(mut self) -> anyhow::Result<Ended> {
        let resumed = self.restore()?;
        let folder = self.checkpoints.is_some().then(|| Path::new(&self.settings.trainer.run_dir));
        if let (Some(folder), Some(checkpoints)) = (folder, &self.checkpoints) {
            folder::prepare(folder, self.settings)?;
            checkpoints.clear(&self.progress.best, self.resumed.as_deref())?;
        }
        let mut log = Log::open(folder, resumed.is_some())?;
        log.add(&start::event(self.settings, self.data, &self.data_sha256, &self.learner, resumed))?;
        self.report.introduce(&summary::table(self.network));
        self.rate.warning().iter().for_each(|warning| self.report.say(&format!("train: {warning}")));
        let ended = match self.train(&mut log) {
            Ok(Stop::Limit(reason)) => self.finish(folder, &reason, &mut log).map(|()| Ended::Finished),
            Ok(Stop::Diverged(problem)) => {
                log.end(Status::Failed, &problem)?;
                Ok(Ended::Diverged(problem))
            }
            Ok(Stop::Signal(signal)) => {
                log.end(Status::Killed, signal.name)?;
                Ok(Ended::Signal(signal))
            }
            Err(error) => Err(error),
        };
        self.report.finish();
        if let Err(error) = &ended {
            // The disk that the log is on may be what failed.
            let _ = log.end(Status::Failed, &format!("{error:#}"));
        }
        let ended = ended?;
        log.close()?;
        Ok(ended)
    }

    /// Goes on from the checkpoint that the settings name, if they name one.
    fn restore(&mut self) -> anyhow::Result<Option<Resumed>> {
        let (Some(resume), Some(checkpoints)) = (&self.settings.trainer.resume, &self.checkpoints) else {
            return Ok(None);
        };
        let path = checkpoints.find(resume);
        let Checkpoint { model, buffers, progress } = checkpoints::resume(&path)?;
        let name = path.display();
        let progress: Progress = serde_json::from_value(progress)
            .map_err(|problem| anyhow::anyhow!("{name}: no state of a training run: {problem}"))?;
        progress.check(self.settings, &self.data_sha256)?;
        anyhow::ensure!(model.graph == self.network.graph, "{name}: another architecture");
        let find = |wanted: &str| buffers.iter().find(|(name, _)| name == wanted).map(|(_, values)| values.clone());
        let steps = progress.steps as u64;
        let optimizer = &mut self.learner.optimizer;
        optimizer.restore(steps, find).map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
        if let Some(average) = &mut self.learner.average {
            average.values = find(AVERAGE).ok_or_else(|| anyhow::anyhow!("{name}: the average is missing"))?;
        }
        self.learner.parameters = model.parameters;
        let known = progress.best.len();
        self.progress = Progress { best: checkpoints.present(progress.best.clone()), ..progress };
        if self.progress.best.len() < known {
            self.report.say("trainer.resume: a checkpoint that was among the best is gone, and no longer counts");
        }
        let resumed = Resumed { path: path.display().to_string(), step: self.progress.steps };
        self.resumed = Some(path);
        Ok(Some(resumed))
    }

    fn train(&mut self, log: &mut Log) -> anyhow::Result<Stop> {
        loop {
            if self.max_epochs.is_some_and(|most| self.progress.epochs as u64 >= most) {
                return Ok(Stop::Limit("max_epochs reached".into()));
            }
            if let Some(stop) = self.limit_reached() {
                return Ok(stop);
            }
            if let Some(stop) = self.epoch(log)? {
                return Ok(stop);
            }
        }
    }

    /// One epoch, or the rest of one.
    fn epoch(&mut self, log: &mut Log) -> anyhow::Result<Option<Stop>> {
        let (began, trainer) = (Instant::now(), &self.settings.trainer);
        let epoch = self.progress.epochs + 1;
        let order = self.order(epoch);
        let batches: Vec<&[usize]> = order.chunks(trainer.batch_size).take(self.batches).collect();
        let accumulate = trainer.accumulate_batches as usize;
        let steps = batches.len().div_ceil(accumulate);
        self.report.begin(epoch, self.max_epochs, steps, self.progress.batches / accumulate);
        let mut rows = 0;
        while self.progress.batches < batches.len() {
            let end = self.progress.batches.saturating_add(accumulate).min(batches.len());
            let stepped = self.step(epoch, &batches[self.progress.batches..end], log)?;
            if !stepped.finite {
                return Ok(Some(self.diverged(epoch)));
            }
            self.progress.batches = end;
            rows += stepped.rows;
            let in_the_middle = end < batches.len();
            if in_the_middle && let Some(stop) = self.between_steps(epoch, began, rows, log)? {
                return Ok(Some(stop));
            }
        }
        self.end_epoch(epoch, rows as f64 / began.elapsed().as_secs_f64(), log)
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
        self.learning_rate = learning_rate;
        let stepped = self.learner.step(self.settings, &self.train, epoch, batches, learning_rate)?;
        if !stepped.finite {
            return Ok(stepped);
        }
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
    fn between_steps(
        &mut self,
        epoch: usize,
        began: Instant,
        rows: usize,
        log: &mut Log,
    ) -> anyhow::Result<Option<Stop>> {
        let due = self.settings.trainer.val_every_steps;
        let (mut val, mut stop) = (None, None);
        if due.is_some_and(|n| (self.progress.steps as u64).is_multiple_of(n)) {
            let metrics = self.validate(epoch, log)?;
            stop = self.measured(epoch, &metrics, log)?;
            val = Some(metrics);
        }
        if self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.is_due(self.progress.steps)) {
            self.save_last(epoch, log)?;
        }
        let stop = stop.or_else(|| self.limit_reached());
        if let Some(stop) = &stop {
            // A resumed run goes on in the middle of this epoch, as if nothing had been.
            self.save_last(epoch, log)?;
            if matches!(stop, Stop::Limit(_)) {
                let val = val.map_or_else(|| self.validate(epoch, log), Ok)?;
                let metrics = self.tell_epoch(epoch, &val, rows as f64 / began.elapsed().as_secs_f64(), log)?;
                self.unfinished = Some(Row::new(epoch, self.progress.steps, &metrics));
            }
        }
        Ok(stop)
    }

    fn end_epoch(&mut self, epoch: usize, rows_per_second: f64, log: &mut Log) -> anyhow::Result<Option<Stop>> {
        let trainer = &self.settings.trainer;
        let due = match trainer.val_every_steps {
            Some(n) => (self.progress.steps as u64).is_multiple_of(n),
            None => (epoch as u64).is_multiple_of(trainer.val_every_epochs),
        };
        let val = if due { self.validate(epoch, log)? } else { Metrics::default() };
        let metrics = self.tell_epoch(epoch, &val, rows_per_second, log)?;
        self.progress.history.push(Row::new(epoch, self.progress.steps, &metrics));
        self.progress.epochs = epoch;
        self.progress.batches = 0;
        (self.progress.loss_sum, self.progress.loss_rows) = (0.0, 0);
        let stop = self.measured(epoch, &metrics, log)?;
        self.save_last(epoch, log)?;
        Ok(stop)
    }

    /// Tells how an epoch went; returns its metrics, the validation's among them.
    fn tell_epoch(&self, epoch: usize, val: &Metrics, rows_per_second: f64, log: &mut Log) -> anyhow::Result<Metrics> {
        let train_loss = self.progress.loss_sum / self.progress.loss_rows as f64;
        let mut metrics = Metrics::from([("train_loss", train_loss), ("learning_rate", self.learning_rate)]);
        let mut told = metrics.clone();
        told.insert("rows_per_second", rows_per_second);
        val.iter().for_each(|(name, value)| metrics.insert(name, value));
        let (step, seconds) = (self.progress.steps, self.began.elapsed().as_secs_f64());
        log.add(&Event::Epoch(Epoch { epoch, step, metrics: told, seconds, time: events::now() }))?;
        self.report.end(epoch, self.max_epochs, &metrics, rows_per_second);
        Ok(metrics)
    }

    /// Measures the model on the validation rows; no metrics where there are none.
    fn validate(&mut self, epoch: usize, log: &mut Log) -> anyhow::Result<Metrics> {
        let Learner { engine, average, parameters, .. } = &mut self.learner;
        let parameters = average.as_ref().unwrap_or(parameters);
        let measured = evaluate(engine.as_mut(), self.network, &self.settings.trainer, parameters, &self.val)?;
        let Some(measured) = measured else { return Ok(Metrics::default()) };
        let metrics = named("val", &measured);
        let step = self.progress.steps;
        log.add(&Event::Validation(Validation { epoch, step, metrics: metrics.clone(), time: events::now() }))?;
        Ok(metrics)
    }

    /// What follows from new metrics: the learning rate, the best checkpoints, whether to stop early.
    fn measured(&mut self, epoch: usize, metrics: &Metrics, log: &mut Log) -> anyhow::Result<Option<Stop>> {
        if let Some((monitor, _)) = self.settings.scheduler.plateau()
            && let Some(value) = self.monitored("scheduler", monitor, metrics)?
        {
            self.rate.measure(value, &mut self.progress);
        }
        let stop = self.stops_early(metrics)?;
        self.keep_if_best(epoch, metrics, log)?;
        Ok(stop)
    }

    fn stops_early(&mut self, metrics: &Metrics) -> anyhow::Result<Option<Stop>> {
        let stopping = &self.settings.callbacks.early_stopping;
        let Some(patience) = stopping.patience else { return Ok(None) };
        let monitor = stopping.monitor.as_deref();
        let Some(value) = self.monitored("callbacks.early_stopping", monitor, metrics)? else { return Ok(None) };
        let waiting = &mut self.progress.stopping;
        let mode = stopping.direction();
        if mode.improves(value, waiting.best, stopping.min_delta) {
            (waiting.best, waiting.waited) = (value, 0);
            return Ok(None);
        }
        waiting.waited += 1;
        if waiting.waited < patience {
            return Ok(None);
        }
        let (best, side) = (waiting.best, if mode == Mode::Min { "below" } else { "above" });
        let monitor = self.monitor(monitor);
        let reason = format!("early stopping: {monitor} has not come {side} {best} in {patience} measurements");
        Ok(Some(Stop::Limit(reason)))
    }

    /// The metric that a callback watches.
    fn monitor<'m>(&self, given: Option<&'m str>) -> &'m str {
        given.unwrap_or(if self.val.count > 0 { "val_loss" } else { "train_loss" })
    }

    /// Its value, where these metrics have it. A name that no metric has is an error at the end of
    /// the first epoch, not a callback that never acts.
    fn monitored(&self, who: &str, given: Option<&str>, metrics: &Metrics) -> anyhow::Result<Option<f64>> {
        let name = self.monitor(given);
        let value = metrics.get(name);
        let complete =
            metrics.get("train_loss").is_some() && (self.val.count == 0 || metrics.get("val_loss").is_some());
        if value.is_none() && complete {
            let known: Vec<&str> = metrics.iter().map(|(name, _)| name).collect();
            anyhow::bail!("{who}.monitor: {name} is no metric of this run; there are {}", known.join(", "));
        }
        Ok(value)
    }

    fn keep_if_best(&mut self, epoch: usize, metrics: &Metrics, log: &mut Log) -> anyhow::Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        let monitor = self.settings.callbacks.checkpoint.monitor.as_deref();
        let Some(value) = self.monitored("callbacks.checkpoint", monitor, metrics)? else { return Ok(()) };
        if !checkpoints.is_among_best(value, &self.progress.best) || !all_finite(&self.learner.parameters.values) {
            return Ok(());
        }
        let step = self.progress.steps;
        let file = checkpoints.file_name(epoch, step, value, metrics)?;
        let kept = Kept { file: file.clone(), epoch, step, value };
        let mut best = self.progress.best.clone();
        let gone = checkpoints.rank(kept, &mut best);
        self.progress.best = best;
        let path = checkpoints.save(&file, &self.checkpoint())?;
        self.tell_checkpoint(epoch, &path, Metrics::from([(self.monitor(monitor), value)]), log)?;
        // Those that were overtaken go last: the state to resume from must not name what is gone.
        if !gone.is_empty() {
            self.save_last(epoch, log)?;
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.remove(&gone)?;
            }
        }
        Ok(())
    }

    fn save_last(&mut self, epoch: usize, log: &mut Log) -> anyhow::Result<()> {
        let Some(checkpoints) = self.checkpoints.as_ref().filter(|checkpoints| checkpoints.saves_last()) else {
            return Ok(());
        };
        let now = (self.progress.epochs, self.progress.steps);
        if self.saved == Some(now) || !all_finite(&self.learner.parameters.values) {
            return Ok(());
        }
        let path = checkpoints.save_last(&self.checkpoint())?;
        self.saved = Some(now);
        self.tell_checkpoint(epoch, &path, Metrics::default(), log)
    }

    fn tell_checkpoint(&self, epoch: usize, path: &Path, metrics: Metrics, log: &mut Log) -> anyhow::Result<()> {
        let (path, step, time) = (path.display().to_string(), self.progress.steps, events::now());
        log.add(&Event::Checkpoint(CheckpointEvent { epoch, step, path, metrics, time }))
    }

    /// The run as it stands.
    fn checkpoint(&self) -> Checkpoint {
        let memory = self.learner.optimizer.memory().map(|(name, values)| (name.to_owned(), values.to_vec()));
        let average = self.learner.average.iter().map(|average| (AVERAGE.to_owned(), average.values.clone()));
        Checkpoint {
            model: self.network.model(self.learner.parameters.clone()),
            buffers: memory.chain(average).collect(),
            progress: serde_json::to_value(&self.progress).expect("text, numbers and JSON values only"),
        }
    }

    fn limit_reached(&self) -> Option<Stop> {
        if let Some(signal) = self.signals.received() {
            return Some(Stop::Signal(signal));
        }
        if self.settings.trainer.max_steps.is_some_and(|most| self.progress.steps as u64 >= most) {
            return Some(Stop::Limit("max_steps reached".into()));
        }
        let over = self.max_time.is_some_and(|most| self.began.elapsed() >= most);
        over.then(|| Stop::Limit("max_time reached".into()))
    }

    fn diverged(&self, epoch: usize) -> Stop {
        let step = self.progress.steps + 1;
        let kept = match self.progress.best.is_empty() {
            true => "",
            false => "; the checkpoints hold the last good weights",
        };
        Stop::Diverged(format!(
            "the loss or a gradient is not finite in epoch {epoch}, step {step}; a lower optimizer.learning_rate or \
             trainer.clip_norm may help{kept}"
        ))
    }

    /// Tests the weights that the run ends with, and writes the folder.
    fn finish(&mut self, folder: Option<&Path>, reason: &str, log: &mut Log) -> anyhow::Result<()> {
        let mut kept = (self.progress.epochs, self.progress.steps, self.learner.best_known().clone());
        if self.settings.callbacks.checkpoint.model == FinalModel::Best
            && let (Some(checkpoints), Some(best)) = (&self.checkpoints, self.progress.best.first())
        {
            let Checkpoint { model, buffers, .. } = checkpoints.read(best)?;
            let mut parameters = model.parameters;
            if let Some((_, average)) = buffers.into_iter().find(|(name, _)| name == AVERAGE) {
                parameters.values = average;
            }
            kept = (best.epoch, best.step, parameters);
        }
        let (epoch, step, parameters) = kept;
        let engine = self.learner.engine.as_mut();
        let mut measure = |rows| evaluate(engine, self.network, &self.settings.trainer, &parameters, rows);
        let (val, test) = (measure(&self.val)?, measure(&self.test)?);
        if let Some(test) = &test {
            let metrics = named("test", test);
            log.add(&Event::Test(Test { epoch, step, metrics, time: events::now() }))?;
        }
        let model = self.network.model(parameters);
        let history = self.progress.history.iter().chain(&self.unfinished).cloned().collect();
        let outcome = folder::Outcome { model, epoch, step, history, val, test };
        if let Some(folder) = folder {
            folder::write(folder, self.data.test(), &outcome)?;
        }
        log.end(Status::Finished, reason)
    }
}

/// The buffer of the moving average.
const AVERAGE: &str = "average";
