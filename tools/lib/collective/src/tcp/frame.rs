//! The header of a message: it shows when two ranks are not at the same point of the program.

/// Bytes of a header.
pub const HEADER: usize = 16;

const DATA: u32 = 0x7067_6401;
const LOST: u32 = 0x7067_6402;
const FAILED: u32 = 0x7067_6403;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    kind: u32,
    sequence: u32,
    /// Bytes of the message; of [`Self::lost`] and [`Self::failed`], the rank.
    length: u64,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The expected message follows.
    Data,
    /// The sender ends, because this rank was lost.
    Lost(usize),
    /// The sender ends, because this rank has had an error.
    Failed(usize),
    /// Nothing that belongs here.
    Other,
}

impl Header {
    /// Of a message of `length` bytes in the exchange of that number.
    pub fn data(sequence: u32, length: usize) -> Self {
        Self { kind: DATA, sequence, length: length as u64 }
    }

    pub fn lost(rank: usize) -> Self {
        Self { kind: LOST, sequence: 0, length: rank as u64 }
    }

    pub fn failed(rank: usize) -> Self {
        Self { kind: FAILED, sequence: 0, length: rank as u64 }
    }

    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.length.to_ne_bytes());
        bytes
    }

    /// What `bytes` say where this header is expected.
    pub fn read(self, bytes: [u8; HEADER]) -> Meaning {
        if bytes == self.to_bytes() {
            return Meaning::Data;
        }
        let rank = u64::from_ne_bytes([8, 9, 10, 11, 12, 13, 14, 15].map(|i| bytes[i])) as usize;
        match u32::from_ne_bytes([0, 1, 2, 3].map(|i| bytes[i])) {
            LOST => Meaning::Lost(rank),
            FAILED => Meaning::Failed(rank),
            _ => Meaning::Other,
        }
    }
}
