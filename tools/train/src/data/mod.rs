//! The rows in memory, and which of them are for what.

mod others;
mod raw;
mod table;

pub use others::Kept;
pub use raw::Reading;
pub use table::{Inputs, Read, Table};

use crate::settings::{Settings, TrainerSettings};
use anyhow::{Context, ensure};
use dataset::{Column, Features};
use files::{Input, Sha256};
use random::Random;
use raw::{RawInputs, RawTable};
use std::{collections::BTreeSet, path::Path};

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
    /// What was learned of the training rows; its target has the names of the classes, but no shape yet.
    pub features: Features,
    /// A line for each thing that a person should know of what was read.
    pub remarks: Vec<String>,
}

/// Some rows of a table, in ascending order.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub table: &'a Table,
    pub rows: &'a [usize],
}

impl Data {
    /// Reads all rows, deals them out, and learns from the training rows what becomes of fields.
    pub fn read(input: Input, reading: Reading<'_>, settings: &Settings) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        // A missing file is told before the first rows are waited for.
        let open = |key: &'static str, path: &Option<String>| -> anyhow::Result<Option<(&'static str, Input)>> {
            let Some(path) = path else { return Ok(None) };
            let file = dvc::open(Some(Path::new(path)), settings.pull).context(key)?;
            Ok(Some((key, file)))
        };
        let val = open("trainer.val_input", &trainer.val_input)?;
        let test = open("trainer.test_input", &trainer.test_input)?;
        let input = RawTable::read(input, reading, settings)?;
        input.check_odd_texts(&settings.features)?;
        let reading = Reading { expect_rows: None, texts: &input.text_fields(), ..reading };
        let read = |(key, file)| -> anyhow::Result<RawTable> {
            let table = RawTable::read(file, reading, settings).context(key)?;
            table.check_like(&input).context(key)?;
            Ok(table)
        };
        let (val, test) = (val.map(&read).transpose()?, test.map(&read).transpose()?);
        let mut rows = split(input.count, trainer)?;
        for (rows, table) in rows[1..].iter_mut().zip([&val, &test]) {
            rows.extend(0..table.as_ref().map_or(0, |table| table.count));
        }
        let features = features(&input, [&val, &test], &rows[0], settings)?;
        let table = |raw| Table::new(raw, &features, features.target.classes.as_deref());
        let (val, test) = (val.map(&table).transpose()?, test.map(&table).transpose()?);
        let remarks = input.coarse().collect();
        Ok(Self { input: table(input)?, val, test, rows, remarks, features })
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
        let mut hash = Sha256::default();
        self.input.hash(&mut hash);
        // What texts stand for is no part of the numbers.
        if self.features.has_text() {
            hash.update(self.features.to_json());
        }
        for (name, table) in [("val", &self.val), ("test", &self.test)] {
            if let Some(table) = table {
                hash.update(name);
                table.hash(&mut hash);
            }
        }
        hash.hex()
    }
}

/// What becomes of the fields: learned from the training `rows` of the input; the names of classes from all rows.
fn features(
    input: &RawTable,
    others: [&Option<RawTable>; 2],
    rows: &[usize],
    settings: &Settings,
) -> anyhow::Result<Features> {
    let target = &input.target.name;
    let mut features = match &input.inputs {
        RawInputs::Bytes { field, .. } => Features::of_field(&field.name, &field.shape, target, &[]),
        RawInputs::Columns(sources) => {
            Features::fit(sources, rows, &settings.features).with_context(|| input.name.clone())?
        }
    };
    features.target.name.clone_from(target);
    features.target.classes = classes(std::iter::once(input).chain(others.into_iter().flatten()), &settings.trainer)?;
    Ok(features)
}

/// The names of the classes, sorted, where the target is text.
fn classes<'a>(
    tables: impl Iterator<Item = &'a RawTable>,
    trainer: &TrainerSettings,
) -> anyhow::Result<Option<Vec<String>>> {
    let mut names = BTreeSet::new();
    for table in tables {
        let Column::Texts(texts) = &table.target.column else { return Ok(None) };
        names.extend(texts.iter());
    }
    let (count, field) = (names.len(), &trainer.target_field);
    if let [one] = names.iter().collect::<Vec<_>>().as_slice() {
        anyhow::bail!("field {field:?} is {one:?} in every row; there is nothing to tell apart");
    }
    ensure!(
        trainer.loss().is_categorical() || count == 2,
        "field {field:?} has {count} different texts; bce tells two classes apart, trainer.loss=cross_entropy any number"
    );
    let most = trainer.most_classes();
    ensure!(count <= most, "field {field:?} has {count} different texts, more than the limit of {most} classes");
    Ok(Some(names.into_iter().map(str::to_owned).collect()))
}

/// Deals the rows out in an order drawn from the seed: places of those for training, validation and test. What has
/// a file of its own gets none.
fn split(count: usize, trainer: &TrainerSettings) -> anyhow::Result<[Vec<usize>; 3]> {
    let share = |share: f64, file: &Option<String>| match file {
        None => (count as f64 * share).round() as usize,
        Some(_) => 0,
    };
    let val = share(trainer.split[1], &trainer.val_input);
    let test = share(trainer.split[2], &trainer.test_input);
    let train = count.saturating_sub(val + test);
    ensure!(train > 0, "trainer.split: no row of {} is left for training", count);
    let order = Random::new(trainer.seed, stream::SPLIT).permutation(count);
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
