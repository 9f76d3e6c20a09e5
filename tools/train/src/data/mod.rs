//! Datasets, in memory or in their files; their splits; and the data loader.

pub mod augmentation;
mod checks;
mod encoded;
mod file_inputs;
mod loader;
mod passthrough;
mod raw;
mod split;

pub use encoded::{ColumnValues, Dataset, Inputs};
pub use loader::{BatchBuffer, DataLoader, RowsInMemory};
pub use passthrough::PassthroughColumn;
pub use raw::Reading;
pub use split::Split;

use crate::settings::{Settings, TrainerSettings};
use anyhow::{Context, ensure};
use dataset::{Column, Features};
use files::Input;
use raw::{RawDataset, RawInputs};
use std::{collections::BTreeSet, path::Path, sync::OnceLock};

/// Random streams of `trainer.seed`, one for each use: a change in one use leaves the others' draws as they are.
pub mod stream {
    pub const SPLIT: u64 = 0;
    pub const PARAMETERS: u64 = 1;
    /// Plus the epoch's number: the order of its rows.
    pub const ORDER: u64 = 2;
    /// Plus the epoch's number: its augmentation.
    pub const AUGMENTATION: u64 = 1 << 62;
    /// Which images `flip: alternating` mirrors in the first epoch.
    pub const FIRST_FLIP: u64 = 1 << 63;
}

/// Lightning's data module: the datasets, and their training, validation and test splits. The last two may be empty.
pub struct DataModule {
    input: Dataset,
    /// `trainer.val_input` and `trainer.test_input`, where they are set.
    val: Option<Dataset>,
    test: Option<Dataset>,
    /// Of each split, indices into its dataset.
    rows: [Vec<usize>; 3],
    /// Categories, fills and class names, fitted on the training split; the target has no shape yet.
    pub features: Features,
    /// Notes on what was read, a line each, for standard error.
    pub notes: Vec<String>,
    sha256: OnceLock<String>,
}

impl DataModule {
    /// Reads all files, splits the rows, and fits the features on the training split.
    pub fn read(input: Input, reading: Reading<'_>, settings: &Settings) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        // A missing file is an error before the first row is read from standard input.
        let open = |key: &'static str, path: &Option<String>| -> anyhow::Result<Option<(&'static str, Input)>> {
            let Some(path) = path else { return Ok(None) };
            let file = dvc::open(Some(Path::new(path)), settings.pull).context(key)?;
            Ok(Some((key, file)))
        };
        let val = open("trainer.val_input", &trainer.val_input)?;
        let test = open("trainer.test_input", &trainer.test_input)?;
        let input = RawDataset::read(input, reading, settings)?;
        input.check_odd_texts(&settings.features)?;
        let reading = Reading { expect_rows: None, texts: &input.text_fields(), ..reading };
        let read = |(key, file)| -> anyhow::Result<RawDataset> {
            let dataset = RawDataset::read(file, reading, settings).context(key)?;
            dataset.check_like(&input).context(key)?;
            Ok(dataset)
        };
        let (val, test) = (val.map(&read).transpose()?, test.map(&read).transpose()?);
        let mut rows = split::random(input.count, trainer)?;
        for (rows, own) in rows[1..].iter_mut().zip([&val, &test]) {
            rows.extend(0..own.as_ref().map_or(0, |own| own.count));
        }
        let features = features(&input, [&val, &test], &rows[0], settings)?;
        let encode = |raw| Dataset::new(raw, &features, features.target.classes.as_deref());
        let (val, test) = (val.map(&encode).transpose()?, test.map(&encode).transpose()?);
        let notes = input.precision_notes().collect();
        Ok(Self { input: encode(input)?, val, test, rows, notes, features, sha256: OnceLock::new() })
    }

    pub fn train(&self) -> Split<'_> {
        Split { dataset: &self.input, rows: &self.rows[0] }
    }

    pub fn val(&self) -> Split<'_> {
        Split { dataset: self.val.as_ref().unwrap_or(&self.input), rows: &self.rows[1] }
    }

    pub fn test(&self) -> Split<'_> {
        Split { dataset: self.test.as_ref().unwrap_or(&self.input), rows: &self.rows[2] }
    }

    /// Sizes of the training, validation and test split.
    pub fn counts(&self) -> [usize; 3] {
        self.rows.each_ref().map(Vec::len)
    }

    /// The dataset of each file, the input's first.
    pub fn datasets(&self) -> impl Iterator<Item = &Dataset> {
        [Some(&self.input), self.val.as_ref(), self.test.as_ref()].into_iter().flatten()
    }

    /// SHA-256 of the input's rows and of those of `trainer.val_input` and `trainer.test_input`; computed once.
    pub fn sha256(&self) -> anyhow::Result<&str> {
        if let Some(hash) = self.sha256.get() {
            return Ok(hash);
        }
        let hash = self.hash()?;
        Ok(self.sha256.get_or_init(|| hash))
    }

    fn hash(&self) -> anyhow::Result<String> {
        let mut hash = self.input.begin_hash()?;
        // The values alone do not tell which category or class each index stands for.
        if self.features.has_text() {
            hash.update(self.features.to_json());
        }
        for (name, dataset) in [("val", &self.val), ("test", &self.test)] {
            if let Some(dataset) = dataset {
                hash.update(name);
                dataset.hash(&mut hash)?;
            }
        }
        Ok(hash.hex())
    }
}

