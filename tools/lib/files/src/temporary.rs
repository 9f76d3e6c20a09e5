//! Temporary files: in the folder of the final file, locked by their writer, and deleted when a signal ends the writer.
//! What a killed writer left is stale, and the next writer deletes it.

use crate::{Error, Result};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};
use tempfile::NamedTempFile;

/// A temporary file is called `.NAMExxxxxx.tmp`, with random letters and digits.
const SUFFIX: &str = ".tmp";
const RANDOM_CHARS: usize = 6;
/// Bytes that the temporary name has beyond NAME.
const EXTRA: usize = ".".len() + RANDOM_CHARS + SUFFIX.len();
/// Names above this many bytes are cut, so that the temporary name is no longer than the final one: a file system that
/// takes the one (255 bytes on most, 143 on eCryptfs) takes the other.
const UNCUT: usize = 100;

/// A new file for `path`, in its folder, locked and with `mode` (before the umask); dropping it deletes it.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<TempFile> {
    let prefix = prefix(path).ok_or(io::ErrorKind::IsADirectory)?;
    let folder = folder(path);
    sweep_prefix(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM_CHARS);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    loop {
        let file = TempFile::create(|| builder.tempfile_in(folder)).map_err(|error| refused(folder, &error))?;
        // On a file system without locks no process deletes stale files either.
        let _ = file.as_file().lock();
        // A sweep by another process between the two calls above deleted it as stale.
        if is_there(file.as_file())? {
            return Ok(file);
        }
    }
}

/// A file that is locked and has its temporary name.
#[derive(Debug)]
pub(crate) struct TempFile(Option<NamedTempFile>);

impl TempFile {
    fn create(create: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<Self> {
        #[cfg(unix)]
        let file = crate::signals::create(create)?;
        #[cfg(not(unix))]
        let file = create()?;
        Ok(Self(Some(file)))
    }

    pub(crate) fn as_file(&self) -> &File {
        self.0.as_ref().expect("only `persist` takes it").as_file()
    }

    pub(crate) fn as_file_mut(&mut self) -> &mut File {
        self.0.as_mut().expect("only `persist` takes it").as_file_mut()
    }

    /// Gives it its final name.
    pub(crate) fn persist(mut self, path: &Path) -> io::Result<()> {
        let Some(file) = self.0.take() else { return Ok(()) };
        let name = file.path().to_owned();
        let persisted = file.persist(path).map(drop).map_err(|e| e.error);
        forget(&name);
        persisted
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            let name = file.path().to_owned();
            drop(file);
            forget(&name);
        }
    }
}

fn forget(name: &Path) {
    #[cfg(unix)]
    crate::signals::forget(name);
    #[cfg(not(unix))]
    let _ = name;
}

/// Deletes the stale temporary files of `path`: those that killed writers left in its folder. The file of a running writer
/// is locked, and stays.
///
/// # Errors
/// When the folder cannot be read.
pub fn remove_stale(path: &Path) -> Result<()> {
    let Some(prefix) = prefix(path) else { return Ok(()) };
    let names = list(folder(path)).map_err(|e| Error::io(path.display(), e))?;
    names.iter().filter(|name| is_of(name, &prefix)).for_each(|name| remove_if_unlocked(&folder(path).join(name)));
    Ok(())
}

/// As [`remove_stale`], for all files of a folder that has one writer, such as a run folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn remove_stale_in(folder: &Path) -> Result<()> {
    let names = list(folder).map_err(|e| Error::io(folder.display(), e))?;
    names.iter().for_each(|name| remove_if_unlocked(&folder.join(name)));
    Ok(())
}

/// Deletes stale files before a new one is created; failing to is no error there. A folder is listed once a process:
/// otherwise n files written into it would take time in n².
fn sweep_prefix(folder: &Path, prefix: &OsStr) {
    static LISTED: LazyLock<Mutex<HashMap<PathBuf, Vec<OsString>>>> = LazyLock::new(Mutex::default);
    let mut listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    let names = listed.entry(folder.to_owned()).or_insert_with(|| list(folder).unwrap_or_default());
    names.retain(|name| {
        let own = is_of(name, prefix);
        if own {
            remove_if_unlocked(&folder.join(name));
        }
        !own
    });
}

