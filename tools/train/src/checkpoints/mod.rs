//! The folder of checkpoints: which to keep, when they are written, and where a run resumes from.
//!
//! A state waits in memory until one is due. The files are consistent at every moment: `last.safetensors` is replaced
//! after the best ones that it names are there, and those overtaken are deleted after that.

mod name;
mod state;

pub use name::{check_template, file_name};
pub use state::State;

use crate::{progress::Kept, settings::CheckpointSettings};
use anyhow::{Context, ensure};
use metrics::Direction;
use name::EXTENSION;
use nets::Checkpoint;
use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// The checkpoint that a run is resumed from.
const LAST: &str = "last.safetensors";
/// Best states that wait in memory at most, where any number of them is kept.
const MOST_WAITING: usize = 16;

pub struct Checkpoints {
    folder: PathBuf,
    settings: CheckpointSettings,
    /// Best states that are not on disk yet, by file name.
    best: Vec<(String, Rc<State>)>,
    /// The latest state, where it is not on disk yet.
    last: Option<Rc<State>>,
    /// The files of the best states so far, on disk or not.
    ranked: Vec<String>,
    /// The files in the folder that are this run's.
    files: Vec<String>,
    /// How long the last write took, and when it ended.
    cost: Duration,
    written: Instant,
}

/// A checkpoint file that was written.
pub struct Written {
    pub path: PathBuf,
    pub state: Rc<State>,
    /// The monitored value of a best one.
    pub value: Option<f64>,
}

impl Checkpoints {
    /// The checkpoints of a run folder.
    pub fn new(run_dir: &Path, settings: &CheckpointSettings) -> Self {
        Self {
            folder: run_dir.join("checkpoints"),
            settings: settings.clone(),
            best: Vec::new(),
            last: None,
            ranked: Vec::new(),
            files: Vec::new(),
            cost: Duration::ZERO,
            written: Instant::now(),
        }
    }

    /// The file that `resume` means: `last`, or a path.
    pub fn find(&self, resume: &str) -> PathBuf {
        if resume == "last" { self.folder.join(LAST) } else { PathBuf::from(resume) }
    }

    /// Whether a file is one of the folder's.
    pub fn has(&self, path: &Path) -> bool {
        path.parent().is_some_and(|folder| same_file(folder, &self.folder))
    }

