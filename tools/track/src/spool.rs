//! What is not sent yet, on disk: a folder for each invocation.
//!
//! `events.ndjson` holds the events of the input, as they came. `folders.ndjson` says, for each run in them, where its
//! run folder is, from the root: who sends the rest may stand elsewhere. `state.json` says how far the events are sent,
//! and is replaced as a whole. `settings.yaml` holds the settings, for `--resume`. `killed` is there once a signal cut the
//! run off.

use crate::{files::identity, mlflow::RunInfo};
use anyhow::{Context, bail, ensure};
use events::{Event, Start};
use files::{Lock, write_file};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{self, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

const EVENTS: &str = "events.ndjson";
const FOLDERS: &str = "folders.ndjson";
const STATE: &str = "state.json";
const SETTINGS: &str = "settings.yaml";
const KILLED: &str = "killed";
const LOCK: &str = "lock";
const FILES: [&str; 6] = [EVENTS, FOLDERS, STATE, SETTINGS, KILLED, LOCK];

/// The last line of the settings: what lacks it was cut off, and what is cut off would be the default.
const END: &str = "# all settings\n";

/// Bytes of a log's first line at most, which holds the settings.
const MAX_START: u64 = 16 << 20;
/// The log of a run folder.
const LOG: &str = "events.ndjson";

/// Bytes of the settings that are read.
const MAX_SETTINGS: u64 = 16 << 20;

/// Random characters of a spool's name: enough for it to be the only one, on any machine.
const RANDOM_CHARACTERS: usize = 12;

/// Bytes of the state that are read: some for each artifact that was sent.
const MAX_STATE: u64 = 64 << 20;

/// The folder of one invocation. One process has it at a time.
pub struct Spool {
    folder: PathBuf,
    _lock: Lock,
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
    /// The identity of the last run, and how many runs in a row had the same.
    pub last: Option<(String, usize)>,
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
    pub folder: RunFolder,
    /// MLflow's word for how it ended; None before its end.
    pub status: Option<String>,
    /// Time of the last event that was sent, in seconds since 1970-01-01 UTC.
    pub time: f64,
    /// Whether the server was asked more than once to create it, and may have created twins.
    pub twins: bool,
    /// Artifacts that are there.
    pub uploaded: Vec<String>,
}

/// Where a run's files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFolder {
    /// From the root.
    pub path: PathBuf,
    /// Whether it was there, with the run's log, when the run began.
    pub there: bool,
}

impl Spool {
    /// Makes a new one in the folder `parent`, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(parent: &Path, config: &str) -> anyhow::Result<Self> {
        let place = || format!("{}: tracking.spool", parent.display());
        ensure!(parent.is_dir() || !parent.exists(), "{}: no folder", place());
        fs::create_dir_all(parent).with_context(place)?;
        let folder = tempfile::Builder::new().prefix(&prefix()).rand_bytes(RANDOM_CHARACTERS).tempdir_in(parent);
        let folder = folder.with_context(place)?.keep();
        let spool = Self { _lock: lock(&folder)?, folder };
        write_file(&spool.path(SETTINGS), format!("{config}{END}").as_bytes())?;
        for name in [EVENTS, FOLDERS] {
            File::create(spool.path(name)).with_context(|| spool.path(name).display().to_string())?;
        }
        spool.save(&State { id: spool.name(), ..State::default() })?;
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
        let spool = Self { _lock: lock(folder)?, folder: folder.to_owned() };
        spool.open_file(EVENTS)?;
        Ok(spool)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What adds events to it. `run_folder` is the one that the log was found in.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn recorder(&self, run_folder: Option<&Path>) -> anyhow::Result<Recorder> {
        let open = |name| {
            let path = self.path(name);
            File::options().append(true).open(&path).with_context(|| path.display().to_string())
        };
        let run_folder = run_folder.map(path::absolute).transpose()?;
        Ok(Recorder { events: open(EVENTS)?, folders: open(FOLDERS)?, run_folder })
    }

    /// The events, from `position` on.
    ///
    /// # Errors
    /// What the operating system says, or that they end before.
    pub fn reader(&self, position: u64) -> anyhow::Result<File> {
        let mut file = self.open_file(EVENTS)?;
        let length = file.metadata()?.len();
        ensure!(
            position <= length,
            "{}: damaged: it ends after {length} bytes, and {position} were sent; what it held beyond is lost",
            self.path(EVENTS).display()
        );
        file.seek(SeekFrom::Start(position))?;
        Ok(file)
    }

    /// The folder of the run of that number, from 0. Where the spool does not know it, it is looked for from here.
    ///
    /// # Errors
    /// When there is no current folder.
    pub fn run_folder(&self, run: usize, start: &Start) -> anyhow::Result<RunFolder> {
        let lines = self.open_file(FOLDERS).ok().map(|file| BufReader::new(file).lines());
        let line = lines.and_then(|mut lines| lines.nth(run)?.ok());
        if let Some(folder) = line.and_then(|line| serde_json::from_str(&line).ok()) {
            return Ok(folder);
        }
        let path = path::absolute(&start.run_dir).with_context(|| format!("run_dir {:?}", start.run_dir))?;
        // Of one that is missing nobody knows whether it was there: it is missed.
        let there = !path.is_dir() || holds_log_of(&path, start);
        Ok(RunFolder { path, there })
    }

