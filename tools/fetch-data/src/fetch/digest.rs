//! SHA-256 and size of a stream.

use super::Checksum;
use files::Sha256;
use std::io::{self, Read};

/// The SHA-256 and the number of the bytes so far.
#[derive(Clone, Default)]
pub struct Digest {
    hash: Sha256,
    bytes: u64,
}

/// Size of a read, in bytes.
const BLOCK: usize = 1 << 18;

impl Digest {
    /// Reads `source` to its end.
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

    pub fn checksum(&self) -> Checksum {
        Checksum { sha256: self.hash.hex(), bytes: self.bytes }
    }
}
