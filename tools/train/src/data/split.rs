//! Training, validation and test splits.

use super::{Dataset, stream};
use crate::settings::TrainerSettings;
use anyhow::ensure;
use random::Random;

/// Some rows of a dataset.
#[derive(Clone, Copy)]
pub struct Split<'a> {
    pub dataset: &'a Dataset,
    /// Indices into the dataset, ascending.
    pub rows: &'a [usize],
}

/// Indices of the rows for training, validation and test: a permutation drawn from `trainer.seed`, cut by
/// `trainer.split`, each part in ascending order. A split with a file of its own gets none.
///
/// # Errors
/// When no row is left for training.
pub fn random(count: usize, trainer: &TrainerSettings) -> anyhow::Result<[Vec<usize>; 3]> {
    let size = |share: f64, file: &Option<String>| match file {
        None => (count as f64 * share).round() as usize,
        Some(_) => 0,
    };
    let val = size(trainer.split[1], &trainer.val_input);
    let test = size(trainer.split[2], &trainer.test_input);
    let train = count.saturating_sub(val + test);
    ensure!(train > 0, "trainer.split: no row of {} is left for training", count);
    let order = Random::new(trainer.seed, stream::SPLIT).permutation(count);
    let take = |from: usize, count: usize| {
        let mut chosen = order[from..(from + count).min(order.len())].to_vec();
        chosen.sort_unstable();
        chosen
    };
    Ok([take(0, train), take(train, val), take(train + val, test)])
}
