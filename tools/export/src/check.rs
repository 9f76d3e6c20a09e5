//! Comparison of the exported graph, run by the native runtime and ONNX Runtime, with candle.

use crate::settings::Settings;
use anyhow::{bail, ensure};
use candle_core::{Device, Module, Tensor};
use dataset::Input as Feature;
use files::Input;
use metrics::argmax;
use nets::{CandleModel, Model, OutputActivation};
use random::Random;
use records::{Batch, DType, Reader};
use runtime::{Backend, Inputs, Session};
use serde::Serialize;
use std::path::Path;

/// Random stream of seed 0 for rows where the run folder has none.
const DRAWN_ROWS: u64 = 0;
/// Batch size of the comparison. Batches of 1 and [`FEW`] rows come first, to test the dynamic batch axis.
pub const BATCH_SIZE: usize = 256;
const FEW: usize = 7;

/// A comparison that was done, for the manifest: without the difference, whose last bits depend on the processor, as candle's do.
#[derive(Debug, Serialize)]
pub struct Check {
    pub against: Reference,
    /// What ran the graph.
    pub runtime: Backend,
    pub rows: usize,
}

/// What a graph is compared with.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// The network of the run in candle.
    Candle,
    /// The graph before clean-up.
    Source,
}

/// What the comparison with candle has found.
pub struct Checked {
    /// By the first runtime. The manifest does not tell whether the library of the second was found.
    pub check: Check,
    /// A line that describes the difference, if it is beyond the tolerance.
    pub disagreement: Option<String>,
}

/// Runs rows through candle and each runtime there is.
pub fn with_candle(model: &Model, onnx: &[u8], folder: &Path, settings: &Settings) -> anyhow::Result<Checked> {
    let mut pair = Pair::new(model, onnx, settings)?;
    let width = pair.width();
    let held_out = Some(folder.join(held_out(model))).filter(|path| path.exists());
    let file = settings.check_input.clone().or(held_out);
    match file {
        Some(file) => {
            let mut left = settings.check_rows.unwrap_or(usize::MAX);
            let fills = model.features.fills().is_some();
            each_batch(&file, model, |batch, rows| {
                let count = left.min(rows.len() / width);
                let rows = &rows[..count * width];
                if let Some(bad) = rows.iter().position(|x| x.is_infinite() || (x.is_nan() && !fills)) {
                    let (location, field) = (batch.location(bad / width), &model.task.input_field);
                    bail!("{location}: field {field:?} is {}, which tells nothing of the model", rows[bad]);
                }
                pair.compare(rows)?;
                left -= count;
                Ok(left > 0)
            })?;
        }
        None => {
            let mut random = Random::new(0, DRAWN_ROWS);
            let mut left = settings.check_rows.unwrap_or(BATCH_SIZE);
            while left > 0 {
                let count = left.min(BATCH_SIZE);
                pair.compare(&drawn(model, &mut random, count))?;
                left -= count;
            }
        }
    }
    Ok(pair.checked(settings.tolerance))
}

/// The file of a run's held-out rows that has all input fields: CSV has scalars only, NPY numbers only.
pub fn held_out(model: &Model) -> &'static str {
    let inputs = &model.features.inputs;
    let has_text = inputs.iter().any(|input| matches!(input, Feature::Category { .. }));
    let has_vectors = inputs.iter().any(|input| matches!(input, Feature::Number { shape, .. } if !shape.is_empty()));
    match (has_text, has_vectors) {
        (false, _) => "test.npy",
        (true, false) => "test.csv",
        (true, true) => "test.ndjson",
    }
}

