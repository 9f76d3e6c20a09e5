//! A dataset: the rows of one file as model inputs and targets, before scaling.

use super::{
    file_inputs::FileInputs,
    passthrough::Passthrough,
    raw::{RawDataset, RawInputs},
};
use anyhow::Context;
use dataset::{Column, Features, Source};
use files::Sha256;
use records::{Batch, DType, Field};
use std::collections::HashMap;

/// Model inputs, `[rows, input width]`.
pub enum Inputs {
    /// `u1`, as read.
    Bytes(Vec<u8>),
    /// Fields concatenated, categories one-hot, missing values filled, then their indicators.
    Real(Vec<f32>),
    /// Fields of numbers that stay in a file, concatenated when their rows are read; one field of `u1` is bytes.
    InFile(Box<FileInputs>),
}

/// The rows of a file (PyTorch's `Dataset`).
pub struct Dataset {
    pub inputs: Inputs,
    /// `[rows, target width]`
    pub targets: Vec<f32>,
    /// `[rows]`: weights in the loss; empty without `trainer.weight_field`.
    pub weights: Vec<f32>,
    /// Name, dtype and shape of a row's input.
    pub input: Field,
    pub target: Field,
    /// The input columns as read, where encoding changed them.
    sources: Option<Vec<Source>>,
    /// The target as read, where it is text.
    target_source: Option<Source>,
    passthrough: Passthrough,
}

