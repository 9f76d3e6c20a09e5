//! SHA-256 of what passes by.

use super::Sum;
use files::Sha256;
use std::io::{self, Read};

/// The hash and length of the bytes so far.
#[derive(Clone, Default)]
pub struct Digest {
    hash: Sha256,
    bytes: u64,
}

/// Bytes read at a time.
const BLOCK: usize = 1 << 18;

impl Digest {
    /// Of all that `source` holds.
    pub fn of(mut source: impl Read) -> io::Result<Self> {
        let mut digest = Self::default();
        let mut block = vec![0; BLOCK];
        loop {
            match source.read(&mut block) {
                Ok(0) => return Ok(digest),
                Ok(count) => digest.update(&block[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn sum(&self) -> Sum {
        Sum { sha256: self.hash.hex(), bytes: self.bytes }
    }
}