/// The names in a folder that are those of temporary files.
fn list(folder: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    names.filter(|name| name.as_ref().map_or(true, |name| letters(name, OsStr::new(".")).is_some())).collect()
}

/// Deletes the file if no process has it locked.
fn remove_if_unlocked(path: &Path) {
    // No name makes it worthwhile to follow a link or to wait for a pipe.
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return;
    }
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    }
    let free = options.open(path).and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
    if free.is_ok_and(|file| file.metadata().is_ok_and(|metadata| metadata.is_file())) {
        let _ = fs::remove_file(path);
    }
}

fn prefix(path: &Path) -> Option<OsString> {
    let name = path.file_name()?;
    let mut prefix = OsString::from(".");
    if name.len() + EXTRA <= UNCUT {
        prefix.push(name);
    } else {
        let name = name.to_string_lossy();
        let kept = name.floor_char_boundary(path.file_name()?.len().max(UNCUT) - EXTRA);
        prefix.push(&name[..kept]);
    }
    Some(prefix)
}

fn is_of(name: &OsStr, prefix: &OsStr) -> bool {
    letters(name, prefix).is_some_and(|letters| letters.len() == RANDOM_CHARS)
}

/// The part of `name` between `prefix` and the suffix, if it ends in random letters.
fn letters<'n>(name: &'n OsStr, prefix: &OsStr) -> Option<&'n [u8]> {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes())?;
    let rest = rest.strip_suffix(SUFFIX.as_bytes())?;
    let drawn = rest.len().checked_sub(RANDOM_CHARS).map(|begin| &rest[begin..])?;
    drawn.iter().all(u8::is_ascii_alphanumeric).then_some(rest)
}

#[cfg(unix)]
fn is_there(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink() > 0)
}

#[cfg(not(unix))]
fn is_there(_: &File) -> io::Result<bool> {
    Ok(true)
}

/// Why no file can be created in `folder`, without the temporary name.
fn refused(folder: &Path, error: &io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), format!("there is no folder {}", folder.display())),
        kind => kind.into(),
    }
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn stale_files_are_deleted_and_the_file_of_a_running_writer_is_not() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x.npy");
        let alive = create(&path, 0o666).expect("a file");
        let others = [".x.npy.tmp", ".x.npyabcde.tmp", ".x.npyabc-ef.tmp", ".y.npyabcdef.tmp", "x.npyabcdef.tmp"];
        for name in others.iter().chain(&[".x.npyabcdef.tmp"]) {
            fs::write(here.path().join(name), "left").expect("written");
        }
        std::os::unix::fs::symlink(here.path().join("target"), here.path().join(".x.npyABCDEF.tmp")).expect("a link");
        remove_stale(&path).expect("swept");
        let left = names(here.path());
        assert!(others.iter().all(|name| left.contains(&(*name).to_owned())), "{left:?}");
        assert!(left.contains(&".x.npyABCDEF.tmp".to_owned()), "a link is never a temporary file");
        assert_eq!(left.len(), others.len() + 2, "{left:?}");
        alive.persist(&path).expect("renamed");
        assert!(path.exists());
        remove_stale_in(here.path()).expect("swept");
        assert!(!names(here.path()).contains(&".y.npyabcdef.tmp".to_owned()));
    }

    #[test]
    fn the_temporary_name_is_no_longer_than_a_long_name() {
        for name in ["x".repeat(255), "é".repeat(127), format!("{}é", "x".repeat(143)), "日".repeat(85)] {
            let prefix = prefix(Path::new(&name)).expect("a name");
            assert!(prefix.len() + RANDOM_CHARS + SUFFIX.len() <= name.len(), "{name}");
            let here = tempfile::tempdir().expect("a folder");
            create(&here.path().join(&name), 0o666)
                .expect("a file")
                .persist(&here.path().join(&name))
                .expect("renamed");
            assert_eq!(names(here.path()), [name]);
        }
        assert_eq!(prefix(Path::new("a/x.npy")).expect("a name"), ".x.npy");
    }
}
