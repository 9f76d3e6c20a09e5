//! Where rows come from.

use crate::{Error, Result};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// An open source of bytes and the name that messages give it.
pub struct Input {
    pub(crate) name: Arc<str>,
    source: Source,
    /// Bytes that were looked at and are still to be read.
    ahead: Vec<u8>,
    /// Whether a stream's end was read.
    has_ended: bool,
}

enum Source {
    /// A regular file, which can be read anywhere.
    File(File),
    /// A pipe, a device or memory.
    Stream(Box<dyn Read + Send>),
}

impl Input {
    /// The file at `path`, or standard input where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened or is a folder.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::stdin()) };
        let file = File::open(path).map_err(|e| Error::io(path.display(), e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path.display(), e))?;
        if metadata.is_dir() {
            return Err(Error::io(path.display(), io::ErrorKind::IsADirectory.into()));
        }
        let source = if metadata.is_file() { Source::File(file) } else { Source::Stream(Box::new(file)) };
        Ok(Self { name: path.display().to_string().into(), source, ahead: Vec::new(), has_ended: false })
    }

    fn stdin() -> Self {
        widen_pipe(&io::stdin());
        let source = redirected().map_or_else(|| Source::Stream(Box::new(io::stdin())), Source::File);
        Self { name: "stdin".into(), source, ahead: Vec::new(), has_ended: false }
    }

    /// Bytes from anywhere else, under a name.
    pub fn new(name: &str, bytes: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), source: Source::Stream(Box::new(bytes)), ahead: Vec::new(), has_ended: false }
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
            match self.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(|e| Error::io(&self.name, e)),
            }
        }
    }

    /// The next bytes, not taken: at least `count` of them, or all that there are.
    pub(crate) fn peek(&mut self, count: usize) -> Result<&[u8]> {
        while self.ahead.len() < count {
            let mut more = vec![0; count - self.ahead.len()];
            // What was looked at before stays in front of what is read now.
            let ahead = std::mem::take(&mut self.ahead);
            let read = self.read_some(&mut more);
            self.ahead = ahead;
            match read? {
                0 => break,
                read => self.ahead.extend_from_slice(&more[..read]),
            }
        }
        Ok(&self.ahead)
    }

    /// Drops `count` bytes that were looked at.
    pub(crate) fn skip(&mut self, count: usize) {
        self.ahead.drain(..count);
    }

    /// Where the next byte stands, in a file that can be read anywhere; None on a pipe.
    pub(crate) fn position(&mut self) -> Result<Option<u64>> {
        let Source::File(file) = &mut self.source else { return Ok(None) };
        let position = file.stream_position().map_err(|e| Error::io(&self.name, e))?;
        Ok(Some(position - self.ahead.len() as u64))
    }

    /// Goes to `position`, which [`Input::position`] counts. On a pipe, nothing happens.
    pub(crate) fn seek(&mut self, position: u64) -> Result<()> {
        if let Source::File(file) = &mut self.source {
            self.ahead.clear();
            file.seek(SeekFrom::Start(position)).map_err(|e| Error::io(&self.name, e))?;
        }
        Ok(())
    }
}

/// The bytes as they come, for a reader with a format of its own.
impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let count = buffer.len().min(self.ahead.len());
            buffer[..count].copy_from_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            return Ok(count);
        }
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            // The end of a terminal's input is typed once.
            Source::Stream(_) if self.has_ended => Ok(0),
            Source::Stream(bytes) => {
                let count = bytes.read(buffer)?;
                self.has_ended = count == 0 && !buffer.is_empty();
                Ok(count)
            }
        }
    }
}

/// The regular file that standard input is (`< rows.npy`), if it is one.
#[cfg(unix)]
fn redirected() -> Option<File> {
    use std::os::fd::AsFd;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    file.metadata().is_ok_and(|metadata| metadata.is_file()).then_some(file)
}

#[cfg(not(unix))]
fn redirected() -> Option<File> {
    None
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