    /// The checkpoint that was written last, where there is no `last`.
    pub fn latest(&self) -> Option<PathBuf> {
        let entries = self.folder.read_dir().into_iter().flatten().flatten();
        let files =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "safetensors"));
        files.max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok())
    }

    /// Begins a run: deletes the checkpoint files that are not among `kept`, and are not `source`. `file_cost` is how
    /// long it takes to write a small file.
    pub fn begin(&mut self, kept: &[Kept], source: Option<&Path>, file_cost: Duration) -> anyhow::Result<()> {
        self.clear(kept, source)?;
        self.files = kept.iter().map(|kept| kept.file.clone()).collect();
        self.ranked.clone_from(&self.files);
        // The best one and the last one.
        self.cost = file_cost * 2;
        self.written = Instant::now();
        Ok(())
    }

    fn clear(&self, kept: &[Kept], source: Option<&Path>) -> anyhow::Result<()> {
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

    /// Leaves out of `kept` what is no longer there.
    pub fn present(&self, kept: Vec<Kept>) -> Vec<Kept> {
        kept.into_iter().filter(|kept| self.folder.join(&kept.file).is_file()).collect()
    }

    /// Whether `last.safetensors` is due after `steps` steps, in the middle of an epoch.
    pub fn is_due_at(&self, steps: usize) -> bool {
        self.settings.save_last && self.settings.every_n_steps.is_some_and(|n| (steps as u64).is_multiple_of(n))
    }

    /// Whether enough time has gone by since the last write for the share of the run that writes may take.
    pub fn is_due(&self) -> bool {
        let waited = |share: f64| self.written.elapsed().as_secs_f64() >= self.cost.as_secs_f64() / share;
        self.best.len() >= MOST_WAITING || self.settings.max_overhead.is_none_or(waited)
    }

    /// Whether a checkpoint of this value is among the best.
    pub fn is_among_best(&self, value: f64, best: &[Kept]) -> bool {
        match self.settings.save_top_k {
            // Not even a NaN is left out where all are kept.
            -1 => true,
            k if (best.len() as i64) < k => !value.is_nan(),
            0 => false,
            _ => best.last().is_some_and(|worst| self.direction().improves(value, worst.value, 0.0)),
        }
    }

    /// Adds a checkpoint to the best, in its place; those overtaken are dropped.
    pub fn rank(&self, new: Kept, best: &mut Vec<Kept>) -> anyhow::Result<()> {
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

    /// Takes a state to be written when it is due: as the last one, and as a best one under the name of `best`.
    pub fn hold(&mut self, state: State, best: Option<String>) {
        self.ranked = state.progress.best.iter().map(|kept| kept.file.clone()).collect();
        let state = Rc::new(state);
        self.best.retain(|(file, _)| self.ranked.contains(file) && best.as_ref() != Some(file));
        self.best.extend(best.map(|file| (file, Rc::clone(&state))));
        self.last = self.settings.save_last.then_some(state);
    }

    /// The state of a best checkpoint that is not on disk yet.
    pub fn waiting(&self, kept: &Kept) -> Option<&State> {
        self.best.iter().find(|(file, _)| *file == kept.file).map(|(_, state)| &**state)
    }

    /// Writes what waits, with the bytes that `serialize` makes of a state, and deletes what was overtaken.
    pub fn save(&mut self, serialize: impl Fn(&State) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<Written>> {
        let began = Instant::now();
        let last = self.last.take().map(|state| (LAST.to_owned(), state));
        let waiting: Vec<_> = mem::take(&mut self.best).into_iter().chain(last).collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let mut bytes: Vec<(&Rc<State>, Vec<u8>)> = Vec::new();
        for (_, state) in &waiting {
            if !bytes.iter().any(|(known, _)| Rc::ptr_eq(known, state)) {
                bytes.push((state, serialize(state)?));
            }
        }
        let paths: Vec<PathBuf> = waiting.iter().map(|(file, _)| self.folder.join(file)).collect();
        let files = paths.iter().zip(&waiting).filter_map(|(path, (_, state))| {
            let (_, bytes) = bytes.iter().find(|(known, _)| Rc::ptr_eq(known, state))?;
            Some((path.as_path(), bytes.as_slice()))
        });
        files::write_files(&files.collect::<Vec<_>>())?;
        self.files.extend(waiting.iter().map(|(file, _)| file.clone()).filter(|file| file != LAST));
        self.remove_overtaken()?;
        (self.cost, self.written) = (began.elapsed(), Instant::now());
        let written = paths.into_iter().zip(waiting).map(|(path, (file, state))| {
            let value = state.progress.best.iter().find(|kept| kept.file == file).map(|kept| kept.value);
            Written { path, state, value }
        });
        Ok(written.collect())
    }

    fn remove_overtaken(&mut self) -> anyhow::Result<()> {
        let files = mem::take(&mut self.files);
        let (kept, overtaken) = files.into_iter().partition(|file| self.ranked.contains(file));
        self.files = kept;
        for file in overtaken {
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

    /// The file of a best checkpoint.
    pub fn path(&self, kept: &Kept) -> PathBuf {
        self.folder.join(&kept.file)
    }
}

/// Whether `file` can be the name of a checkpoint in the folder: a name out of a file is not trusted.
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
pub fn resume(path: &Path) -> anyhow::Result<Checkpoint> {
    let name = path.display();
    ensure!(path.exists(), "{name}: trainer.resume: no such checkpoint; trainer.resume=last is the run folder's own");
    Ok(Checkpoint::read(path)?)
}