/// The values of a column as read, of all rows.
pub enum ColumnValues<'a> {
    Bytes(&'a [u8]),
    Numbers(&'a [f32]),
    Texts(&'a dataset::Texts),
    /// In the file of the inputs: [`Dataset::read`].
    InFile,
}

impl Dataset {
    /// Encodes raw rows by `features`; `classes` are the names of a text target's.
    pub fn new(raw: RawDataset, features: &Features, classes: Option<&[String]>) -> anyhow::Result<Self> {
        let target = Field::new(&raw.target.name, DType::F4, &raw.target.shape);
        let (targets, target_source) = targets(&raw, classes)?;
        let encoded = match &raw.inputs {
            RawInputs::Bytes { .. } => Vec::new(),
            RawInputs::InFile { inputs, missing } => {
                let mut fields = inputs.fields().iter().zip(missing);
                match fields.find_map(|(field, missing)| Some((field, missing.first?))) {
                    None => Vec::new(),
                    Some((field, row)) => {
                        let problem = dataset::Error::MissingValue(field.name.clone());
                        anyhow::bail!("{}: {problem}", raw.location(row))
                    }
                }
            }
            // The values are used as they are, without a copy.
            RawInputs::Columns(sources) if is_as_read(features) && !sources.iter().any(has_missing) => Vec::new(),
            RawInputs::Columns(sources) => features
                .encode(sources.iter().map(|source| &source.column))
                .map_err(|unfit| anyhow::anyhow!("{}: {unfit}", raw.location(unfit.row)))?,
        };
        let RawDataset { inputs, weights, passthrough, .. } = raw;
        let (inputs, input, sources) = match inputs {
            RawInputs::Bytes { field, bytes } => (Inputs::Bytes(bytes), field, None),
            RawInputs::InFile { inputs, .. } => {
                let input = inputs.bytes_field().cloned().unwrap_or_else(|| input_field(features));
                (Inputs::InFile(inputs), input, None)
            }
            RawInputs::Columns(sources) => {
                let input = input_field(features);
                match is_as_read(features) {
                    true => (Inputs::Real(numbers(sources)), input, None),
                    false => (Inputs::Real(features.complete(&encoded)), input, Some(sources)),
                }
            }
        };
        Ok(Self { inputs, targets, weights, input, target, sources, target_source, passthrough })
    }

    pub fn input_width(&self) -> usize {
        self.input.elements()
    }

    pub fn target_width(&self) -> usize {
        self.target.elements()
    }

    pub fn input_dtype(&self) -> DType {
        self.input.dtype
    }

    /// Input fields and then the target, as read.
    pub fn columns(&self) -> Vec<(Field, ColumnValues<'_>)> {
        fn of(source: &Source) -> (Field, ColumnValues<'_>) {
            match &source.column {
                Column::Numbers { values, .. } => {
                    (Field::new(&source.name, DType::F4, &source.shape), ColumnValues::Numbers(values))
                }
                Column::Texts(texts) => (Field::new(&source.name, DType::Text, &[]), ColumnValues::Texts(texts)),
            }
        }
        let mut columns: Vec<_> = match (&self.sources, &self.inputs) {
            (Some(sources), _) => sources.iter().map(of).collect(),
            (None, Inputs::Bytes(bytes)) => vec![(self.input.clone(), ColumnValues::Bytes(bytes))],
            (None, Inputs::Real(values)) => vec![(self.input.clone(), ColumnValues::Numbers(values))],
            (None, Inputs::InFile(inputs)) => match inputs.bytes_field() {
                Some(field) => vec![(field.clone(), ColumnValues::InFile)],
                None => {
                    let as_numbers = |field: &Field| Field::new(&field.name, DType::F4, &field.shape);
                    inputs.fields().iter().map(|field| (as_numbers(field), ColumnValues::InFile)).collect()
                }
            },
        };
        columns.push(match &self.target_source {
            Some(source) => of(source),
            None => (self.target.clone(), ColumnValues::Numbers(&self.targets)),
        });
        columns
    }

    pub fn passthrough(&self) -> &Passthrough {
        &self.passthrough
    }

    /// All fields of some rows, where the inputs are in a file.
    pub fn read(&self, rows: &[usize]) -> records::Result<Option<Batch>> {
        match &self.inputs {
            Inputs::InFile(inputs) => inputs.read(rows).map(Some),
            Inputs::Bytes(_) | Inputs::Real(_) => Ok(None),
        }
    }

    /// The hash of [`Self::hash`] alone. That of inputs in a file was computed when they were checked.
    pub fn begin_hash(&self) -> anyhow::Result<Sha256> {
        let mut hash = Sha256::default();
        match &self.inputs {
            Inputs::InFile(inputs) => {
                hash = inputs.digest().clone();
                self.hash_targets(&mut hash);
            }
            Inputs::Bytes(_) | Inputs::Real(_) => self.hash(&mut hash)?,
        }
        Ok(hash)
    }

    /// Hashes inputs (u8 or little-endian f32), then targets and weights (little-endian f32).
    pub fn hash(&self, hash: &mut Sha256) -> anyhow::Result<()> {
        match &self.inputs {
            Inputs::Bytes(bytes) => hash.update(bytes),
            Inputs::Real(values) => hash_values(values, hash),
            Inputs::InFile(inputs) => inputs.hash(self.targets.len() / self.target_width(), hash)?,
        }
        self.hash_targets(hash);
        Ok(())
    }

    fn hash_targets(&self, hash: &mut Sha256) {
        hash_values(&self.targets, hash);
        hash_values(&self.weights, hash);
    }
}

fn has_missing(source: &Source) -> bool {
    (0..source.column.rows()).any(|row| source.column.is_missing(row))
}

/// The values of the only input column.
fn numbers(sources: Vec<Source>) -> Vec<f32> {
    match sources.into_iter().next().map(|source| source.column) {
        Some(Column::Numbers { values, .. }) => values,
        _ => Vec::new(),
    }
}

/// Name and shape of an encoded row.
fn input_field(features: &Features) -> Field {
    let shape = match features.complete_width() == features.raw_width() {
        true => features.raw_shape(),
        false => vec![features.complete_width()],
    };
    Field::new(features.input_name(), DType::F4, &shape)
}

/// Whether the encoded input is one numeric column, unchanged.
fn is_as_read(features: &Features) -> bool {
    features.fills().is_none() && matches!(features.inputs.as_slice(), [dataset::Input::Number { .. }])
}

/// Targets, `[rows, target width]`; of text, class indices and the column as read.
fn targets(raw: &RawDataset, classes: Option<&[String]>) -> anyhow::Result<(Vec<f32>, Option<Source>)> {
    let texts = match &raw.target.column {
        Column::Numbers { values, .. } => return Ok((values.clone(), None)),
        Column::Texts(texts) => texts,
    };
    let index: HashMap<&str, usize> =
        classes.unwrap_or_default().iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let class = |(row, text): (usize, &str)| {
        let class = index.get(text).with_context(|| format!("{}: no class {text:?}", raw.location(row)))?;
        Ok(*class as f32)
    };
    let targets = texts.iter().enumerate().map(class).collect::<anyhow::Result<_>>()?;
    Ok((targets, Some(raw.target.clone())))
}

/// As little-endian f32.
pub fn hash_values(values: &[f32], hash: &mut Sha256) {
    for values in values.chunks(4096) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(bytes);
    }
}
