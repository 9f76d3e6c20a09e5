//! Where rows go. A file appears under its name whole or not at all.

use crate::{Error, Result, input::widen_pipe, stdout};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
};
use tempfile::NamedTempFile;

/// An open sink of bytes. Nothing is under the final name before [`Output::finish`].
pub struct Output {
    name: String,
    target: Target,
}

enum Target {
    /// Standard output, a device or a named pipe: written as it goes.
    Direct { file: File, start: Option<u64> },
    /// A regular file: written beside its final place, renamed at the end.
    Atomic { file: NamedTempFile, path: PathBuf },
}

impl Output {
    /// The file at `path`, or standard output where there is none.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            let file = stdout::open().map_err(|e| Error::io("stdout", e))?;
            widen_pipe(&file);
            let start = rewritable_from(&file);
            return Ok(Self { name: "stdout".into(), target: Target::Direct { file, start } });
        };
        let name = path.display().to_string();
        let target = Target::open(path).map_err(|e| Error::io(&name, e))?;
        Ok(Self { name, target })
    }

    /// Whether bytes already written can be corrected with [`Output::patch`].
    pub fn can_patch(&self) -> bool {
        matches!(self.target, Target::Atomic { .. } | Target::Direct { start: Some(_), .. })
    }

    /// Overwrites `bytes` at `offset` from where this output began.
    pub(crate) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let start = match &self.target {
            Target::Direct { start, .. } => start.unwrap_or(0),
            Target::Atomic { .. } => 0,
        };
        let file = self.file();
        let patched = file
            .seek(SeekFrom::Start(start + offset))
            .and_then(|_| file.write_all(bytes))
            .and_then(|()| file.seek(SeekFrom::End(0)));
        patched.map(drop).map_err(|e| Error::io(&self.name, e))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the operating system says; a reader that went away is `BrokenPipe`.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file().write_all(bytes).map_err(|e| Error::io(&self.name, e))
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// When the disk is full or the rename is refused; the old file, if any, is then untouched.
    pub fn finish(self) -> Result<()> {
        match self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, path } => persist(file, &path).map_err(|e| Error::io(self.name, e)),
        }
    }

    /// Waits until what was written is on the disk.
    fn sync(&self) -> Result<()> {
        match &self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, .. } => file.as_file().sync_all().map_err(|e| Error::io(&self.name, e)),
        }
    }

    /// Gives the file its name without waiting for the disk.
    fn finish_soon(self) -> Result<()> {
        match self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, path } => file.persist(path).map(drop).map_err(|e| Error::io(self.name, e.error)),
        }
    }

    fn file(&mut self) -> &mut File {
        match &mut self.target {
            Target::Direct { file, .. } => file,
            Target::Atomic { file, .. } => file.as_file_mut(),
        }
    }
}

/// For a writer of a format of its own.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            // A device or a named pipe cannot be replaced by a rename, and must not be.
            Ok(meta) if !meta.is_file() => {
                let file = File::options().write(true).open(path)?;
                return Ok(Self::Direct { file, start: None });
            }
            _ => {}
        }
        let prefix = unfinished_prefix(path).ok_or(io::ErrorKind::IsADirectory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(UNFINISHED_SUFFIX).rand_bytes(UNFINISHED_LETTERS);
        // As for any new file, the user's umask decides, not the private mode of temporary files.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let folder = folder(path);
        let file = builder.tempfile_in(folder).map_err(|error| refused(folder, &error))?;
        Ok(Self::Atomic { file, path: path.to_owned() })
    }
}

/// Why no file can be made in `folder`, without the temporary name, which tells nobody anything.
fn refused(folder: &Path, error: &io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), format!("there is no folder {}", folder.display())),
        kind => kind.into(),
    }
}

/// Removes what was left beside `path` by writers that were killed before [`Output::finish`].
///
/// Only for a caller who knows that no other process is writing the file now.
///
/// # Errors
/// When the folder cannot be read or a file in it not be removed.
pub fn remove_unfinished(path: &Path) -> Result<()> {
    let Some(prefix) = unfinished_prefix(path) else { return Ok(()) };
    let removed = fs::read_dir(folder(path)).and_then(|entries| {
        for entry in entries {
            let entry = entry?;
            if is_unfinished(&entry.file_name(), &prefix) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    });
    removed.map_err(|e| Error::io(path.display().to_string(), e))
}

/// An unfinished file is called `.NAMExxxxxx.tmp`, with letters and digits drawn at random.
const UNFINISHED_SUFFIX: &str = ".tmp";
const UNFINISHED_LETTERS: usize = 6;

fn unfinished_prefix(path: &Path) -> Option<OsString> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name()?);
    Some(prefix)
}

fn is_unfinished(name: &OsStr, prefix: &OsStr) -> bool {
    let letters = name
        .as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(UNFINISHED_SUFFIX.as_bytes()));
    letters.is_some_and(|it| it.len() == UNFINISHED_LETTERS && it.iter().all(u8::is_ascii_alphanumeric))
}

/// Writes a whole small file: by a temporary file beside it, fsync and rename.
///
/// # Errors
/// When the folder does not exist or the disk refuses; the old file, if any, is then untouched.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(Some(path))?;
    output.write_all(bytes)?;
    output.finish()
}

/// Writes several whole files: all of them beside their final places first, then fsyncs together, then renames in the
/// given order. Faster than one [`write_file`] after the other: the file system flushes once.
///
/// # Errors
/// When a folder does not exist or the disk refuses; files whose turn had not come are then untouched.
pub fn write_files(files: &[(&Path, &[u8])]) -> Result<()> {
    let mut outputs = Vec::new();
    for (path, bytes) in files {
        let mut output = Output::create(Some(path))?;
        output.write_all(bytes)?;
        outputs.push(output);
    }
    thread::scope(|scope| {
        let syncing = outputs.iter().map(|output| (output, spawn(scope, || output.sync())));
        let syncing: Vec<_> = syncing.collect();
        // Where no thread can be had, this one syncs.
        syncing.into_iter().try_for_each(|(output, thread)| match thread {
            Some(thread) => thread.join().unwrap_or_else(|_| output.sync()),
            None => output.sync(),
        })
    })?;
    outputs.into_iter().try_for_each(Output::finish_soon)?;
    let mut folders: Vec<&Path> = files.iter().map(|(path, _)| folder(path)).collect();
    folders.dedup();
    folders
        .into_iter()
        .try_for_each(|folder| sync_folder(folder).map_err(|e| Error::io(folder.display().to_string(), e)))
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).ok()
}

/// As [`write_file`], but without fsync, which takes milliseconds: for a file that is soon written again.
///
/// # Errors
/// As of [`write_file`].
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(Some(path))?;
    output.write_all(bytes)?;
    output.finish_soon()
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    sync_folder(folder(path))
}

/// A rename is durable only once its folder is; where folders cannot be opened, so be it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where writing begins, if `file` is a regular file that is not in append mode (`> x.npy`, not `>> x.npy`).
#[cfg(unix)]
fn rewritable_from(mut file: &File) -> Option<u64> {
    let appends = rustix::fs::fcntl_getfl(file).ok()?.contains(rustix::fs::OFlags::APPEND);
    let regular = file.metadata().ok()?.is_file();
    (regular && !appends).then(|| file.stream_position().ok()).flatten()
}

#[cfg(not(unix))]
fn rewritable_from(_: &File) -> Option<u64> {
    None
}