/// Features fitted on the training `rows` of the input; class names are those of all rows.
fn features(
    input: &RawDataset,
    others: [&Option<RawDataset>; 2],
    rows: &[usize],
    settings: &Settings,
) -> anyhow::Result<Features> {
    let target = &input.target.name;
    let mut features = match &input.inputs {
        RawInputs::Bytes { field, .. } => Features::of_field(&field.name, &field.shape, target, &[]),
        RawInputs::Columns(sources) => {
            Features::fit(sources, rows, &settings.features).with_context(|| input.name.clone())?
        }
        RawInputs::InFile { inputs, missing } => match inputs.bytes_field() {
            Some(field) => Features::of_field(&field.name, &field.shape, target, &[]),
            None => {
                let counts = inputs.fields().iter().zip(missing);
                dataset::check_complete(counts.map(|(field, missing)| (&*field.name, missing.count)), input.count)
                    .and_then(|()| Features::fit(&inputs.sources(), &[], &settings.features))
                    .with_context(|| input.name.clone())?
            }
        },
    };
    features.target.name.clone_from(target);
    features.target.classes = classes(std::iter::once(input).chain(others.into_iter().flatten()), &settings.trainer)?;
    Ok(features)
}

/// Sorted class names; None unless the target is text.
fn classes<'a>(
    datasets: impl Iterator<Item = &'a RawDataset>,
    trainer: &TrainerSettings,
) -> anyhow::Result<Option<Vec<String>>> {
    let mut names = BTreeSet::new();
    for dataset in datasets {
        let Column::Texts(texts) = &dataset.target.column else { return Ok(None) };
        names.extend(texts.iter());
    }
    let (count, field) = (names.len(), &trainer.target_field);
    if let [one] = names.iter().collect::<Vec<_>>().as_slice() {
        anyhow::bail!("field {field:?} is {one:?} in every row; expected at least two classes");
    }
    ensure!(
        trainer.loss().is_categorical() || count == 2,
        "field {field:?} has {count} different texts; bce is for two classes, trainer.loss=cross_entropy for any number"
    );
    let most = trainer.max_classes();
    ensure!(count <= most, "field {field:?} has {count} different texts, more than the limit of {most} classes");
    Ok(Some(names.into_iter().map(str::to_owned).collect()))
}

/// Overwrites `rows` with those of `matrix`, `[_, width]`, at `indices`.
pub fn gather(matrix: &[f32], width: usize, indices: &[usize], rows: &mut Vec<f32>) {
    rows.clear();
    rows.reserve(indices.len() * width);
    for &index in indices {
        rows.extend_from_slice(&matrix[index * width..(index + 1) * width]);
    }
}
