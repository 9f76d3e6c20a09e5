//! Standard input, files, pipes: a source of bytes with a name and lookahead.

use crate::{Error, Limit, RandomAccess, Result};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// An open source of bytes and the name that messages give it.
pub struct Input {
    name: Arc<str>,
    source: Source,
    /// Bytes that [`Input::peek`] read, and that are still to be delivered.
    ahead: Vec<u8>,
    /// Whether the end of a stream was read.
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
        if path.as_os_str().is_empty() {
            return Err(Error::EmptyPath);
        }
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

    /// As [`Input::name`], for locations that share it.
    pub fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// Reads until `buffer` is full or the input ends; returns the number of bytes read.
    ///
    /// # Errors
    /// I/O errors.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    /// One read, which may be short, repeated where a signal interrupts it; 0 at end of input.
    ///
    /// # Errors
    /// I/O errors.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(|e| Error::io(&self.name, e)),
            }
        }
    }

    /// All bytes that are left.
    ///
    /// # Errors
    /// I/O errors; and when there are more than `limit`.
    pub fn read_all(&mut self, limit: Limit<'_>) -> Result<Vec<u8>> {
        let (name, mut bytes) = (self.name.to_string(), Vec::new());
        let read = self.by_ref().take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| Error::io(&name, e))?;
        if bytes.len() as u64 > limit.bytes {
            return Err(Error::TooLong { path: name, bytes: limit.bytes, setting: limit.setting.map(str::to_owned) });
        }
        Ok(bytes)
    }

    /// The next bytes without consuming them: at least `count`, fewer at end of input.
    ///
    /// # Errors
    /// I/O errors.
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        while self.ahead.len() < count {
            let mut more = vec![0; count - self.ahead.len()];
            // `read_some` would deliver `ahead` again.
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

    /// Consumes `count` bytes of those that [`Input::peek`] returned.
    ///
    /// # Panics
    /// When it returned fewer.
    pub fn skip(&mut self, count: usize) {
        self.ahead.drain(..count);
    }

    /// The offset of the next byte in a regular file; None for a pipe or memory.
    ///
    /// # Errors
    /// I/O errors.
    pub fn position(&mut self) -> Result<Option<u64>> {
        let Source::File(file) = &mut self.source else { return Ok(None) };
        let position = file.stream_position().map_err(|e| Error::io(&self.name, e))?;
        Ok(Some(position - self.ahead.len() as u64))
    }

    /// Its bytes, to be read at any offset; None for a pipe or memory.
    ///
    /// # Errors
    /// I/O errors.
    pub fn random_access(&self) -> Result<Option<RandomAccess>> {
        match &self.source {
            Source::File(file) => RandomAccess::new(&self.name, file).map(Some),
            Source::Stream(_) => Ok(None),
        }
    }

    /// Continues at `position`, an offset as [`Input::position`] returns it. No-op where that is None.
    ///
    /// # Errors
    /// I/O errors.
    pub fn seek(&mut self, position: u64) -> Result<()> {
        if let Source::File(file) = &mut self.source {
            self.ahead.clear();
            file.seek(SeekFrom::Start(position)).map_err(|e| Error::io(&self.name, e))?;
        }
        Ok(())
    }
}

/// For readers of formats other than records.
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
            // On a terminal, Ctrl-D is typed once; reading again would wait for another.
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

/// Lets a pipe hold a whole batch, so that the two processes alternate less often.
#[cfg(target_os = "linux")]
pub(crate) fn widen_pipe(end: &impl std::os::fd::AsFd) {
    /// The most that an unprivileged process can set (`/proc/sys/fs/pipe-max-size`).
    const PIPE_BYTES: usize = 1 << 20;
    // Fails on anything but a pipe, and where the user's quota is used up; then nothing changes.
    let _ = rustix::pipe::fcntl_setpipe_size(end, PIPE_BYTES);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn widen_pipe<T>(_: &T) {}
