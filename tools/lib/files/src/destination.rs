//! What a path means to a writer: standard output, an open descriptor, a device, or a file to replace.

use crate::stdout;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Where bytes for a path are written.
pub(crate) enum Destination {
    /// Standard output: `/dev/stdout`, `/dev/fd/1`, `/proc/self/fd/1`.
    Stdout,
    /// Another open descriptor, a device or a named pipe.
    Open(File),
    /// A regular file; mode and owner of `old`, the one that exists, are kept.
    Replace { path: PathBuf, old: Option<fs::Metadata> },
}

/// Most symbolic links that are followed, as in Linux.
const MAX_LINKS: usize = 40;

impl Destination {
    /// Follows symbolic links: they stay, and the file that they point to is written.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let old = match fs::metadata(path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // For instance a link of another user in a world-writable folder (fs.protected_symlinks).
            Err(error) => return Err(error),
        };
        if old.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut path = path.to_owned();
        for followed in 0..=MAX_LINKS {
            if let Some(descriptor) = Descriptor::of(&path) {
                return descriptor.open();
            }
            if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
                return match old {
                    // A device or a named pipe cannot be replaced by a rename, and must not be.
                    Some(old) if !old.is_file() => Ok(Self::Open(File::options().write(true).open(&path)?)),
                    Some(old) if followed > 0 && old.permissions().readonly() => Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        format!("a link to {}, which is write-protected; remove the link first", path.display()),
                    )),
                    old => Ok(Self::Replace { path, old }),
                };
            }
            let target = fs::read_link(&path)?;
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        Err(io::Error::other("too many symbolic links"))
    }
}

/// An open descriptor of a process, named in `/dev/fd` or `/proc`.
struct Descriptor {
    /// The descriptor, if the process is this one.
    own: Option<i32>,
    path: PathBuf,
}

impl Descriptor {
    fn of(path: &Path) -> Option<Self> {
        let number: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let folder = crate::temporary::folder(path);
        let own = |own: bool| Some(Self { own: own.then_some(number), path: path.to_owned() });
        if folder == Path::new("/dev/fd") {
            return own(true);
        }
        let folder = folder.canonicalize().ok()?;
        let mut parts = folder.strip_prefix("/proc").ok()?.iter();
        let process = parts.next()?.to_str()?;
        // /proc/PID/fd, /proc/PID/task/TID/fd
        (folder.file_name()? == "fd").then_some(())?;
        own(process.parse() == Ok(std::process::id()))
    }

    /// Duplicates the descriptor, so that the position is shared with other writers; where that fails, appends to the file.
    fn open(&self) -> io::Result<Destination> {
        if self.own == Some(1) {
            return Ok(Destination::Stdout);
        }
        let shared = self.own.and_then(stdout::share);
        let file = match shared {
            Some(file) => file,
            None => File::options().append(true).open(&self.path)?,
        };
        Ok(Destination::Open(file))
    }
}
