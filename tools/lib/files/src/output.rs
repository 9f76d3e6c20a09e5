//! Output to a temporary file in the same folder, fsynced and renamed: readers never see a partial file.

use crate::{
    Error, Result,
    destination::Destination,
    input::widen_pipe,
    stdout,
    temporary::{self, TempFile},
};
use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
};

/// An open sink of bytes. A file has its final name only after [`Output::finish`].
pub struct Output {
    name: String,
    target: Target,
}

enum Target {
    /// Standard output, a device or a named pipe: written directly. `start` is where writing began, in a regular file that
    /// is not in append mode.
    Direct { file: File, start: Option<u64> },
    /// A regular file: written to a temporary file, renamed to `path` at the end.
    Atomic { file: TempFile, path: PathBuf },
    /// Anything else that takes bytes.
    Stream(Box<dyn Write + Send + Sync>),
}

impl Output {
    /// The file at `path`, or standard output where there is none. A symbolic link stays, and the file that it points to
    /// is written; a device, a named pipe and an open descriptor (`/dev/stdout`, `/dev/fd/3`) are written directly. A
    /// file that is replaced keeps its mode and, where the system allows, its owner.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            let target = Target::stdout().map_err(|e| Error::io("stdout", e))?;
            return Ok(Self { name: "stdout".into(), target });
        };
        if path.as_os_str().is_empty() {
            return Err(Error::EmptyPath);
        }
        let name = path.display().to_string();
        let target = Target::open(path).map_err(|e| Error::io(&name, e))?;
        Ok(Self { name, target })
    }

    /// Bytes to anywhere else, under a name. [`Output::finish`] flushes it.
    pub fn new(name: &str, bytes: impl Write + Send + Sync + 'static) -> Self {
        Self { name: name.into(), target: Target::Stream(Box::new(bytes)) }
    }

    /// The name that messages give it: the path, or `stdout`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether bytes already written can be overwritten with [`Output::patch`].
    pub fn can_patch(&self) -> bool {
        matches!(self.target, Target::Atomic { .. } | Target::Direct { start: Some(_), .. })
    }

    /// Overwrites `bytes` at `offset` from where this output began, and continues at the end.
    ///
    /// # Errors
    /// I/O errors; a pipe cannot seek.
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let patched = match &mut self.target {
            Target::Direct { file, start } => patch(file, start.unwrap_or(0) + offset, bytes),
            Target::Atomic { file, .. } => patch(file.as_file_mut(), offset, bytes),
            Target::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        };
        patched.map_err(|e| Error::io(&self.name, e))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// I/O errors; `BrokenPipe` when the reader closed its end.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer().write_all(bytes).map_err(|e| Error::io(&self.name, e))
    }

    /// Fsyncs the file and renames it to its final name.
    ///
    /// # Errors
    /// When the disk is full or the rename is refused; the old file, if any, is then untouched.
    pub fn finish(self) -> Result<()> {
        match self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, path } => persist(file, &path).map_err(|e| Error::io(self.name, e)),
            Target::Stream(mut bytes) => bytes.flush().map_err(|e| Error::io(self.name, e)),
        }
    }

    /// Waits until everything written is on the disk.
    fn sync(&self) -> Result<()> {
        match &self.target {
            Target::Direct { .. } | Target::Stream(_) => Ok(()),
            Target::Atomic { file, .. } => file.as_file().sync_all().map_err(|e| Error::io(&self.name, e)),
        }
    }

    /// As [`Output::finish`], without fsync.
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn finish_unsynced(self) -> Result<()> {
        match self.target {
            Target::Direct { .. } => Ok(()),
            Target::Atomic { file, path } => file.persist(&path).map_err(|e| Error::io(self.name, e)),
            Target::Stream(mut bytes) => bytes.flush().map_err(|e| Error::io(self.name, e)),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.target {
            Target::Direct { file, .. } => file,
            Target::Atomic { file, .. } => file.as_file_mut(),
            Target::Stream(bytes) => bytes,
        }
    }
}

/// Overwrites `bytes` at `offset`, and continues at the end.
fn patch(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)?;
    file.seek(SeekFrom::End(0)).map(drop)
}

/// For writers of formats other than records.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
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
        let file = temporary::create(path, old.map_or(NEW_FILE, mode))?;
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
    // Only root may change the owner; where that fails (some network disks, too), the writer owns the file.
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

/// Writes a whole small file, as [`Output`] does.
///
/// # Errors
/// When the folder does not exist or the disk refuses; the old file, if any, is then untouched.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(Some(path))?;
    output.write_all(bytes)?;
    output.finish()
}

/// Writes several whole files: all temporary files first, then all fsyncs in parallel, then the renames in the given
/// order. Faster than one [`write_file`] after the other: the file system flushes once. A symbolic link at a path is
/// replaced, not followed: a folder that came from elsewhere must not choose the file that is written.
///
/// # Errors
/// When a folder does not exist or the disk refuses; files that were not yet renamed are then untouched.
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
        // Without a thread, this one syncs.
        syncing.into_iter().try_for_each(|(output, thread)| match thread {
            Some(thread) => thread.join().unwrap_or_else(|_| output.sync()),
            None => output.sync(),
        })
    })?;
    outputs.into_iter().try_for_each(Output::finish_unsynced)?;
    let mut folders: Vec<&Path> = files.iter().map(|(path, _)| temporary::folder(path)).collect();
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

/// As [`write_file`], without fsync, which takes milliseconds: for a file that is written again soon.
///
/// # Errors
/// As of [`write_file`].
pub fn write_file_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(Some(path))?;
    output.write_all(bytes)?;
    output.finish_unsynced()
}

fn persist(file: TempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(temporary::folder(path))
}

/// A rename is durable only once its folder is synced. No-op on systems that cannot open folders.
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
