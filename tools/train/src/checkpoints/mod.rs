//! The checkpoints folder: which snapshots are kept, when they are written, which file a run resumes from.
//!
//! A snapshot stays in memory, staged, until a write is due. The files are consistent at every moment:
//! `last.safetensors` is replaced after the best checkpoints that it names exist, and outranked ones are deleted after
//! that.

mod filename;
mod snapshot;

pub use filename::{check_template, file_name};
pub use snapshot::Snapshot;

use crate::{settings::CheckpointSettings, trainer::state::SavedCheckpoint};
use anyhow::{Context, ensure};
use filename::EXTENSION;
use metrics::Direction;
use nets::Checkpoint;
use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// The folder, within that of the run.
pub const FOLDER: &str = "checkpoints";
/// The checkpoint of `trainer.resume=last`.
const LAST: &str = "last.safetensors";
/// Best snapshots staged before a write is due whatever `max_overhead` says: with `save_top_k=-1` they are unbounded.
const MAX_STAGED: usize = 16;

pub struct Checkpoints {
    folder: PathBuf,
    settings: CheckpointSettings,
    /// Best snapshots that are not on disk yet, by file name.
    staged_best: Vec<(String, Rc<Snapshot>)>,
    /// The latest snapshot, if it is not on disk yet.
    staged_last: Option<Rc<Snapshot>>,
    /// File names of the best, on disk or staged.
    ranked: Vec<String>,
    /// Files of best checkpoints that this run has on disk.
    files: Vec<String>,
    /// Duration of the last write, and when it ended.
    write_cost: Duration,
    written: Instant,
}

/// A checkpoint file that was written.
pub struct Written {
    pub path: PathBuf,
    pub snapshot: Rc<Snapshot>,
    /// Value of the monitored metric, of a best one.
    pub value: Option<f64>,
}

impl Checkpoints {
    /// The checkpoints of a run folder; touches no file.
    pub fn new(run_dir: &Path, settings: &CheckpointSettings) -> Self {
        Self {
            folder: run_dir.join(FOLDER),
            settings: settings.clone(),
            staged_best: Vec::new(),
            staged_last: None,
            ranked: Vec::new(),
            files: Vec::new(),
            write_cost: Duration::ZERO,
            written: Instant::now(),
        }
    }

    /// The file that `trainer.resume` names: `last`, or a path.
    pub fn resolve(&self, resume: &str) -> PathBuf {
        if resume == "last" { self.folder.join(LAST) } else { PathBuf::from(resume) }
    }

    /// Whether a file is in this folder.
    pub fn contains(&self, path: &Path) -> bool {
        path.parent().is_some_and(|folder| same_file(folder, &self.folder))
    }