    /// How far the events are sent. Without a state that can be read, that is nowhere: what is sent again then is known
    /// to the server.
    ///
    /// # Errors
    /// When the file is none.
    pub fn state(&self) -> anyhow::Result<State> {
        let read = || -> anyhow::Result<State> {
            let mut text = Vec::new();
            self.open_file(STATE)?.take(MAX_STATE).read_to_end(&mut text)?;
            let state: State = serde_json::from_slice(&text)?;
            ensure!(!state.id.is_empty(), "no id");
            ensure!(state.position > 0 || (state.runs == 0 && state.run.is_none()), "a run of which no event was sent");
            ensure!(self.begins_line(state.position)?, "no line begins at byte {}", state.position);
            Ok(state)
        };
        read().or_else(|error| {
            let path = self.path(STATE);
            ensure!(!path.exists() || path.is_file(), "{}: no regular file", path.display());
            let what = "sending all from the beginning; what the server has stays single";
            cli::note(&format!("{}: damaged: {error:#}: {what}", path.display()));
            Ok(State { id: self.name(), ..State::default() })
        })
    }

    /// Whether a line of the events begins there, or they end before.
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

    /// Takes it away: everything is sent. What is not of the spool stays, and its folder then, too.
    ///
    /// # Errors
    /// What the operating system says.
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
        regular(&self.path(name))
    }
}

/// Adds events to a spool.
pub struct Recorder {
    events: File,
    folders: File,
    run_folder: Option<PathBuf>,
}

impl Recorder {
    /// Adds the line of an event.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn add(&mut self, line: &[u8], event: &Event) -> anyhow::Result<()> {
        // The folder first: who reads the event looks for it.
        if let Event::Start(start) = event {
            let mut folder = serde_json::to_vec(&self.folder(start)?)?;
            folder.push(b'\n');
            self.folders.write_all(&folder)?;
        }
        self.events.write_all(line)?;
        if !line.ends_with(b"\n") {
            self.events.write_all(b"\n")?;
        }
        Ok(())
    }

    fn folder(&self, start: &Start) -> anyhow::Result<RunFolder> {
        let path = match &self.run_folder {
            Some(folder) => folder.clone(),
            None => path::absolute(&start.run_dir).with_context(|| format!("run_dir {:?}", start.run_dir))?,
        };
        let there = path.is_dir() && (self.run_folder.is_some() || holds_log_of(&path, start));
        Ok(RunFolder { path, there })
    }
}

/// Whether `folder` is that of the run, by the first line of its log. A log from elsewhere may name any folder as its
/// own: nothing of that one is sent.
fn holds_log_of(folder: &Path, start: &Start) -> bool {
    let first = || -> Option<Start> {
        let mut line = String::new();
        let file = regular(&folder.join(LOG)).ok()?;
        BufReader::new(file.take(MAX_START)).read_line(&mut line).ok()?;
        match Event::from_line(&line).ok()?? {
            Event::Start(start) => Some(*start),
            _ => None,
        }
    };
    first().is_some_and(|first| match start.resumed {
        None => identity(&first) == identity(start),
        // The log goes on; that the data are the same is what resuming asks for, too.
        Some(_) => first.data_sha256 == start.data_sha256 && first.seed == start.seed,
    })
}

/// How a spool's name begins: with the second in which it is made, so that the oldest is the first.
fn prefix() -> String {
    /// The last second that has a date.
    const MAX_SECOND: u64 = 253_402_300_799;
    let second = Duration::from_secs((events::now() as u64).min(MAX_SECOND));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + second).to_string().replace([':', '-'], "") + "-"
}

/// Whether a folder is called as a spool is, for one that has lost its state.
fn is_named_as_spool(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.split_once("Z-").is_some_and(|(second, random)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        second.split_once('T').is_some_and(|(day, time)| digits(day) && digits(time))
            && random.len() == RANDOM_CHARACTERS
    })
}

/// The settings that a spool was made with.
///
/// # Errors
/// When they are no file, or not whole.
pub fn config_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let (path, mut text) = (folder.join(SETTINGS), String::new());
    let read = regular(&path)?.take(MAX_SETTINGS).read_to_string(&mut text);
    read.with_context(|| path.display().to_string())?;
    ensure!(text.ends_with(END), "{}: damaged: it was cut off", path.display());
    Ok(path)
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
    found.retain(|path| path.is_dir() && (is_spool(path) || is_named_as_spool(path)));
    found.sort();
    if found.is_empty() {
        bail!("{}: no spool is here: nothing is left to send", folder.display());
    }
    Ok(found)
}

/// A run folder has events and settings, too, and is none.
fn is_spool(folder: &Path) -> bool {
    [STATE, FOLDERS].iter().any(|name| folder.join(name).exists())
}

/// Opens a file to read it, and nothing else: a pipe would be waited for, and a device may have no end.
fn regular(path: &Path) -> anyhow::Result<File> {
    let place = || path.display().to_string();
    ensure!(fs::metadata(path).with_context(place)?.is_file(), "{}: no regular file", path.display());
    File::open(path).with_context(place)
}

fn lock(folder: &Path) -> anyhow::Result<Lock> {
    let path = folder.join(LOCK);
    ensure!(path.is_file() || !path.exists(), "{}: no regular file", path.display());
    let file = File::options().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    let lock = Lock::attempt(file).with_context(|| path.display().to_string())?;
    lock.with_context(|| format!("{}: another track is sending this", folder.display()))
}
