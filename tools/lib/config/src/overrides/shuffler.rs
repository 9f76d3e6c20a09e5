//! Orders for `shuffle()`: random, and the same for the same seed.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Draws one order after the other; Hydra draws them from a generator that is not seeded.
#[derive(Debug)]
pub(crate) struct Shuffler(ChaCha8Rng);

impl Shuffler {
    /// The orders that belong to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Fisher and Yates: each order is equally likely, up to 2^-64 times the number of items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let product = u128::from(self.0.next_u64()) * (last as u128 + 1);
            items.swap(last, (product >> 64) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_three_comes_up_about_as_often() {
        let mut shuffler = Shuffler::new(0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffler.shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        // 1000 each, with a deviation of 29.
        assert!(counts.len() == 6 && counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
