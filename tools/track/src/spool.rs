//! What is not sent yet, on disk: a folder for each invocation.
//!
//! `events.ndjson` is the input, byte for byte. `state.json` says how far it is sent, and is replaced as a
//! whole. `config.yaml` holds the settings, for `--resume`. `killed` is there once a signal cut the run off.

use crate::mlflow::RunInfo;
use anyhow::{Context, bail};
use records::write_file;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::SystemTime,
};

const EVENTS: &str = "events.ndjson";
const STATE: &str = "state.json";
const CONFIG: &str = "config.yaml";
const KILLED: &str = "killed";
const LOCK: &str = "lock";

/// Random characters of a spool's name: enough for it to be the only one, on any machine.
const RANDOM_CHARACTERS: usize = 12;

/// The folder of one invocation. One process has it at a time.
pub struct Spool {
    folder: PathBuf,
    _lock: File,
}

/// How far the events are sent.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// What no other spool is called, under whatever name its folder goes now.
    pub id: String,
    /// Bytes of the events that need not be sent again.
    pub position: u64,
    /// Runs that are done with.
    pub runs: usize,
    /// Whether the server was asked to create the run that comes next, and did not answer yet.
    pub creating: bool,
    /// The run that events are logged to.
    pub run: Option<RunState>,
}

/// A run that is not done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    pub info: RunInfo,
    /// The id of its parent.
    pub parent: Option<String>,
    /// Where its start event ends.
    pub start: u64,
    /// The run folder, from the root.
    pub run_dir: PathBuf,
    /// MLflow's word for how it ended; None before its end.
    pub status: Option<String>,
    /// Time of the last event that was sent, in seconds since 1970-01-01 UTC.
    pub time: f64,
    /// Whether the server was asked more than once to create it, and may have created twins.
    pub twins: bool,
    /// Artifacts that are there.
    pub uploaded: Vec<String>,
}

impl Spool {
    /// Makes a new one in the folder `parent`, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(parent: &Path, config: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(parent).with_context(|| format!("{}: tracking.spool", parent.display()))?;
        let second = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let prefix = second.replace([':', '-'], "") + "-";
        let folder = tempfile::Builder::new().prefix(&prefix).rand_bytes(RANDOM_CHARACTERS).tempdir_in(parent);
        let folder = folder.with_context(|| format!("{}: tracking.spool", parent.display()))?.keep();
        let spool = Self { _lock: lock(&folder)?, folder };
        write_file(&spool.path(CONFIG), config.as_bytes())?;
        let id = spool.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        spool.save(&State { id, ..State::default() })?;
        File::create(spool.path(EVENTS)).with_context(|| spool.path(EVENTS).display().to_string())?;
        Ok(spool)
    }

    /// Takes up one that was left.
    ///
    /// # Errors
    /// When it is none, or another process has it.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        if !is_spool(folder) {
            bail!("{}: no spool: it has no {STATE}", folder.display());
        }
        Ok(Self { _lock: lock(folder)?, folder: folder.to_owned() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The events, to be added to.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn writer(&self) -> anyhow::Result<File> {
        let path = self.path(EVENTS);
        File::options().append(true).open(&path).with_context(|| path.display().to_string())
    }

    /// The events, from the first.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn reader(&self) -> anyhow::Result<File> {
        let path = self.path(EVENTS);
        File::open(&path).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// When the file is damaged.
    pub fn state(&self) -> anyhow::Result<State> {
        let path = self.path(STATE);
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// What the operating system says; the state is then the old one.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        Ok(write_file(&self.path(STATE), &serde_json::to_vec(state)?)?)
    }

    /// Remembers that a signal cut the input off.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn mark_killed(&self) -> anyhow::Result<()> {
        Ok(write_file(&self.path(KILLED), b"")?)
    }

    pub fn was_killed(&self) -> bool {
        self.path(KILLED).exists()
    }

    /// Takes it away: everything is sent.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The settings that a spool was made with.
pub fn config_file(folder: &Path) -> PathBuf {
    folder.join(CONFIG)
}

/// The folder itself, if it is a spool, or else all spools in it, the oldest first.
///
/// # Errors
/// When there is no such folder, or no spool.
pub fn find(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if is_spool(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    found.retain(|path| is_spool(path));
    found.sort();
    if found.is_empty() {
        bail!("{}: no spool is here: nothing is left to send", folder.display());
    }
    Ok(found)
}

fn is_spool(folder: &Path) -> bool {
    folder.join(STATE).is_file()
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("{}: another track is sending this", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}
