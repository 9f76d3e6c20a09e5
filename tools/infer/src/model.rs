//! An ONNX model and the fields that its input comes from.

use crate::{not_onnx, settings::Settings};
use anyhow::{bail, ensure};
use dataset::{Features, Target};
use files::Limit;
use records::{Batch, DType};
use runtime::{Inputs, Options, Session};
use std::path::Path;

/// Key of the metadata under which `export` writes the features.
const FEATURES: &str = "pipegrad.features";

pub struct Model {
    session: Session,
    /// From the metadata; without them, the one field that has the name of the graph's input.
    features: Features,
    /// Whether the metadata has features: only then missing values are filled, and classes have names.
    has_features: bool,
    /// Rows of a call of the session.
    batch_size: usize,
    /// Batch size of the graph, where it is fixed.
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
        let found = session.metadata(FEATURES).map(|text| Features::from_json(&text)).transpose();
        let found = found.map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
        let input = session.input();
        let has_features = found.is_some();
        let features = found.unwrap_or_else(|| Features::of_field(&input.name, &[], "", &[]));
        if has_features {
            let (joined, shape) = (features.raw_shape(), &input.row_shape);
            ensure!(
                input.accepts(&joined),
                "{}: its features come to {joined:?} a row, and its input to {shape:?}",
                path.display()
            );
        }
        let fixed_batch = input.batch;
        ensure!(fixed_batch != Some(0), "{}: its input has no rows", path.display());
        let batch_size = fixed_batch.unwrap_or(settings.batch_size);
        Ok(Self { session, features, has_features, batch_size, fixed_batch, outputs: Vec::new(), bytes: Vec::new() })
    }

    /// Name, shape and classes of the predicted field; None without features in the metadata.
    pub fn target(&self) -> Option<&Target> {
        self.has_features.then_some(&self.features.target)
    }

    /// The input fields, and how they are joined.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Overwrites `predictions` with `[rows, row shape…]`; returns the row shape.
    pub fn predict(&mut self, batch: &Batch, predictions: &mut Vec<f32>) -> anyhow::Result<Vec<usize>> {
        predictions.clear();
        let shape = self.row_shape(batch)?;
        match self.session.input().dtype {
            DType::F4 => {
                let values = self.values(batch)?; // [rows, row shape…]
                self.run(batch.rows(), &shape, &values, |values| Inputs::F32(values), predictions)
            }
            // `u1`: a session accepts no other dtype.
            _ => {
                let mut bytes = std::mem::take(&mut self.bytes); // [rows, row shape…]
                batch.column_u8(self.features.inputs[0].name(), &mut bytes)?;
                let row_shape = self.run(batch.rows(), &shape, &bytes, |bytes| Inputs::U8(bytes), predictions);
                self.bytes = bytes;
                row_shape
            }
        }
    }

    /// Runs the rows of `values` in blocks of the batch size. For a fixed batch size, the last block is padded with copies
    /// of its last row.
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

    /// The shape of an input row for the graph.
    ///
    /// # Errors
    /// When the field of the batch has another shape than the graph accepts.
    fn row_shape(&self, batch: &Batch) -> anyhow::Result<Vec<usize>> {
        if self.has_features && self.session.input().dtype == DType::F4 {
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

    /// The input of a batch, `[rows, row shape…]`.
    fn values(&self, batch: &Batch) -> anyhow::Result<Vec<f32>> {
        if self.has_features {
            return Ok(dataset::raw_rows(&self.features, batch)?);
        }
        let mut values = Vec::new();
        batch.column_f32(self.features.inputs[0].name(), &mut values)?;
        Ok(values)
    }
}
