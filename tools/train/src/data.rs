//! The rows in memory, and which of them are for what.

use crate::settings::TrainerSettings;
use anyhow::ensure;
use kernels::random::Random;
use nets::Loss;
use records::{Batch, Input, ReadOptions, Reader};
use sha2::{Digest, Sha256};

/// Streams of the trainer's seed, one for each use.
pub mod stream {
    pub const SPLIT: u64 = 0;
    pub const PARAMETERS: u64 = 1;
    /// The order of epoch e is drawn from this stream plus e.
    pub const ORDER: u64 = 2;
}

/// Inputs and targets of some rows.
#[derive(Default)]
pub struct Rows {
    /// `[rows, input width]`
    pub inputs: Vec<f32>,
    /// `[rows, target width]`
    pub targets: Vec<f32>,
}

/// All rows, and what one looks like.
pub struct Table {
    pub rows: Rows,
    pub count: usize,
    pub input_shape: Vec<usize>,
    pub target_shape: Vec<usize>,
}

impl Table {
    pub fn input_width(&self) -> usize {
        self.input_shape.iter().product()
    }

    pub fn target_width(&self) -> usize {
        self.target_shape.iter().product()
    }

    /// SHA-256 of all inputs, then all targets, as little-endian f32.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for value in self.rows.inputs.chunks(4096).chain(self.rows.targets.chunks(4096)) {
            let bytes: Vec<u8> = value.iter().flat_map(|x| x.to_le_bytes()).collect();
            hash.update(bytes);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Rows for training, validation and test. The last two may be empty.
pub struct Split {
    pub train: Rows,
    pub val: Rows,
    pub test: Rows,
    pub counts: [usize; 3],
}

/// Reads all rows as f32.
pub fn read(input: Input, options: &ReadOptions<'_>, trainer: &TrainerSettings) -> anyhow::Result<Table> {
    let mut reader = Reader::open(input, options)?;
    let mut rows = Rows::default();
    let (mut batch, mut inputs, mut targets) = (Batch::new(), Vec::new(), Vec::new());
    let mut shapes = None;
    while reader.read(&mut batch)? {
        batch.column_f32(&trainer.input_field, &mut inputs)?;
        batch.column_f32(&trainer.target_field, &mut targets)?;
        check_finite(&batch, &trainer.input_field, &inputs)?;
        check_finite(&batch, &trainer.target_field, &targets)?;
        check_targets(&batch, trainer, &targets)?;
        rows.inputs.extend_from_slice(&inputs);
        rows.targets.extend_from_slice(&targets);
        if shapes.is_none() {
            let shape = |name| batch.field(name).map(|field| field.shape.clone());
            shapes = Some((shape(&trainer.input_field)?, shape(&trainer.target_field)?));
        }
    }
    let (input_shape, target_shape) = shapes.unwrap_or_default();
    let count = rows.inputs.len() / input_shape.iter().product::<usize>();
    Ok(Table { rows, count, input_shape, target_shape })
}

fn check_finite(batch: &Batch, name: &str, values: &[f32]) -> anyhow::Result<()> {
    if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
        let row = bad / (values.len() / batch.rows());
        let problem = format!("field {name:?} is {} as f32; a model cannot learn from it", values[bad]);
        return Err(batch.place(row).error(problem).into());
    }
    Ok(())
}

/// Classes are whole numbers, probabilities lie between 0 and 1.
fn check_targets(batch: &Batch, trainer: &TrainerSettings, targets: &[f32]) -> anyhow::Result<()> {
    let width = targets.len() / batch.rows();
    let is_class = |target: f32| target >= 0.0 && target.fract() == 0.0 && target < trainer.most_classes() as f32;
    let (bad, expected): (_, &str) = match trainer.loss() {
        Loss::CrossEntropy { .. } if width == 1 => {
            (targets.iter().position(|&target| !is_class(target)), "a class, from 0 up to the number of classes")
        }
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => {
            (targets.iter().position(|target| !(0.0..=1.0).contains(target)), "a probability, from 0 to 1")
        }
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => return Ok(()),
    };
    if let Some(bad) = bad {
        let problem = format!("field {:?} is {}; the loss expects {expected}", trainer.target_field, targets[bad]);
        return Err(batch.place(bad / width).error(problem).into());
    }
    Ok(())
}

/// Deals the rows out in an order drawn from the seed.
pub fn split(table: &Table, trainer: &TrainerSettings) -> anyhow::Result<Split> {
    let share = |share: f64| (table.count as f64 * share).round() as usize;
    let (val, test) = (share(trainer.split[1]), share(trainer.split[2]));
    let train = table.count.saturating_sub(val + test);
    ensure!(train > 0, "trainer.split: no row of {} is left for training", table.count);
    let order = Random::new(trainer.seed, stream::SPLIT).permutation(table.count);
    let take = |from: usize, count: usize| {
        // In the input's order, so that files read well.
        let mut chosen = order[from..(from + count).min(order.len())].to_vec();
        chosen.sort_unstable();
        let mut rows = Rows::default();
        gather(&table.rows.inputs, table.input_width(), &chosen, &mut rows.inputs);
        gather(&table.rows.targets, table.target_width(), &chosen, &mut rows.targets);
        rows
    };
    Ok(Split {
        train: take(0, train),
        val: take(train, val),
        test: take(train + val, test),
        counts: [train, val, test],
    })
}

/// The rows of `matrix` `[_, width]` at `indices`, in that order.
pub fn gather(matrix: &[f32], width: usize, indices: &[usize], rows: &mut Vec<f32>) {
    rows.clear();
    rows.reserve(indices.len() * width);
    for &index in indices {
        rows.extend_from_slice(&matrix[index * width..(index + 1) * width]);
    }
}
