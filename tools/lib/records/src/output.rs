//! Where rows go. A file appears under its name whole or not at all.

use crate::{
    Error, Result,
    destination::Destination,
    input::widen_pipe,
    stdout,
    unfinished::{self, Unfinished},
};
use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
};

/// An open sink of bytes. Nothing is under the final name before [`Output::finish`].
pub struct Output {
    name: String,
    target: Target,
}

enum Target {
    /// Standard output, a device or a named pipe: written as it goes.
    Direct { file: File, start: Option<u64> },
    /// A regular file: written beside its final place, renamed at the end.
    Atomic { file: Unfinished, path: PathBuf },
}

impl Output {
    /// The file at `path`, or standard output where there is none. A symbolic link stays, and the file that it points to
    /// is written; a device, a named pipe and an open descriptor (`/dev/stdout`, `/dev/fd/3`) are written as it goes. A
    /// file that is replaced keeps its mode and, where the system allows, its owner.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            let target = Target::stdout().map_err(|e| Error::io("stdout", e))?;
            return Ok(Self { name: "stdout".into(), target });
        };
        let name = path.display().to_string();
        let target = Target::open(path).map_err(|e| Error::io(&name, e))?;
        Ok(Self { name, target })
    }

    /// The name that messages give it: the path, or `stdout`.
    pub fn name(&self) -> &str {
        &self.name
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
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn finish_soon(self) -> Result<()> {
        match self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, path } => file.persist(&path).map_err(|e| Error::io(self.name, e)),
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
    fn stdout() -> io::Result<Self> {
        let file = stdout::open()?;
        widen_pipe(&file);
        Ok(Self::direct(file))
    }

    fn direct(file: File) -> Self {
        let start = rewritable_from(&file);
        Self::Direct { file, start }
    }

    fn open(path: &Path) -> io::Result<Self> {
        match Destination::of(path)? {
            Destination::Stdout => Self::stdout(),
            Destination::Open(file) => Ok(Self::direct(file)),
            Destination::Replace { path, old } => Self::atomic(&path, old.as_ref()),
        }
    }

    /// The file at `path` itself, also where a link is there.
    fn replace(path: &Path) -> io::Result<Self> {
        let old = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
        Self::atomic(path, old.as_ref())
    }

    fn atomic(path: &Path, old: Option<&fs::Metadata>) -> io::Result<Self> {
        let file = unfinished::create(path, old.map_or(NEW_FILE, mode))?;
        if let Some(old) = old {
            keep_owner_and_mode(file.as_file(), old)?;
        }
        Ok(Self::Atomic { file, path: path.to_owned() })
    }
}

/// As for any new file, the user's umask decides, not the private mode of temporary files.
const NEW_FILE: u32 = 0o666;

#[cfg(unix)]
fn mode(old: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&old.permissions()) & 0o777
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    // Only root may give a file away, and where even it may not (some network disks), the file is the writer's.
    let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(fs::Permissions::from_mode(mode(old)))
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    NEW_FILE
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
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

/// Writes several whole files of a folder of our own: all of them beside their final places first, then fsyncs
/// together, then renames in the given order. Faster than one [`write_file`] after the other: the file system flushes
/// once. A link in a file's place is replaced, not followed: where it leads is not for the folder to say.
///
/// # Errors
/// When a folder does not exist or the disk refuses; files whose turn had not come are then untouched.
pub fn write_files(files: &[(&Path, &[u8])]) -> Result<()> {
    let mut outputs = Vec::new();
    for (path, bytes) in files {
        let target = Target::replace(path).map_err(|e| Error::io(path.display(), e))?;
        let mut output = Output { name: path.display().to_string(), target };
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
    let mut folders: Vec<&Path> = files.iter().map(|(path, _)| unfinished::folder(path)).collect();
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

fn persist(file: Unfinished, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(unfinished::folder(path))
}

/// A rename is durable only once its folder is; where folders cannot be opened, so be it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
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
