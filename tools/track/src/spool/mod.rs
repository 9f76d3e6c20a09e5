//! A queue on disk of events that are not sent yet: one folder for each invocation.
//!
//! | file             | content                                                                                    |
//! | ---------------- | ------------------------------------------------------------------------------------------ |
//! | `events.ndjson`  | the events, as read                                                                        |
//! | `folders.ndjson` | for each run, the absolute path of its folder: `--resume` may have another working folder  |
//! | `state.json`     | which events were sent; replaced atomically                                                |
//! | `settings.yaml`  | the settings, for `--resume`                                                               |
//! | `killed`         | present if a signal interrupted the input                                                  |
//! | `lock`           | locked by the process that uses the spool                                                  |

mod find;
mod state;
mod writer;

pub use find::find;
pub use state::{RunFolder, RunState, State};
pub use writer::SpoolWriter;

use crate::sinks::identity;
use anyhow::{Context, bail, ensure};
use cli::Transient;
use events::{Event, Start};
use files::{Lock, write_file};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{self, Path, PathBuf},
};

const EVENTS: &str = "events.ndjson";
const FOLDERS: &str = "folders.ndjson";
const STATE: &str = "state.json";
const SETTINGS: &str = "settings.yaml";
const KILLED: &str = "killed";
const LOCK: &str = "lock";
const FILES: [&str; 6] = [EVENTS, FOLDERS, STATE, SETTINGS, KILLED, LOCK];

/// The last line of the settings. Without it the file was truncated, and missing keys would silently be defaults.
const END: &str = "# all settings\n";

/// The log in a run folder.
const LOG: &str = "events.ndjson";
/// Longest first line of a log, which holds all settings, in bytes.
const MAX_START: u64 = 16 << 20;

/// Largest settings file, in bytes.
const MAX_SETTINGS: u64 = 16 << 20;

/// Largest state, in bytes; it has the name of each artifact that was sent.
const MAX_STATE: u64 = 64 << 20;

/// A spool, locked: no other process uses it.
pub struct Spool {
    folder: PathBuf,
    _lock: Lock,
}

