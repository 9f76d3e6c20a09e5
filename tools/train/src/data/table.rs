//! The rows of one file.

use crate::settings::TrainerSettings;
use anyhow::ensure;
use nets::{InputDtype, Loss};
use records::{Batch, DType, Field, Input, ReadOptions, Reader};
use sha2::{Digest, Sha256};

/// What goes in, `[rows, input width]`.
pub enum Inputs {
    /// As they are in the file: images are large, and a byte is a quarter of an f32.
    Bytes(Vec<u8>),
    Real(Vec<f32>),
}

/// The rows of a file, and what one looks like.
pub struct Table {
    /// What messages call the file.
    name: String,
    pub inputs: Inputs,
    /// `[rows, target width]`
    pub targets: Vec<f32>,
    /// `[rows]`: each row's weight in the loss; empty without `trainer.weight_field`.
    pub weights: Vec<f32>,
    pub count: usize,
    pub input: Field,
    pub target: Field,
}

impl Table {
    /// Reads all rows: bytes as they are, other numbers as f32.
    pub fn read(input: Input, options: &ReadOptions<'_>, trainer: &TrainerSettings) -> anyhow::Result<Self> {
        let name = input.name().to_owned();
        let mut reader = Reader::open(input, options)?;
        let (mut batch, mut targets, mut count) = (Batch::new(), Vec::new(), 0);
        let mut weights = Vec::new();
        let mut all: Option<(Inputs, Vec<f32>, Field, Field)> = None;
        while reader.read(&mut batch)? {
            let (inputs, all_targets, ..) = match &mut all {
                Some(all) => all,
                None => {
                    let (input, target) = (batch.field(&trainer.input_field)?, batch.field(&trainer.target_field)?);
                    all.insert((Inputs::of(input.dtype), Vec::new(), input.clone(), target.clone()))
                }
            };
            inputs.extend(&batch, &trainer.input_field)?;
            batch.column_f32(&trainer.target_field, &mut targets)?;
            check_finite(&batch, &trainer.target_field, &targets)?;
            check_targets(&batch, trainer, &targets)?;
            all_targets.extend_from_slice(&targets);
            if let Some(field) = &trainer.weight_field {
                read_weights(&batch, field, &mut weights)?;
            }
            count += batch.rows();
        }
        let (inputs, targets, input, target) = all.ok_or_else(|| anyhow::anyhow!("{name}: no rows"))?;
        Ok(Self { name, inputs, targets, weights, count, input, target })
    }

    pub fn input_width(&self) -> usize {
        self.input.elements()
    }

    pub fn target_width(&self) -> usize {
        self.target.elements()
    }

    pub fn input_dtype(&self) -> InputDtype {
        match self.inputs {
            Inputs::Bytes(_) => InputDtype::U1,
            Inputs::Real(_) => InputDtype::F4,
        }
    }

    /// # Errors
    /// When rows are not what those of `other` are: a network for one could not take the other.
    pub fn check_like(&self, other: &Self) -> anyhow::Result<()> {
        let same = self.input_dtype() == other.input_dtype() && self.input.shape == other.input.shape;
        for (field, expected, same) in
            [(&self.input, &other.input, same), (&self.target, &other.target, self.target.shape == other.target.shape)]
        {
            ensure!(same, "{}: field {field}; it is {expected} in {}", self.name, other.name);
        }
        Ok(())
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

impl Inputs {
    fn of(dtype: DType) -> Self {
        match dtype {
            DType::U1 => Self::Bytes(Vec::new()),
            _ => Self::Real(Vec::new()),
        }
    }

    /// Adds a field of all rows of a batch.
    fn extend(&mut self, batch: &Batch, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Bytes(all) => {
                let mut bytes = Vec::new();
                batch.column(name, &mut bytes)?;
                all.extend_from_slice(&bytes);
            }
            Self::Real(all) => {
                let mut values = Vec::new();
                batch.column_f32(name, &mut values)?;
                check_finite(batch, name, &values)?;
                all.extend_from_slice(&values);
            }
        }
        Ok(())
    }
}

fn hash_values(values: &[f32], hash: &mut Sha256) {
    for values in values.chunks(4096) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(bytes);
    }
}

fn check_finite(batch: &Batch, name: &str, values: &[f32]) -> anyhow::Result<()> {
    if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
        let row = bad / (values.len() / batch.rows());
        let problem = format!("field {name:?} is {} as f32; a model cannot learn from it", values[bad]);
        return Err(batch.place(row).error(problem).into());
    }
    Ok(())
}

/// Adds the weights of a batch's rows.
fn read_weights(batch: &Batch, name: &str, all: &mut Vec<f32>) -> anyhow::Result<()> {
    let field = batch.field(name)?;
    if !field.shape.is_empty() {
        return Err(batch.wrong_shape(field, "a number by trainer.weight_field").into());
    }
    let mut weights = Vec::new();
    batch.column_f32(name, &mut weights)?;
    if let Some(row) = weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite())) {
        let problem = format!("field {name:?} is {}; a weight is a finite number of at least 0", weights[row]);
        return Err(batch.place(row).error(problem).into());
    }
    all.extend_from_slice(&weights);
    Ok(())
}

/// Classes are whole numbers, probabilities lie between 0 and 1.
fn check_targets(batch: &Batch, trainer: &TrainerSettings, targets: &[f32]) -> anyhow::Result<()> {
    let width = targets.len() / batch.rows();
    let is_class = |target: f32| target >= 0.0 && target.fract() == 0.0 && target < trainer.most_classes() as f32;
    let (bad, expected) = match trainer.loss() {
        Loss::CrossEntropy { .. } if width == 1 => {
            let expected = match trainer.classes {
                Some(classes) => format!("a class, from 0 to {} by trainer.classes", classes - 1),
                None => format!("a class, a whole number from 0 to {} (the limit)", trainer.most_classes() - 1),
            };
            (targets.iter().position(|&target| !is_class(target)), expected)
        }
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => {
            (targets.iter().position(|target| !(0.0..=1.0).contains(target)), "a probability, from 0 to 1".into())
        }
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => return Ok(()),
    };
    if let Some(bad) = bad {
        let problem = format!("field {:?} is {}; the loss expects {expected}", trainer.target_field, targets[bad]);
        return Err(batch.place(bad / width).error(problem).into());
    }
    Ok(())
}
