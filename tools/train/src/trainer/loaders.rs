//! The data loaders of a run, and how many batches of each are used.

use crate::{
    data::{DataLoader, DataModule},
    network::Network,
    settings::{BatchLimit, Settings},
};

/// Lightning's train, val and test data loaders.
pub struct DataLoaders<'a> {
    /// Augmented; shuffled anew each epoch by [`super::Trainer::order`].
    pub train: DataLoader<'a>,
    /// Empty where no rows are held out; the training batches with `trainer.overfit_batches`.
    pub val: DataLoader<'a>,
    pub test: DataLoader<'a>,
    /// Training batches per epoch.
    pub batches_per_epoch: usize,
}

impl<'a> DataLoaders<'a> {
    /// # Errors
    /// When the weights of a loader's rows sum to 0, or a batch is too small for a batch norm.
    pub fn new(settings: &Settings, data: &'a DataModule, network: &'a Network) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let [train_rows, val_rows, test_rows] = data.counts();
        let all = train_rows.div_ceil(trainer.batch_size);
        let batches_per_epoch = match trainer.overfit_batches {
            0 if trainer.fast_dev_run => 1,
            0 => BatchLimit::of(trainer.limit_train_batches, all),
            most => most.min(all),
        };
        let max_rows = |limit, rows: usize| match trainer.fast_dev_run {
            true => trainer.batch_size,
            false => BatchLimit::of(limit, rows.div_ceil(trainer.batch_size)).saturating_mul(trainer.batch_size),
        };
        let plain = |split| DataLoader::plain(split, network);
        let val = match trainer.overfit_batches {
            0 => plain(data.val()).limited(max_rows(trainer.limit_val_batches, val_rows)),
            _ => plain(data.train()).limited(batches_per_epoch.saturating_mul(trainer.batch_size)),
        };
        let train = DataLoader::new(data.train(), network, network.augmentation(settings, data)?);
        let test = plain(data.test()).limited(max_rows(trainer.limit_test_batches, test_rows));
        for (loader, what_for) in [(&train, "training"), (&val, "validation"), (&test, "the test")] {
            loader.check_weight(trainer.loss(), what_for)?;
        }
        network.check_batches(train_rows, trainer.batch_size, batches_per_epoch)?;
        Ok(Self { train, val, test, batches_per_epoch })
    }
}
