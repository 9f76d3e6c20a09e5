//! Memory that vectors are read from and written to in whole lines of a cache.

use std::ops::{Deref, DerefMut};

/// Bytes of a line, and of the widest vector.
const LINE: usize = 64;

/// Elements of which the first begins a line: a vector that lies across two takes twice as long.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<f32>,
    first: usize,
    len: usize,
}

impl Buffer {
    /// Makes it `len` elements long, with anything in them.
    pub fn room(&mut self, len: usize) -> &mut [f32] {
        if self.memory.len() < self.first + len {
            // What it held would only be copied.
            self.memory = vec![0.0; len + LINE / size_of::<f32>()];
            self.first = self.memory.as_ptr().align_offset(LINE).min(self.memory.len() - len);
        }
        self.len = len;
        self
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.first..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_begin_a_line() {
        let mut buffer = Buffer::default();
        for len in [0, 1, 100, 3, 5000, 4999] {
            let room = buffer.room(len);
            assert_eq!(room.len(), len);
            assert!(room.is_empty() || room.as_ptr().addr().is_multiple_of(LINE), "{len} elements");
        }
    }
}
