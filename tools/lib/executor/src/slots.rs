//! The rule of every memory plan: which buffer a value takes whose lifetime begins.

/// Buffers, and those of them that are free.
#[derive(Debug, Default)]
pub struct Slots {
    /// Length of each, as far as it has been asked for.
    lens: Vec<usize>,
    free: Vec<usize>,
}

impl Slots {
    /// The smallest free buffer that is long enough, or else the longest one, made longer; a new one if none is free.
    pub fn take(&mut self, len: usize) -> usize {
        let fitting =
            (0..self.free.len()).filter(|&i| self.lens[self.free[i]] >= len).min_by_key(|&i| self.lens[self.free[i]]);
        let best = fitting.or_else(|| (0..self.free.len()).max_by_key(|&i| self.lens[self.free[i]]));
        match best {
            Some(index) => {
                let slot = self.free.swap_remove(index);
                self.lens[slot] = self.lens[slot].max(len);
                slot
            }
            None => {
                self.lens.push(len);
                self.lens.len() - 1
            }
        }
    }

    /// The value in a buffer was read for the last time.
    pub fn release(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// Length of each buffer.
    pub fn into_lens(self) -> Vec<usize> {
        self.lens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_the_smallest_buffer_that_fits_or_lengthens_the_longest() {
        let mut slots = Slots::default();
        let [small, large, middle] = [10, 30, 20].map(|len| slots.take(len));
        [small, large, middle].into_iter().for_each(|slot| slots.release(slot));
        assert_eq!(slots.take(15), middle);
        assert_eq!(slots.take(50), large);
        assert_eq!(slots.take(60), small);
        assert_eq!(slots.take(1), 3);
        assert_eq!(slots.into_lens(), [60, 50, 20, 1]);
    }
}
