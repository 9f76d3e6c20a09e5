//! What a run keeps of itself, and how it goes on from there.

use super::Trainer;
use crate::{
    checkpoints::{self, State, Written},
    folder,
    log::Log,
    progress::{Ended, Progress},
    step::all_finite,
};
use anyhow::{Context, bail, ensure};
use events::{Checkpoint as CheckpointEvent, Event, Metrics, Resumed};
use nets::{AVERAGE, Checkpoint};
use runs::Run;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// When a state is to be written.
#[derive(Clone, Copy, PartialEq)]
pub enum When {
    /// Once enough time has gone by since the last write.
    Due,
    Now,
}

/// Which state a file holds.
#[derive(Clone, Copy, PartialEq)]
pub struct OnDisk {
    epochs: usize,
    steps: usize,
    ended: bool,
}

impl OnDisk {
    fn of(progress: &Progress) -> Self {
        Self { epochs: progress.epochs, steps: progress.steps, ended: progress.ended.is_some() }
    }
}

impl Trainer<'_> {
    /// Resumes from the checkpoint that the settings name, if they name one that is there.
    pub(super) fn restore(&mut self) -> anyhow::Result<Option<Resumed>> {
        let Some(path) = self.source()? else { return Ok(None) };
        let Checkpoint { model, buffers, progress } = checkpoints::resume(&path)?;
        let name = path.display();
        let progress = Progress::read(progress, self.settings).with_context(|| name.to_string())?;
        progress.check(self.settings, &self.data_sha256)?;
        ensure!(model.graph == self.network.graph, "{name}: another architecture");
        let find = |wanted: &str| buffers.iter().find(|(name, _)| name == wanted).map(|(_, values)| values.clone());
        let steps = progress.steps as u64;
        let optimizer = &mut self.learner.optimizer;
        optimizer.restore(steps, find).map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
        if let Some(average) = &mut self.learner.average {
            average.values = find(AVERAGE).with_context(|| format!("{name}: the average is missing"))?;
        }
        self.learner.parameters = model.parameters;
        self.take_up(progress);
        let resumed = Resumed { path: path.display().to_string(), step: self.progress.steps };
        self.resumed = Some(path);
        Ok(Some(resumed))
    }

    /// The checkpoint to resume from. A run that was killed before its first one begins anew.
    fn source(&mut self) -> anyhow::Result<Option<PathBuf>> {
        let trainer = &self.settings.trainer;
        let (Some(resume), Some(checkpoints)) = (&trainer.resume, &self.checkpoints) else { return Ok(None) };
        let (path, folder) = (checkpoints.find(resume), Path::new(&trainer.run_dir));
        let is_another = folder::is_half_taken_over(folder);
        if resume != "last" || (path.exists() && !is_another) {
            return Ok(Some(path));
        }
        if folder::is_finished(folder) && !is_another {
            return self.without_last(folder, path);
        }
        // Where a last state is kept, best ones alone are those of a run that was killed before its first one was.
        let keeps_last = self.settings.callbacks.checkpoint.save_last;
        if let Some(latest) = checkpoints.latest().filter(|_| !is_another && !keeps_last) {
            bail!(
                "{}: trainer.resume: no such checkpoint; there is one for trainer.resume={}",
                path.display(),
                latest.display()
            );
        }
        self.report.note(&format!("{}: not there yet; the run begins at its first step", path.display()));
        Ok(None)
    }

    /// A finished run that has kept no last state (callbacks.checkpoint.save_last) can still be the same run.
    fn without_last(&mut self, folder: &Path, path: PathBuf) -> anyhow::Result<Option<PathBuf>> {
        let is_same = folder::has_settings(folder, self.settings)
            && Run::read(folder).is_ok_and(|run| run.data_sha256.as_ref() == Some(&self.data_sha256));
        ensure!(
            is_same,
            "{}: trainer.resume: no such checkpoint; the run has finished, and has kept no last state \
             (callbacks.checkpoint.save_last)",
            path.display()
        );
        self.progress.ended = Some(Ended::new("the run has finished".into(), self.settings));
        self.resumed = Some(path);
        Ok(None)
    }

    fn take_up(&mut self, progress: Progress) {
        let best = match &self.checkpoints {
            Some(checkpoints) => checkpoints.present(progress.best.clone()),
            None => Vec::new(),
        };
        if best.len() < progress.best.len() {
            self.report.say("trainer.resume: a checkpoint that was among the best is gone, and no longer counts");
        }
        let seconds = progress.seconds.filter(|_| self.max_time.is_some()).unwrap_or_default();
        self.spent = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.progress = Progress { best, ..progress };
    }

    /// Keeps the run as it stands, as one of the best states too where `best` names its file, and writes what waits
    /// when it is due.
    pub(super) fn keep(&mut self, best: Option<String>, when: When, log: &mut Log) -> anyhow::Result<()> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        let is_kept = best.is_some() || self.settings.callbacks.checkpoint.save_last;
        if is_kept && self.on_disk != Some(OnDisk::of(&self.progress)) && all_finite(&self.learner.parameters.values) {
            self.progress.seconds =
                self.max_time.map(|_| self.spent.saturating_add(self.began.elapsed()).as_secs_f64());
            checkpoints.hold(State::of(&self.learner, &mut self.progress), best);
        }
        if when == When::Now || checkpoints.is_due() { self.save(log) } else { Ok(()) }
    }

    /// Writes the states that wait.
    pub(super) fn save(&mut self, log: &mut Log) -> anyhow::Result<()> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        let (network, history) = (self.network, &self.progress.history);
        let written = checkpoints.save(|state| state.to_safetensors(network, history))?;
        for one in &written {
            self.tell_checkpoint(one, log)?;
        }
        if let Some(Written { state, .. }) = written.last() {
            self.on_disk = Some(OnDisk::of(&state.progress));
        }
        Ok(())
    }

    fn tell_checkpoint(&self, written: &Written, log: &mut Log) -> anyhow::Result<()> {
        let monitor = self.settings.callbacks.checkpoint.monitor.as_deref();
        let metrics = written.value.map(|value| Metrics::from([(self.monitor(monitor), value)])).unwrap_or_default();
        let progress = &written.state.progress;
        let epoch = progress.epochs + usize::from(progress.batches > 0);
        let (path, step, time) = (written.path.display().to_string(), progress.steps, events::now());
        log.add(&Event::Checkpoint(CheckpointEvent { epoch, step, path, metrics, time }))
    }
}
