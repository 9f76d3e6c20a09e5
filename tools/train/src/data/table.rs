//! The rows of one file as the network takes them, before they are scaled.

use super::{
    others::Others,
    raw::{RawInputs, RawTable},
};
use anyhow::Context;
use dataset::{Column, Features, Source};
use files::Sha256;
use records::{DType, Field};
use std::collections::HashMap;

/// What goes in, `[rows, input width]`.
pub enum Inputs {
    /// As they are in the file.
    Bytes(Vec<u8>),
    /// Joined, missing ones filled, indicators behind the rest.
    Real(Vec<f32>),
}

/// The rows of a file, and what one looks like.
pub struct Table {
    pub inputs: Inputs,
    /// `[rows, target width]`
    pub targets: Vec<f32>,
    /// `[rows]`: each row's weight in the loss; empty without `trainer.weight_field`.
    pub weights: Vec<f32>,
    /// What goes in: one field, or all that are joined.
    pub input: Field,
    pub target: Field,
    /// What was read, where it is not what goes in.
    sources: Option<Vec<Source>>,
    /// The names of the rows' classes, where the target is text.
    target_source: Option<Source>,
    others: Others,
}

/// A column as it was read.
pub enum Read<'a> {
    Bytes(&'a [u8]),
    Numbers(&'a [f32]),
    Texts(&'a dataset::Texts),
}

impl Table {
    /// What the network takes of raw rows.
    pub fn new(raw: RawTable, features: &Features, classes: Option<&[String]>) -> anyhow::Result<Self> {
        let target = Field::new(&raw.target.name, DType::F4, &raw.target.shape);
        let (targets, target_source) = targets(&raw, classes)?;
        let encoded = match &raw.inputs {
            RawInputs::Bytes { .. } => Vec::new(),
            // Many values, which need no copy.
            RawInputs::Columns(sources) if is_as_read(features) && !sources.iter().any(has_missing) => Vec::new(),
            RawInputs::Columns(sources) => features
                .encode(sources.iter().map(|source| &source.column))
                .map_err(|unfit| anyhow::anyhow!("{}: {unfit}", raw.place(unfit.row)))?,
        };
        let RawTable { inputs, weights, others, .. } = raw;
        let (inputs, input, sources) = match inputs {
            RawInputs::Bytes { field, bytes } => (Inputs::Bytes(bytes), field, None),
            RawInputs::Columns(sources) => {
                let input = Field::new(features.input_name(), DType::F4, &complete_shape(features));
                match is_as_read(features) {
                    true => (Inputs::Real(numbers(sources)), input, None),
                    false => (Inputs::Real(features.complete(&encoded)), input, Some(sources)),
                }
            }
        };
        Ok(Self { inputs, targets, weights, input, target, sources, target_source, others })
    }

    pub fn input_width(&self) -> usize {
        self.input.elements()
    }

    pub fn target_width(&self) -> usize {
        self.target.elements()
    }

    pub fn input_dtype(&self) -> DType {
        match self.inputs {
            Inputs::Bytes(_) => DType::U1,
            Inputs::Real(_) => DType::F4,
        }
    }

    /// Every field that was read, as it was, and its values: the inputs, then the target.
    pub fn read(&self) -> Vec<(Field, Read<'_>)> {
        fn of(source: &Source) -> (Field, Read<'_>) {
            match &source.column {
                Column::Numbers { values, .. } => {
                    (Field::new(&source.name, DType::F4, &source.shape), Read::Numbers(values))
                }
                Column::Texts(texts) => (Field::new(&source.name, DType::Text, &[]), Read::Texts(texts)),
            }
        }
        let mut read: Vec<_> = match (&self.sources, &self.inputs) {
            (Some(sources), _) => sources.iter().map(of).collect(),
            (None, Inputs::Bytes(bytes)) => vec![(self.input.clone(), Read::Bytes(bytes))],
            (None, Inputs::Real(values)) => vec![(self.input.clone(), Read::Numbers(values))],
        };
        read.push(match &self.target_source {
            Some(source) => of(source),
            None => (self.target.clone(), Read::Numbers(&self.targets)),
        });
        read
    }

    /// The fields that nothing is learned from.
    pub fn others(&self) -> &Others {
        &self.others
    }

    /// Adds all inputs, as bytes or little-endian f32, then all targets, and all weights where rows have some, as
    /// little-endian f32.
    pub fn hash(&self, hash: &mut Sha256) {
        match &self.inputs {
            Inputs::Bytes(bytes) => hash.update(bytes),
            Inputs::Real(values) => hash_values(values, hash),
        }
        hash_values(&self.targets, hash);
        hash_values(&self.weights, hash);
    }
}

fn has_missing(source: &Source) -> bool {
    (0..source.column.rows()).any(|row| source.column.is_missing(row))
}

/// The numbers of the one field that goes in as it is.
fn numbers(sources: Vec<Source>) -> Vec<f32> {
    match sources.into_iter().next().map(|source| source.column) {
        Some(Column::Numbers { values, .. }) => values,
        _ => Vec::new(),
    }
}

/// The shape of a row as the network takes it.
fn complete_shape(features: &Features) -> Vec<usize> {
    match features.complete_width() == features.raw_width() {
        true => features.raw_shape(),
        false => vec![features.complete_width()],
    }
}

/// Whether the raw matrix is one field as it was read, and what the network takes.
fn is_as_read(features: &Features) -> bool {
    features.fills().is_none() && matches!(features.inputs.as_slice(), [dataset::Input::Number { .. }])
}

/// The targets of all rows, `[rows, target width]`; where they are text, the index of each, and what was read.
fn targets(raw: &RawTable, classes: Option<&[String]>) -> anyhow::Result<(Vec<f32>, Option<Source>)> {
    let texts = match &raw.target.column {
        Column::Numbers { values, .. } => return Ok((values.clone(), None)),
        Column::Texts(texts) => texts,
    };
    let index: HashMap<&str, usize> =
        classes.unwrap_or_default().iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let class = |(row, text): (usize, &str)| {
        let class = index.get(text).with_context(|| format!("{}: no class {text:?}", raw.place(row)))?;
        Ok(*class as f32)
    };
    let targets = texts.iter().enumerate().map(class).collect::<anyhow::Result<_>>()?;
    Ok((targets, Some(raw.target.clone())))
}

fn hash_values(values: &[f32], hash: &mut Sha256) {
    for values in values.chunks(4096) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(bytes);
    }
}
