//! Buffers aligned to cache lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line and of the widest vector register.
const LINE: usize = 64;

/// Elements aligned to [`LINE`]: a load across two cache lines takes twice as long.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<f32>,
    first: usize,
    len: usize,
}

impl Buffer {
    /// Sets the length to `len`; the contents are unspecified. Grows, never shrinks, its memory.
    pub fn room(&mut self, len: usize) -> &mut [f32] {
        if self.memory.len() < self.first + len {
            // A new vector: resizing would copy contents that are not needed.
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
    fn elements_are_aligned_to_a_cache_line() {
        let mut buffer = Buffer::default();
        for len in [0, 1, 100, 3, 5000, 4999] {
            let room = buffer.room(len);
            assert_eq!(room.len(), len);
            assert!(room.is_empty() || room.as_ptr().addr().is_multiple_of(LINE), "{len} elements");
        }
    }
}