impl Spool {
    /// Creates a new spool in the folder `parent`, which is created if it does not exist. `config` is the document of
    /// settings.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn create(parent: &Path, config: &str) -> anyhow::Result<Self> {
        let context = || format!("{}: tracking.spool", parent.display());
        // In this order: another process may create the folder between the two questions.
        ensure!(!parent.exists() || parent.is_dir(), "{}: not a folder", context());
        fs::create_dir_all(parent).with_context(context)?;
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix(&find::prefix()).rand_bytes(find::RANDOM_CHARACTERS).tempdir_in(parent);
        let folder = folder.with_context(context)?.keep();
        let spool = Self { _lock: lock(&folder)?, folder };
        write_file(&spool.path(SETTINGS), format!("{config}{END}").as_bytes())?;
        for name in [EVENTS, FOLDERS] {
            File::create(spool.path(name)).with_context(|| spool.path(name).display().to_string())?;
        }
        spool.save(&State { id: spool.name(), ..State::default() })?;
        Ok(spool)
    }

    /// Opens the spool of an earlier invocation.
    ///
    /// # Errors
    /// If the folder is not a spool, or another process uses it.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        if !find::is_spool(folder) {
            bail!("{}: not a spool: it has no {STATE}", folder.display());
        }
        let spool = Self { _lock: lock(folder)?, folder: folder.to_owned() };
        spool.open_file(EVENTS)?;
        Ok(spool)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A writer of events. `run_folder` is the folder that the log is read from, if it is read from one.
    ///
    /// # Errors
    /// If the files cannot be opened, or there is no working folder.
    pub fn writer(&self, run_folder: Option<&Path>) -> anyhow::Result<SpoolWriter> {
        let open = |name| {
            let path = self.path(name);
            File::options().append(true).open(&path).with_context(|| path.display().to_string())
        };
        let run_folder = run_folder.map(path::absolute).transpose()?;
        Ok(SpoolWriter { events: open(EVENTS)?, folders: open(FOLDERS)?, run_folder })
    }

    /// The events from byte `position` on.
    ///
    /// # Errors
    /// If the file cannot be read, or is shorter than `position`.
    pub fn reader(&self, position: u64) -> anyhow::Result<File> {
        let mut file = self.open_file(EVENTS)?;
        let length = file.metadata()?.len();
        ensure!(
            position <= length,
            "{}: damaged: it has {length} bytes, but {position} were sent; later events are lost",
            self.path(EVENTS).display()
        );
        file.seek(SeekFrom::Start(position))?;
        Ok(file)
    }

    /// The folder of the run with index `run`. If the spool does not have it, `run_dir` of `start` is resolved against
    /// the working folder.
    ///
    /// # Errors
    /// If there is no working folder.
    pub fn run_folder(&self, run: usize, start: &Start) -> anyhow::Result<RunFolder> {
        let lines = self.open_file(FOLDERS).ok().map(|file| BufReader::new(file).lines());
        let line = lines.and_then(|mut lines| lines.nth(run)?.ok());
        if let Some(folder) = line.and_then(|line| serde_json::from_str(&line).ok()) {
            return Ok(folder);
        }
        let path = path::absolute(&start.run_dir).with_context(|| format!("run_dir {:?}", start.run_dir))?;
        // Whether a missing folder ever existed is not known; assume so, so that its absence is an error.
        let exists = !path.is_dir() || holds_log_of(&path, start);
        Ok(RunFolder { path, exists })
    }

    /// The state. If it cannot be read, a warning is printed and the state is that of a new spool: everything is sent
    /// again, and the server recognizes what it has.
    ///
    /// # Errors
    /// If the path is not a regular file.
    pub fn state(&self) -> anyhow::Result<State> {
        let read = || -> anyhow::Result<State> {
            let mut text = Vec::new();
            self.open_file(STATE)?.take(MAX_STATE).read_to_end(&mut text)?;
            let state: State = serde_json::from_slice(&text)?;
            ensure!(!state.id.is_empty(), "no id");
            ensure!(state.position > 0 || (state.runs == 0 && state.run.is_none()), "a run, but no event was sent");
            ensure!(self.begins_line(state.position)?, "no line begins at byte {}", state.position);
            Ok(state)
        };
        read().or_else(|error| {
            let path = self.path(STATE);
            ensure!(!path.exists() || path.is_file(), "{}: not a regular file", path.display());
            let remedy = "sending all events again; the server does not duplicate what it has";
            cli::note(&format!("{}: damaged: {}: {remedy}", path.display(), cli::describe(&error)));
            Ok(State { id: self.name(), ..State::default() })
        })
    }

    /// Whether a line of the events begins at byte `position`; also true behind their end.
    fn begins_line(&self, position: u64) -> anyhow::Result<bool> {
        let mut file = self.open_file(EVENTS)?;
        if position == 0 || position > file.metadata()?.len() {
            return Ok(true);
        }
        let mut before = [0];
        file.seek(SeekFrom::Start(position - 1))?;
        file.read_exact(&mut before)?;
        Ok(before == *b"\n")
    }

    /// Replaces the state atomically.
    ///
    /// # Errors
    /// If it cannot be written; the previous state stays.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        Ok(write_file(&self.path(STATE), &serde_json::to_vec(state)?)?)
    }

    /// Records that a signal interrupted the input.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn mark_killed(&self) -> anyhow::Result<()> {
        Ok(write_file(&self.path(KILLED), b"")?)
    }

    pub fn was_killed(&self) -> bool {
        self.path(KILLED).exists()
    }

    /// Deletes the spool's files, and the folder if nothing else is in it.
    ///
    /// # Errors
    /// If a file cannot be deleted.
    pub fn remove(&self) -> anyhow::Result<()> {
        for name in FILES {
            match fs::remove_file(self.path(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| self.path(name).display().to_string());
                }
                _ => {}
            }
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(error).with_context(|| self.folder.display().to_string())
            }
            _ => Ok(()),
        }
    }

    fn name(&self) -> String {
        let folder = path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn open_file(&self, name: &str) -> anyhow::Result<File> {
        open_regular(&self.path(name))
    }
}

/// Whether `folder` is the folder of the run, by the first line of its log. A log from elsewhere may name any folder as
/// its own; nothing of another folder is sent.
fn holds_log_of(folder: &Path, start: &Start) -> bool {
    let first = || -> Option<Start> {
        let mut line = String::new();
        let file = open_regular(&folder.join(LOG)).ok()?;
        BufReader::new(file.take(MAX_START)).read_line(&mut line).ok()?;
        match Event::from_line(&line).ok()?? {
            Event::Start(start) => Some(*start),
            _ => None,
        }
    };
    first().is_some_and(|first| match start.resumed {
        None => identity(&first) == identity(start),
        // The log began with an earlier start event; resuming requires the same data and seed.
        Some(_) => first.data_sha256 == start.data_sha256 && first.seed == start.seed,
    })
}

/// The path of the spool's settings.
///
/// # Errors
/// If they are not a regular file, or truncated.
pub fn config_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let (path, mut text) = (folder.join(SETTINGS), String::new());
    let read = open_regular(&path)?.take(MAX_SETTINGS).read_to_string(&mut text);
    read.with_context(|| path.display().to_string())?;
    ensure!(text.ends_with(END), "{}: damaged: truncated", path.display());
    Ok(path)
}

/// Opens a regular file for reading. Opening a named pipe would block, and a device may have no end.
fn open_regular(path: &Path) -> anyhow::Result<File> {
    let context = || path.display().to_string();
    ensure!(fs::metadata(path).with_context(context)?.is_file(), "{}: not a regular file", path.display());
    File::open(path).with_context(context)
}

fn lock(folder: &Path) -> anyhow::Result<Lock> {
    let path = folder.join(LOCK);
    ensure!(path.is_file() || !path.exists(), "{}: not a regular file", path.display());
    let file = File::options().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    let lock = Lock::attempt(file).with_context(|| path.display().to_string())?;
    lock.ok_or_else(|| Transient::new(format!("{}: in use by another track", folder.display())).into())
}
