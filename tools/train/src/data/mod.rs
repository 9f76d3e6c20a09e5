//! The rows in memory, and which of them are for what.

mod table;

pub use table::{Inputs, Table};

use crate::settings::{Settings, TrainerSettings};
use anyhow::{Context, ensure};
use kernels::random::Random;
use records::{Input, ReadOptions};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Streams of the trainer's seed, one for each use.
pub mod stream {
    pub const SPLIT: u64 = 0;
    pub const PARAMETERS: u64 = 1;
    /// The order of epoch e is drawn from this stream plus e.
    pub const ORDER: u64 = 2;
    /// How epoch e augments its images is drawn from this stream plus e.
    pub const AUGMENTATION: u64 = 1 << 62;
    /// Which images are mirrored first where the epochs take turns.
    pub const FIRST_FLIP: u64 = 1 << 63;
}

/// All rows, and which of them are for training, validation and test. The last two may be empty.
pub struct Data {
    input: Table,
    /// From files of their own, where the settings name them.
    val: Option<Table>,
    test: Option<Table>,
    /// Places in the table that a part is from.
    rows: [Vec<usize>; 3],
}

/// Some rows of a table, in ascending order.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub table: &'a Table,
    pub rows: &'a [usize],
}

impl Data {
    /// Reads all rows, and deals them out.
    pub fn read(input: Input, options: &ReadOptions<'_>, settings: &Settings) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        // A missing file is told before the first rows are waited for.
        let open = |key: &'static str, path: &Option<String>| -> anyhow::Result<Option<(&'static str, Input)>> {
            let Some(path) = path else { return Ok(None) };
            let file = cli::open_or_pull(Some(Path::new(path)), settings.pull).context(key)?;
            Ok(Some((key, file)))
        };
        let val = open("trainer.val_input", &trainer.val_input)?;
        let test = open("trainer.test_input", &trainer.test_input)?;
        let input = Table::read(input, options, trainer)?;
        let options = ReadOptions { expect_rows: None, ..options.clone() };
        let read = |(key, file)| -> anyhow::Result<Table> {
            let table = Table::read(file, &options, trainer).context(key)?;
            table.check_like(&input).context(key)?;
            Ok(table)
        };
        let (val, test) = (val.map(&read).transpose()?, test.map(&read).transpose()?);
        let mut rows = split(&input, trainer)?;
        for (rows, table) in rows[1..].iter_mut().zip([&val, &test]) {
            rows.extend(0..table.as_ref().map_or(0, |table| table.count));
        }
        Ok(Self { input, val, test, rows })
    }

    pub fn train(&self) -> Part<'_> {
        Part { table: &self.input, rows: &self.rows[0] }
    }

    pub fn val(&self) -> Part<'_> {
        Part { table: self.val.as_ref().unwrap_or(&self.input), rows: &self.rows[1] }
    }

    pub fn test(&self) -> Part<'_> {
        Part { table: self.test.as_ref().unwrap_or(&self.input), rows: &self.rows[2] }
    }

    /// Numbers of rows for training, validation and test.
    pub fn counts(&self) -> [usize; 3] {
        self.rows.each_ref().map(Vec::len)
    }

    /// Every file's rows, the input's first.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        [Some(&self.input), self.val.as_ref(), self.test.as_ref()].into_iter().flatten()
    }

    /// SHA-256 of the input's rows, then, behind their names, of those for validation and test that have files of
    /// their own.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.input.hash(&mut hash);
        for (name, table) in [("val", &self.val), ("test", &self.test)] {
            if let Some(table) = table {
                hash.update(name);
                table.hash(&mut hash);
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Deals the rows out in an order drawn from the seed: places of those for training, validation and test. What has
/// a file of its own gets none.
fn split(table: &Table, trainer: &TrainerSettings) -> anyhow::Result<[Vec<usize>; 3]> {
    let share = |share: f64, file: &Option<String>| match file {
        None => (table.count as f64 * share).round() as usize,
        Some(_) => 0,
    };
    let val = share(trainer.split[1], &trainer.val_input);
    let test = share(trainer.split[2], &trainer.test_input);
    let train = table.count.saturating_sub(val + test);
    ensure!(train > 0, "trainer.split: no row of {} is left for training", table.count);
    let order = Random::new(trainer.seed, stream::SPLIT).permutation(table.count);
    let take = |from: usize, count: usize| {
        // In the input's order, so that files read well.
        let mut chosen = order[from..(from + count).min(order.len())].to_vec();
        chosen.sort_unstable();
        chosen
    };
    Ok([take(0, train), take(train, val), take(train + val, test)])
}

/// The rows of `matrix` `[_, width]` at `indices`, in that order.
pub fn gather(matrix: &[f32], width: usize, indices: &[usize], rows: &mut Vec<f32>) {
    rows.clear();
    rows.reserve(indices.len() * width);
    for &index in indices {
        rows.extend_from_slice(&matrix[index * width..(index + 1) * width]);
    }
}
