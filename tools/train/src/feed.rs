//! The rows of a part as the network takes them, batch by batch.

use crate::{
    augment::{Augmentation, Epoch},
    data::{Inputs, Part, gather},
    network::Network,
};
use anyhow::ensure;
use nets::{Batch, Loss, Scaling};
use rayon::prelude::*;

/// Numbers that one thread takes at least: below, waking another costs more than it saves.
const MIN_NUMBERS: usize = 1 << 16;

/// Inputs, targets and weights of a part's rows.
pub struct Feed<'a> {
    part: Part<'a>,
    inputs: Source<'a>,
    /// `[rows, target width]`, scaled.
    targets: Vec<f32>,
    /// `[rows]`; empty where rows have no weights of their own.
    weights: Vec<f32>,
    class_weights: &'a [f32],
    input_width: usize,
    pub target_width: usize,
    /// Rows that there are.
    pub count: usize,
}

/// Some rows of a [`Feed`], as an engine takes them; reused from batch to batch.
#[derive(Default)]
pub struct Rows {
    /// `[batch, input width]`
    pub inputs: Vec<f32>,
    /// `[batch, target width]`
    pub targets: Vec<f32>,
    weights: Vec<f32>,
}

enum Source<'a> {
    /// `[rows, input width]`, scaled once.
    Scaled(Vec<f32>),
    /// Prepared each time they are needed.
    Raw(Raw<'a>),
}

struct Raw<'a> {
    inputs: &'a Inputs,
    rows: &'a [usize],
    shape: &'a [usize],
    scaling: Option<&'a Scaling>,
    augmentation: Option<Augmentation>,
}

impl<'a> Feed<'a> {
    /// The rows as they are.
    pub fn plain(part: Part<'a>, network: &'a Network) -> Self {
        Self::new(part, network, None)
    }

    /// The rows as they are learned from.
    pub fn new(part: Part<'a>, network: &'a Network, augmentation: Option<Augmentation>) -> Self {
        let Part { table, rows } = part;
        let (scaling, shape) = (network.scaling.as_ref(), table.input.shape.as_slice());
        let inputs = match &table.inputs {
            Inputs::Real(values) if augmentation.is_none() => {
                let mut inputs = Vec::new();
                gather(values, table.input_width(), rows, &mut inputs);
                scaling.iter().for_each(|scaling| scaling.apply(&mut inputs, shape));
                Source::Scaled(inputs)
            }
            inputs => Source::Raw(Raw { inputs, rows, shape, scaling, augmentation }),
        };
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        gather(&table.targets, table.target_width(), rows, &mut targets);
        network.target_scaling.iter().for_each(|scaling| scaling.apply(&mut targets));
        if !table.weights.is_empty() {
            gather(&table.weights, 1, rows, &mut weights);
        }
        let (input_width, target_width) = (table.input_width(), table.target_width());
        let class_weights = network.class_weights.as_slice();
        Self { part, inputs, targets, weights, class_weights, input_width, target_width, count: rows.len() }
    }

    /// The first rows, at most `count`.
    pub fn limited(self, count: usize) -> Self {
        Self { count: count.min(self.count), ..self }
    }

    /// Overwrites `rows` with those at `places`, as they are seen in `epoch`.
    pub fn read(&self, places: &[usize], epoch: usize, rows: &mut Rows) {
        let Rows { inputs, targets, weights } = rows;
        gather(&self.targets, self.target_width, places, targets);
        if !self.weights.is_empty() {
            gather(&self.weights, 1, places, weights);
        }
        match &self.inputs {
            Source::Scaled(values) => gather(values, self.input_width, places, inputs),
            Source::Raw(raw) => {
                // All of it is overwritten.
                inputs.resize(places.len() * self.input_width, 0.0);
                match raw.inputs {
                    Inputs::Bytes(bytes) => raw.prepare(bytes, places, epoch, inputs),
                    Inputs::Real(values) => raw.prepare(values, places, epoch, inputs),
                }
            }
        }
    }

    /// What an engine learns from, of rows that were read.
    pub fn batch<'r>(&'r self, rows: &'r Rows) -> Batch<'r> {
        Batch {
            inputs: &rows.inputs,
            targets: &rows.targets,
            weights: &rows.weights,
            class_weights: self.class_weights,
        }
    }

    /// Overwrites `targets` `[batch, target width]` with those at `places` in the target's own units.
    pub fn raw_targets(&self, places: &[usize], targets: &mut Vec<f32>) {
        let rows: Vec<usize> = places.iter().map(|&place| self.part.rows[place]).collect();
        gather(&self.part.table.targets, self.target_width, &rows, targets);
    }

    /// What a mean loss over all rows divides by.
    pub fn total_weight(&self, loss: Loss) -> f64 {
        let targets = &self.targets[..self.count * self.target_width];
        let weights = &self.weights[..self.count.min(self.weights.len())];
        loss.total_weight(Batch { inputs: &[], targets, weights, class_weights: self.class_weights }, self.count)
    }

    /// # Errors
    /// When there are rows for a use (`training`) that weigh nothing.
    pub fn check_weight(&self, loss: Loss, what_for: &str) -> anyhow::Result<()> {
        ensure!(
            self.count == 0 || self.total_weight(loss) > 0.0,
            "trainer.weight_field, trainer.class_weights: the {} rows for {what_for} weigh 0 in all",
            self.count
        );
        Ok(())
    }
}

impl Raw<'_> {
    /// Writes the rows at `places`, each for itself.
    fn prepare<T: Copy + Into<f32> + Sync>(&self, table: &[T], places: &[usize], epoch: usize, out: &mut [f32]) {
        let width: usize = self.shape.iter().product();
        let augmentation = self.augmentation.as_ref().map(|augmentation| (augmentation, augmentation.epoch(epoch)));
        let rows = out.par_chunks_exact_mut(width).zip(places).with_min_len(MIN_NUMBERS.div_ceil(width));
        rows.for_each(|(out, &place)| {
            let row = self.rows[place];
            self.prepare_row(&table[row * width..(row + 1) * width], row, augmentation, out);
        });
    }

    fn prepare_row<T: Copy + Into<f32>>(
        &self,
        from: &[T],
        row: usize,
        augmentation: Option<(&Augmentation, Epoch)>,
        out: &mut [f32],
    ) {
        match augmentation {
            Some((augmentation, epoch)) => augmentation.apply(from, row, epoch, out),
            None => out.iter_mut().zip(from).for_each(|(out, &x)| *out = x.into()),
        }
        self.scaling.iter().for_each(|scaling| scaling.apply(out, self.shape));
    }
}