/// Calls `take` with the batches of a file and their raw rows, `[rows, inputs]`, until it returns false or the file ends.
fn each_batch(
    file: &Path,
    model: &Model,
    mut take: impl FnMut(&Batch, &[f32]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut reader = Reader::open(Input::open(Some(file))?, &dataset::read_options(&model.features))?;
    let (mut batch, mut bytes) = (Batch::new(), Vec::new());
    while reader.read(&mut batch)? {
        let name = &model.task.input_field;
        let check_shape = || match batch.field(name)? {
            field if field.shape == model.task.input_shape => Ok(()),
            field => Err(batch.wrong_shape(field, &format!("{:?} by the model", model.task.input_shape))),
        };
        let rows = match (model.task.input_dtype, model.features.inputs.as_slice()) {
            // Not `raw_rows`, which refuses missing values: rows after those that are compared may have some.
            (DType::F4, [Feature::Number { fill: None, .. }]) => {
                check_shape()?;
                let mut rows = Vec::new();
                batch.column_f32(name, &mut rows)?;
                rows
            }
            (DType::F4, _) => dataset::raw_rows(&model.features, &batch)?,
            // Bytes: a model takes no other.
            (_, _) => {
                check_shape()?;
                batch.column_u8(name, &mut bytes)?;
                bytes.iter().map(|&byte| f32::from(byte)).collect()
            }
        };
        if !take(&batch, &rows)? {
            break;
        }
    }
    Ok(())
}

/// Random rows, `[count, inputs]`: normal, or integers from 0 to 255 for a `u1` input.
fn drawn(model: &Model, random: &mut Random, count: usize) -> Vec<f32> {
    let draw = |_| match model.task.input_dtype {
        DType::F4 => random.normal() as f32,
        _ => random.index(256) as f32,
    };
    (0..count * model.features.raw_width()).map(draw).collect()
}

/// candle, each runtime, and their differences so far.
struct Pair<'a> {
    model: &'a Model,
    candle: CandleModel,
    sides: Vec<Side>,
    rows: usize,
}

/// A runtime, and how far it is from candle.
struct Side {
    session: Session,
    /// Largest difference, relative to the larger of candle's value and the output's unit.
    worst: f64,
    /// For classifiers, the rows with different predicted classes: the first, and how many.
    differing: Option<(usize, usize)>,
}

impl<'a> Pair<'a> {
    /// With the native runtime, where it has all operators, and with ONNX Runtime, where its library is found.
    fn new(model: &'a Model, onnx: &[u8], settings: &Settings) -> anyhow::Result<Self> {
        const NAME: &str = "the exported model";
        let mut sides = vec![Side::new(Session::from_bytes(NAME, onnx, &settings.runtime_options(0))?)];
        if let Some(options) = settings.second_options(sides[0].session.backend(), 0) {
            sides.push(Side::new(Session::from_bytes(NAME, onnx, &options)?));
        }
        Ok(Self { model, candle: CandleModel::new(model, &Device::Cpu)?, sides, rows: 0 })
    }

    /// Elements of an input row.
    fn width(&self) -> usize {
        self.model.features.raw_width()
    }

    /// Compares `rows` `[rows, inputs]`.
    fn compare(&mut self, rows: &[f32]) -> anyhow::Result<()> {
        let width = self.width();
        if self.rows == 0 {
            for few in [1, FEW] {
                self.compare_batch(&rows[..rows.len().min(few * width)], false)?;
            }
        }
        let classifies = self.model.task.output_activation == OutputActivation::Softmax;
        for rows in rows.chunks(BATCH_SIZE * width) {
            self.compare_batch(rows, classifies)?;
            self.rows += rows.len() / width;
        }
        Ok(())
    }

    /// Compares the outputs, `[rows, outputs]`, of a batch.
    fn compare_batch(&mut self, rows: &[f32], classifies: bool) -> anyhow::Result<()> {
        let candle = self.candle_outputs(rows)?;
        for side in &mut self.sides {
            let onnx = side.outputs(self.model, rows)?;
            ensure!(onnx.len() == candle.len(), "ONNX gives {} values, candle {}", onnx.len(), candle.len());
            side.widen(self.model, &onnx, &candle);
            if classifies {
                side.classify(self.model, self.rows, &onnx, &candle);
            }
        }
        Ok(())
    }

    fn candle_outputs(&self, rows: &[f32]) -> anyhow::Result<Vec<f32>> {
        let count = rows.len() / self.width();
        let shape = std::iter::once(count).chain(self.model.graph.architecture.input_shape.iter().copied());
        let complete = self.model.features.complete(rows);
        let tensor = Tensor::from_slice(&complete, shape.collect::<Vec<_>>(), &Device::Cpu)?; // [batch, input shape…]
        Ok(self.candle.forward(&tensor)?.flatten_all()?.to_vec1()?)
    }

