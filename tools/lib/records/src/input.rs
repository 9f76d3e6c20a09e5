//! Where rows come from.

use crate::{Error, Result};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

/// An open source of bytes and the name that messages give it.
pub struct Input {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Box<dyn Read + Send>,
}

impl Input {
    /// The file at `path`, or standard input where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened or is a folder.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            widen_pipe(&io::stdin());
            return Ok(Self { name: "stdin".into(), bytes: Box::new(io::stdin()) });
        };
        let file = File::open(path).map_err(|e| Error::io(path.display(), e))?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(Error::io(path.display(), io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self { name: path.display().to_string().into(), bytes: Box::new(file) })
    }

    /// Bytes from anywhere else, under a name.
    pub fn new(name: &str, bytes: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), bytes: Box::new(bytes) }
    }

    /// The name that messages give it: the path, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads until `buffer` is full or the input ends; returns the number of bytes read.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    /// One successful read, which may be short; 0 at end of input.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.bytes.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(|e| Error::io(&self.name, e)),
            }
        }
    }
}

/// The bytes as they come, for a reader with a format of its own.
impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

/// Lets a pipe hold a whole batch, so that the tools on its two ends take turns less often.
#[cfg(target_os = "linux")]
pub(crate) fn widen_pipe(end: &impl std::os::fd::AsFd) {
    /// What an unprivileged process may ask for (`/proc/sys/fs/pipe-max-size`).
    const PIPE_BYTES: usize = 1 << 20;
    // On what is no pipe, or where the user's pipes are used up, nothing changes.
    let _ = rustix::pipe::fcntl_setpipe_size(end, PIPE_BYTES);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn widen_pipe<T>(_: &T) {}
