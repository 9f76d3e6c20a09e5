//! The rows of a part as the network takes them, batch by batch.

use crate::{
    augment::{Augmentation, Epoch},
    data::{Inputs, Part, gather},
    network::Network,
};
use nets::Scaling;
use rayon::prelude::*;

/// Numbers that one thread takes at least: below, waking another costs more than it saves.
const MIN_NUMBERS: usize = 1 << 16;

/// Inputs and targets of a part's rows.
pub struct Feed<'a> {
    inputs: Source<'a>,
    /// `[rows, target width]`
    targets: Vec<f32>,
    input_width: usize,
    pub target_width: usize,
    /// Rows that there are.
    pub count: usize,
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
        let (scaling, shape) = (network.scaling.as_ref(), network.task.input_shape.as_slice());
        let inputs = match &table.inputs {
            Inputs::Real(values) if augmentation.is_none() => {
                let mut inputs = Vec::new();
                gather(values, table.input_width(), rows, &mut inputs);
                scaling.iter().for_each(|scaling| scaling.apply(&mut inputs, shape));
                Source::Scaled(inputs)
            }
            inputs => Source::Raw(Raw { inputs, rows, shape, scaling, augmentation }),
        };
        let mut targets = Vec::new();
        gather(&table.targets, table.target_width(), rows, &mut targets);
        let (input_width, target_width) = (table.input_width(), table.target_width());
        Self { inputs, targets, input_width, target_width, count: rows.len() }
    }

    /// The first rows, at most `count`.
    pub fn limited(self, count: usize) -> Self {
        Self { count: count.min(self.count), ..self }
    }

    /// Overwrites `inputs` `[batch, input width]` and `targets` `[batch, target width]` with the rows at `places`, as
    /// they are seen in `epoch`.
    pub fn batch(&self, places: &[usize], epoch: usize, inputs: &mut Vec<f32>, targets: &mut Vec<f32>) {
        gather(&self.targets, self.target_width, places, targets);
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
