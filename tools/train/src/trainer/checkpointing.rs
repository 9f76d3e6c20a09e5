//! Saving a run's state, and resuming from it.

use super::{
    Trainer,
    event_log::EventLog,
    state::{SavedCheckpoint, StopReason, TrainerState},
};
use crate::{
    checkpoints::{self, Checkpoints, Snapshot, Written},
    distributed::{Beginning, read_beginning},
    run_dir,
    settings::Settings,
    training_step::all_finite,
};
use anyhow::{Context, bail, ensure};
use events::Resumed;
use nets::Checkpoint;
use runs::Run;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// When a snapshot is written.
#[derive(Clone, Copy, PartialEq)]
pub enum SaveWhen {
    /// Once `max_overhead` allows it.
    Due,
    Now,
}

/// The checkpoints folder, and what of the run is on disk.
pub struct Checkpointing {
    /// None with `trainer.fast_dev_run`, which writes no files, and on ranks other than the first.
    pub checkpoints: Option<Checkpoints>,
    /// The state that `last.safetensors` holds.
    on_disk: Option<Position>,
    /// The checkpoint that the run was resumed from.
    resumed_from: Option<PathBuf>,
}

/// A point in a run.
#[derive(Clone, Copy, PartialEq)]
struct Position {
    epochs: usize,
    steps: usize,
    stopped: bool,
}

impl Position {
    fn of(state: &TrainerState) -> Self {
        Self { epochs: state.epochs, steps: state.steps, stopped: state.stop_reason.is_some() }
    }
}

impl Checkpointing {
    /// Only the process that `writes` files has checkpoints.
    pub fn new(settings: &Settings, writes: bool) -> Self {
        let trainer = &settings.trainer;
        let checkpoints = (writes && !trainer.fast_dev_run)
            .then(|| Checkpoints::new(Path::new(&trainer.run_dir), &settings.callbacks.checkpoint));
        Self { checkpoints, on_disk: None, resumed_from: None }
    }

    pub fn is_resumed(&self) -> bool {
        self.resumed_from.is_some()
    }

    /// Whether the run was resumed from a checkpoint of its own folder.
    pub fn continues_own_run(&self) -> bool {
        self.checkpoints
            .as_ref()
            .is_some_and(|own| self.resumed_from.as_deref().is_some_and(|source| own.contains(source)))
    }

    /// Deletes another run's checkpoints. `file_cost` is how long it takes to write a small file.
    pub fn begin(&mut self, best: &[SavedCheckpoint], file_cost: Duration) -> anyhow::Result<()> {
        let source = self.resumed_from.as_deref();
        self.checkpoints.as_mut().map_or(Ok(()), |checkpoints| checkpoints.begin(best, source, file_cost))
    }

    /// Whether `last.safetensors` must be written after this many steps (`callbacks.checkpoint.every_n_steps`).
    pub fn is_due_at(&self, steps: usize) -> bool {
        self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.is_due_at(steps))
    }
}