    fn checked(&self, tolerance: f64) -> Checked {
        let check = Check { against: Reference::Candle, runtime: self.sides[0].session.backend(), rows: self.rows };
        Checked { check, disagreement: self.sides.iter().find_map(|side| side.verdict(self.rows, tolerance)) }
    }
}

impl Side {
    fn new(session: Session) -> Self {
        Self { session, worst: 0.0, differing: None }
    }

    /// Outputs of the runtime, `[rows, outputs]`.
    fn outputs(&mut self, model: &Model, rows: &[f32]) -> anyhow::Result<Vec<f32>> {
        let (task, count) = (&model.task, rows.len() / model.features.raw_width());
        let bytes: Vec<u8>;
        let inputs = match task.input_dtype {
            DType::F4 => Inputs::F32(rows),
            _ => {
                bytes = rows.iter().map(|&x| x as u8).collect();
                Inputs::U8(&bytes)
            }
        };
        let mut onnx = Vec::new();
        self.session.run(count, &task.input_shape, inputs, &mut onnx)?;
        Ok(onnx)
    }

    /// Updates the largest difference.
    fn widen(&mut self, model: &Model, onnx: &[f32], candle: &[f32]) {
        // The unit of a scaled target is its standard deviation, which may be far from 1.
        let units = model.target_scaling.as_ref().map_or(&[1.0][..], |scaling| &scaling.scale);
        for ((&onnx, &candle), unit) in onnx.iter().zip(candle).zip(units.iter().cycle()) {
            let difference = f64::from((onnx - candle).abs()) / f64::from(candle.abs().max(*unit));
            // `max` would ignore NaN.
            self.worst = if difference.is_nan() { f64::INFINITY } else { self.worst.max(difference) };
        }
    }

    /// Counts the rows with different predicted classes; `first_row` is the index of the first.
    fn classify(&mut self, model: &Model, first_row: usize, onnx: &[f32], candle: &[f32]) {
        let width = model.graph.architecture.outputs;
        for (i, (onnx, candle)) in onnx.chunks(width).zip(candle.chunks(width)).enumerate() {
            if differ(onnx, candle) {
                let (first, count) = self.differing.unwrap_or((first_row + i, 0));
                self.differing = Some((first, count + 1));
            }
        }
    }

    fn verdict(&self, rows: usize, tolerance: f64) -> Option<String> {
        let runtime = self.session.backend();
        if self.worst == f64::INFINITY {
            return Some(format!(
                "ONNX (runtime {runtime}) or candle computes NaN or infinity from the rows of the comparison \
                 (export.check_input)"
            ));
        }
        if self.worst > tolerance {
            let worst = self.worst;
            return Some(format!(
                "ONNX and candle differ by {worst:e} (runtime {runtime}), more than export.tolerance = {tolerance:e}"
            ));
        }
        let (first, count) = self.differing?;
        Some(format!(
            "ONNX and candle see {count} of {rows} rows in different classes (runtime {runtime}); the first is row {first}"
        ))
    }
}

/// Whether the argmax differs. Ties do not count: either class is right.
fn differ(onnx: &[f32], candle: &[f32]) -> bool {
    let (ours, theirs) = (argmax(onnx), argmax(candle));
    onnx[ours] != onnx[theirs] && candle[ours] != candle[theirs]
}

#[cfg(test)]
mod tests {
    use super::differ;

    #[test]
    fn classes_differ_unless_they_tie() {
        assert!(!differ(&[0.1, 0.6, 0.3], &[0.2, 0.5, 0.3]));
        assert!(differ(&[0.4, 0.6], &[0.6, 0.4]));
        assert!(differ(&[0.3, 0.5, 0.2], &[0.3, 0.2, 0.5]));
        assert!(!differ(&[0.5, 0.5], &[0.4, 0.6]), "a tie of ONNX's");
        assert!(!differ(&[0.4, 0.6], &[0.5, 0.5]), "a tie of candle's");
    }
}
