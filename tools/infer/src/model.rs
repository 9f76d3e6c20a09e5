//! A model, and what it takes of a row.

use crate::{not_onnx, settings::Settings};
use anyhow::{bail, ensure};
use dataset::{Features, Target};
use files::Limit;
use records::{Batch, DType};
use runtime::{Inputs, Options, Session};
use std::path::Path;

/// The metadata of an ONNX file under which `export` keeps the features.
const FEATURES: &str = "pipegrad.features";

pub struct Model {
    session: Session,
    /// Those that the file tells; of another file's, the one field that its input is named after.
    features: Features,
    /// Whether the file tells them: then values that are missing are known for such.
    tells: bool,
    /// Rows a call.
    batch_size: usize,
    /// Rows of every call, where the graph leaves no choice.
    fixed_batch: Option<usize>,
    outputs: Vec<f32>,
    bytes: Vec<u8>,
}

impl Model {
    /// Loads the model at `path`.
    pub fn open(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        if let Some(explanation) = not_onnx::explain(path) {
            bail!("{explanation}");
        }
        let options = Options {
            library: settings.onnxruntime.as_deref(),
            threads: cli::limited_threads("infer.threads", settings.threads),
        };
        let limit = Limit { bytes: settings.model_bytes, setting: Some("infer.model_bytes") };
        let session = Session::open(path, limit, &options)?;
        let told = session.metadata(FEATURES).map(|text| Features::from_json(&text)).transpose();
        let told = told.map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
        let input = session.input();
        let tells = told.is_some();
        let features = told.unwrap_or_else(|| Features::of_field(&input.name, &[], "", &[]));
        if tells {
            let (found, shape) = (features.raw_shape(), &input.row_shape);
            ensure!(
                input.accepts(&found),
                "{}: its features come to {found:?} a row, and its input to {shape:?}",
                path.display()
            );
        }
        let fixed_batch = input.batch;
        ensure!(fixed_batch != Some(0), "{}: its input has no rows", path.display());
        let batch_size = fixed_batch.unwrap_or(settings.batch_size);
        Ok(Self { session, features, tells, batch_size, fixed_batch, outputs: Vec::new(), bytes: Vec::new() })
    }

    /// What it predicts; None where the file does not tell.
    pub fn target(&self) -> Option<&Target> {
        self.tells.then_some(&self.features.target)
    }

    /// The fields that it reads, and what it makes of them.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Overwrites `predictions` with those of all rows; returns the shape of one.
    pub fn predict(&mut self, batch: &Batch, predictions: &mut Vec<f32>) -> anyhow::Result<Vec<usize>> {
        predictions.clear();
        let shape = self.row_shape(batch)?;
        match self.session.input().dtype {
            DType::F4 => {
                let values = self.values(batch)?; // [rows, row shape…]
                self.run(batch.rows(), &shape, &values, |values| Inputs::F32(values), predictions)
            }
            // Bytes: a session takes no other.
            _ => {
                let mut bytes = std::mem::take(&mut self.bytes); // [rows, row shape…]
                batch.column_u8(self.features.inputs[0].name(), &mut bytes)?;
                let row_shape = self.run(batch.rows(), &shape, &bytes, |bytes| Inputs::U8(bytes), predictions);
                self.bytes = bytes;
                row_shape
            }
        }
    }

    /// Runs the rows of `values` in blocks; a graph that takes a fixed number of rows gets the last one again and again
    /// in a block that is not full.
    fn run<'v, T: Copy + 'v>(
        &mut self,
        rows: usize,
        shape: &[usize],
        values: &'v [T],
        inputs: impl Fn(&[T]) -> Inputs<'_>,
        predictions: &mut Vec<f32>,
    ) -> anyhow::Result<Vec<usize>> {
        let width: usize = shape.iter().product();
        let mut row_shape = Vec::new();
        for begin in (0..rows).step_by(self.batch_size) {
            let count = self.batch_size.min(rows - begin);
            let block = &values[begin * width..(begin + count) * width];
            row_shape = match self.fixed_batch.filter(|fixed| *fixed > count) {
                None => self.session.run(count, shape, inputs(block), &mut self.outputs)?,
                Some(fixed) => {
                    let mut full = block.to_vec();
                    (count..fixed).for_each(|_| full.extend_from_slice(&block[(count - 1) * width..]));
                    self.session.run(fixed, shape, inputs(&full), &mut self.outputs)?
                }
            };
            let outputs: usize = row_shape.iter().product();
            predictions.extend_from_slice(&self.outputs[..count * outputs]);
        }
        Ok(row_shape)
    }

    /// The shape of a row as the graph takes it, where the batch has fields of the right shapes.
    fn row_shape(&self, batch: &Batch) -> anyhow::Result<Vec<usize>> {
        if self.tells && self.session.input().dtype == DType::F4 {
            return Ok(self.features.raw_shape());
        }
        let field = batch.field(self.features.inputs[0].name())?;
        let input = self.session.input();
        if !input.accepts(&field.shape) {
            let expected = input.row_shape.iter().map(|dim| dim.map_or("any".into(), |dim| dim.to_string()));
            let expected = format!("[{}] by the model", expected.collect::<Vec<_>>().join(","));
            return Err(batch.wrong_shape(field, &expected).into());
        }
        Ok(field.shape.clone())
    }

    /// The values of a batch that go in, `[rows, row shape…]`.
    fn values(&self, batch: &Batch) -> anyhow::Result<Vec<f32>> {
        if self.tells {
            return Ok(dataset::raw_rows(&self.features, batch)?);
        }
        let mut values = Vec::new();
        batch.column_f32(self.features.inputs[0].name(), &mut values)?;
        Ok(values)
    }
}
