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
