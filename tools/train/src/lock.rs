//! A run folder belongs to one run at a time.

use anyhow::{Context, bail};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The file that is locked. The kernel releases the lock when the process that holds it dies, however it dies.
const LOCK: &str = ".lock";
/// Most bytes of a lock file that an error quotes.
const MOST_QUOTED: u64 = 64;

/// A locked run folder. The lock file is deleted when the lock goes, and so are folders that it created and nobody
/// has written to.
pub struct Lock {
    path: PathBuf,
    _file: File,
    created: Vec<PathBuf>,
}

impl Lock {
    /// Locks `folder`, which is created where it is missing.
    ///
    /// # Errors
    /// When another process holds the lock: it is named.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let created: Vec<PathBuf> = folder.ancestors().take_while(missing).map(Path::to_owned).collect();
        fs::create_dir_all(folder).with_context(|| format!("{}: trainer.run_dir", folder.display()))?;
        let path = folder.join(LOCK);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = no_link(&mut options).open(&path).with_context(|| path.display().to_string())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => bail!(
                    "{}: {} is writing to this folder; wait for it, or choose another folder with -o",
                    folder.display(),
                    holder(&mut file)
                ),
                // A file system without locks: there, so be it.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(|| path.display().to_string()),
            }
            // The one before may have deleted the file between the two lines above.
            if is_same(&file, &path) {
                file.set_len(0).with_context(|| path.display().to_string())?;
                writeln!(file, "train, process {}", std::process::id()).with_context(|| path.display().to_string())?;
                return Ok(Self { path, _file: file, created });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: who opens the path from now on creates another file.
        let _ = fs::remove_file(&self.path);
        self.created.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// A link in a folder that came from elsewhere must not choose what is written to.
pub fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Who wrote the lock file: `train, process 123`.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(MOST_QUOTED).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().escape_debug().to_string(),
        _ => "another run".into(),
    }
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &File, path: &Path) -> bool {
    path.exists()
}