    /// The checkpoint file that was modified last.
    pub fn latest(&self) -> Option<PathBuf> {
        let entries = self.folder.read_dir().into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|path| is_checkpoint(path));
        files.max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok())
    }

    /// Starts a run: deletes the checkpoint files that are neither among `kept` nor `source`. `file_cost` is how long
    /// it takes to write a small file.
    pub fn begin(
        &mut self,
        kept: &[SavedCheckpoint],
        source: Option<&Path>,
        file_cost: Duration,
    ) -> anyhow::Result<()> {
        self.delete_others(kept, source)?;
        self.files = kept.iter().map(|kept| kept.file.clone()).collect();
        self.ranked.clone_from(&self.files);
        // A best and a last checkpoint.
        self.write_cost = file_cost * 2;
        self.written = Instant::now();
        Ok(())
    }

    fn delete_others(&self, kept: &[SavedCheckpoint], source: Option<&Path>) -> anyhow::Result<()> {
        if self.folder.is_dir() {
            files::remove_stale_in(&self.folder)?;
        }
        let entries = match self.folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| self.folder.display().to_string()),
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|name| name.ends_with(EXTENSION)) else { continue };
            let is_source = source.is_some_and(|source| same_file(source, &path));
            if !is_source && !kept.iter().any(|kept| kept.file == name) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Those of `kept` whose files exist.
    pub fn existing(&self, kept: Vec<SavedCheckpoint>) -> Vec<SavedCheckpoint> {
        kept.into_iter().filter(|kept| self.folder.join(&kept.file).is_file()).collect()
    }

    /// Whether `last.safetensors` is due after `steps` steps (`every_n_steps`).
    pub fn is_due_at(&self, steps: usize) -> bool {
        self.settings.save_last && self.settings.every_n_steps.is_some_and(|n| (steps as u64).is_multiple_of(n))
    }

    /// Whether a write now keeps the share of the run's time that goes to writes below `max_overhead`.
    pub fn is_due(&self) -> bool {
        let is_past = |share: f64| self.written.elapsed().as_secs_f64() >= self.write_cost.as_secs_f64() / share;
        self.staged_best.len() >= MAX_STAGED || self.settings.max_overhead.is_none_or(is_past)
    }

    /// Whether a checkpoint of this value is among the `save_top_k` best.
    pub fn is_among_best(&self, value: f64, best: &[SavedCheckpoint]) -> bool {
        match self.settings.save_top_k {
            // All are kept, NaN included.
            -1 => true,
            k if (best.len() as i64) < k => !value.is_nan(),
            0 => false,
            _ => best.last().is_some_and(|worst| self.direction().improves(value, worst.value, 0.0)),
        }
    }

    /// Inserts a checkpoint into `best` by rank, and drops those outranked.
    pub fn rank(&self, new: SavedCheckpoint, best: &mut Vec<SavedCheckpoint>) -> anyhow::Result<()> {
        ensure!(new.file != LAST, "callbacks.checkpoint.filename: {}: the name last is taken", self.settings.filename);
        best.retain(|kept| kept.file != new.file);
        let at =
            best.iter().position(|kept| self.direction().improves(new.value, kept.value, 0.0)).unwrap_or(best.len());
        best.insert(at, new);
        if let Ok(k) = usize::try_from(self.settings.save_top_k) {
            best.truncate(k);
        }
        Ok(())
    }

    fn direction(&self) -> Direction {
        self.settings.direction()
    }

    /// Stages a snapshot: as the last one, and as a best one where `best` is its file name.
    pub fn stage(&mut self, snapshot: Snapshot, best: Option<String>) {
        self.ranked = snapshot.state.best.iter().map(|kept| kept.file.clone()).collect();
        let snapshot = Rc::new(snapshot);
        self.staged_best.retain(|(file, _)| self.ranked.contains(file) && best.as_ref() != Some(file));
        self.staged_best.extend(best.map(|file| (file, Rc::clone(&snapshot))));
        self.staged_last = self.settings.save_last.then_some(snapshot);
    }

    /// The snapshot of a best checkpoint that is not on disk yet.
    pub fn staged(&self, kept: &SavedCheckpoint) -> Option<&Snapshot> {
        self.staged_best.iter().find(|(file, _)| *file == kept.file).map(|(_, snapshot)| &**snapshot)
    }

    /// Writes what is staged, each file atomically and `last.safetensors` last; then deletes outranked checkpoints.
    pub fn write(&mut self, serialize: impl Fn(&Snapshot) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<Written>> {
        let began = Instant::now();
        let last = self.staged_last.take().map(|snapshot| (LAST.to_owned(), snapshot));
        let staged: Vec<_> = mem::take(&mut self.staged_best).into_iter().chain(last).collect();
        if staged.is_empty() {
            return Ok(Vec::new());
        }
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        // A snapshot that is both best and last is serialized once.
        let mut bytes: Vec<(&Rc<Snapshot>, Vec<u8>)> = Vec::new();
        for (_, snapshot) in &staged {
            if !bytes.iter().any(|(known, _)| Rc::ptr_eq(known, snapshot)) {
                bytes.push((snapshot, serialize(snapshot)?));
            }
        }
        let paths: Vec<PathBuf> = staged.iter().map(|(file, _)| self.folder.join(file)).collect();
        let files = paths.iter().zip(&staged).filter_map(|(path, (_, snapshot))| {
            let (_, bytes) = bytes.iter().find(|(known, _)| Rc::ptr_eq(known, snapshot))?;
            Some((path.as_path(), bytes.as_slice()))
        });
        files::write_files(&files.collect::<Vec<_>>())?;
        self.files.extend(staged.iter().map(|(file, _)| file.clone()).filter(|file| file != LAST));
        self.delete_outranked()?;
        (self.write_cost, self.written) = (began.elapsed(), Instant::now());
        let written = paths.into_iter().zip(staged).map(|(path, (file, snapshot))| {
            let value = snapshot.state.best.iter().find(|kept| kept.file == file).map(|kept| kept.value);
            Written { path, snapshot, value }
        });
        Ok(written.collect())
    }

    fn delete_outranked(&mut self) -> anyhow::Result<()> {
        let files = mem::take(&mut self.files);
        let (kept, outranked) = files.into_iter().partition(|file| self.ranked.contains(file));
        self.files = kept;
        for file in outranked {
            let path = self.folder.join(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn path(&self, kept: &SavedCheckpoint) -> PathBuf {
        self.folder.join(&kept.file)
    }
}

/// Whether a path has a checkpoint's extension.
pub fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// Whether `file` can name a best checkpoint: it comes from a file, and must not lead out of the folder.
pub fn is_file_name(file: &str) -> bool {
    !file.contains(['/', '\0']) && file.ends_with(EXTENSION) && file != LAST
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Reads the checkpoint that a run resumes from.
///
/// # Errors
/// When it is missing, a folder, or not a checkpoint; of a run folder the error names its last checkpoint.
pub fn read(path: &Path) -> anyhow::Result<Checkpoint> {
    let name = path.display();
    ensure!(path.exists(), "{name}: trainer.resume: no such checkpoint; trainer.resume=last is the run folder's own");
    if path.is_dir() {
        let inside = [path.join(FOLDER).join(LAST), path.join(LAST)];
        match inside.iter().find(|file| file.is_file()) {
            Some(file) => {
                anyhow::bail!("{name}: trainer.resume: a folder; did you mean trainer.resume={}?", file.display())
            }
            None => {
                anyhow::bail!("{name}: trainer.resume: a folder; expected a checkpoint file (.safetensors) or last")
            }
        }
    }
    Ok(Checkpoint::read(path)?)
}