impl Trainer<'_> {
    /// Resumes from the checkpoint of `trainer.resume`, if it is set and there.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it is of another run.
    pub(super) fn restore(&mut self) -> anyhow::Result<Option<Resumed>> {
        let Some(path) = self.resume_source()? else { return Ok(None) };
        let checkpoint = checkpoints::read(&path)?;
        self.restore_from(checkpoint, &path.display().to_string())?;
        let resumed = Resumed { path: path.display().to_string(), step: self.state.steps };
        self.checkpointing.resumed_from = Some(path);
        Ok(Some(resumed))
    }

    /// The state of a checkpoint, `name` in errors.
    fn restore_from(&mut self, checkpoint: Checkpoint, name: &str) -> anyhow::Result<()> {
        let Checkpoint { model, buffers, progress } = checkpoint;
        let state = TrainerState::read(progress, self.settings).with_context(|| name.to_owned())?;
        state.check(self.settings, self.data_sha256)?;
        ensure!(model.graph == self.network.graph, "{name}: another architecture");
        let find = |wanted: &str| buffers.iter().find(|(name, _)| name == wanted).map(|(_, values)| values.clone());
        let steps = state.steps as u64;
        self.learner.restore(model.parameters, steps, find).with_context(|| name.to_owned())?;
        self.restore_state(state);
        Ok(())
    }

    /// Takes over where rank 0 begins, which knows whether the run has finished; returns whether it has.
    pub(super) fn begin_together(&mut self, has_finished: bool) -> anyhow::Result<bool> {
        if self.ranks.is_alone() {
            return Ok(has_finished);
        }
        let own = match (has_finished, self.checkpointing.is_resumed()) {
            (true, _) => Beginning::Finished,
            (false, true) => {
                let snapshot = Snapshot::of(&mut self.learner, &mut self.state)?;
                Beginning::Resumed(snapshot.to_safetensors(self.network, &self.state.history)?)
            }
            (false, false) => Beginning::New,
        };
        match own.share(&mut self.ranks, self.network.graph.layout.len())? {
            Beginning::Finished => return Ok(true),
            Beginning::Resumed(checkpoint) if !self.ranks.is_first() => {
                self.restore_from(read_beginning(&checkpoint)?, "the checkpoint from rank 0")?;
            }
            Beginning::Resumed(_) | Beginning::New => {}
        }
        Ok(false)
    }

    /// The checkpoint to resume from. A run that was killed before its first checkpoint starts at its first step.
    fn resume_source(&mut self) -> anyhow::Result<Option<PathBuf>> {
        let trainer = &self.settings.trainer;
        let (Some(resume), Some(checkpoints)) = (&trainer.resume, &self.checkpointing.checkpoints) else {
            return Ok(None);
        };
        let (path, folder) = (checkpoints.resolve(resume), Path::new(&trainer.run_dir));
        let is_another = run_dir::is_in_takeover(folder);
        if resume != "last" || (path.exists() && !is_another) {
            return Ok(Some(path));
        }
        if run_dir::is_finished(folder) && !is_another {
            return self.finished_without_last(folder, path);
        }
        // With save_last, best checkpoints without a last one are those of a run killed before its first save ended.
        let keeps_last = self.settings.callbacks.checkpoint.save_last;
        if let Some(latest) = checkpoints.latest().filter(|_| !is_another && !keeps_last) {
            bail!(
                "{}: trainer.resume: no such checkpoint; there is one for trainer.resume={}",
                path.display(),
                latest.display()
            );
        }
        self.reporting.note(&format!("{}: not there yet; the run starts at its first step", path.display()));
        Ok(None)
    }

    /// A finished run without `last.safetensors` (callbacks.checkpoint.save_last=false) can still be the same run.
    fn finished_without_last(&mut self, folder: &Path, path: PathBuf) -> anyhow::Result<Option<PathBuf>> {
        let is_same = run_dir::has_settings(folder, self.settings)
            && Run::read(folder).is_ok_and(|run| run.data_sha256.as_deref() == Some(self.data_sha256));
        ensure!(
            is_same,
            "{}: trainer.resume: no such checkpoint; the run has finished, and has kept no last state \
             (callbacks.checkpoint.save_last)",
            path.display()
        );
        self.state.stop_reason = Some(StopReason::new("the run has finished".into(), self.settings));
        self.checkpointing.resumed_from = Some(path);
        Ok(None)
    }

    fn restore_state(&mut self, state: TrainerState) {
        let best = match &self.checkpointing.checkpoints {
            Some(checkpoints) => checkpoints.existing(state.best.clone()),
            // Another rank keeps them.
            None => state.best.clone(),
        };
        if best.len() < state.best.len() {
            let note = "trainer.resume: a checkpoint that was among the best is gone, and no longer counts";
            self.reporting.console.line(note);
        }
        self.limits.resume(state.seconds);
        self.state = TrainerState { best, ..state };
    }

    /// Stages a snapshot of the run, as one of the best too where `best` names its file; writes what is staged when it
    /// is due.
    pub(super) fn save(&mut self, best: Option<String>, when: SaveWhen, log: &mut EventLog) -> anyhow::Result<()> {
        let Checkpointing { checkpoints: Some(checkpoints), on_disk, .. } = &mut self.checkpointing else {
            return Ok(());
        };
        let is_kept = best.is_some() || self.settings.callbacks.checkpoint.save_last;
        let is_new = is_kept && *on_disk != Some(Position::of(&self.state));
        if is_new && all_finite(&self.learner.parameters()?.values) {
            self.state.seconds = self.limits.counted_seconds();
            checkpoints.stage(Snapshot::of(&mut self.learner, &mut self.state)?, best);
        }
        if when == SaveWhen::Now || checkpoints.is_due() { self.save_staged(log) } else { Ok(()) }
    }

    /// Writes the staged snapshots.
    pub(super) fn save_staged(&mut self, log: &mut EventLog) -> anyhow::Result<()> {
        let Some(checkpoints) = &mut self.checkpointing.checkpoints else { return Ok(()) };
        let (network, history) = (self.network, &self.state.history);
        let written = checkpoints.write(|snapshot| snapshot.to_safetensors(network, history))?;
        for one in &written {
            self.log_checkpoint(one, log)?;
        }
        if let Some(Written { snapshot, .. }) = written.last() {
            self.checkpointing.on_disk = Some(Position::of(&snapshot.state));
        }
        Ok(())
    }
}
