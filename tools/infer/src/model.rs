//! An ONNX model and the fields that its input comes from.

use crate::settings::Settings;
use anyhow::{Context, bail, ensure};
use dataset::Features;
use files::Limit;
use prediction::{Encoder, FEATURES_KEY, LABELS_KEY, Values};
use records::Batch;
use runtime::{Inputs, Options, Session};
use std::path::Path;

pub struct Model {
    session: Session,
    encoder: Encoder,
    /// Rows of a call of the session.
    batch_size: usize,
    /// Batch size of the graph, where it is fixed.
    fixed_batch: Option<usize>,
    outputs: Vec<f32>,
}

impl Model {
    /// Loads the model at `path`.
    pub fn open(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        if let Some(explanation) = runtime::explain_not_onnx(path, "-m") {
            bail!("{explanation}");
        }
        let options = Options {
            library: settings.onnxruntime.as_deref(),
            library_setting: "infer.onnxruntime",
            threads: cli::limited_threads("infer.threads", settings.threads),
            ..Options::default()
        };
        let limit = Limit { bytes: settings.model_bytes, setting: Some("infer.model_bytes") };
        let session = Session::open(path, limit, &options, settings.output.as_deref())?;
        let name = path.display();
        let found = session.metadata(FEATURES_KEY).map(|text| Features::from_json(&text)).transpose();
        let found = found.map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
        let encoder = Encoder::new(found, session.input().clone());
        let encoder = encoder.map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
        let fixed_batch = session.input().batch;
        ensure!(fixed_batch != Some(0), "{name}: its input has no rows");
        let batch_size = fixed_batch.unwrap_or(settings.batch_size);
        Ok(Self { session, encoder, batch_size, fixed_batch, outputs: Vec::new() })
    }

    /// The fields of its input.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The names of the classes that the output has a value for each of: those of the training rows, or those that
    /// `export.labels` put into the graph.
    pub fn classes(&self) -> Option<Vec<String>> {
        let of_graph = || {
            let labels = self.session.metadata(LABELS_KEY)?;
            let labels: Vec<_> = labels.lines().map(str::to_owned).collect();
            (self.session.output().row_shape == [Some(labels.len())]).then_some(labels)
        };
        self.encoder.classes().map(<[String]>::to_vec).or_else(of_graph)
    }

    /// Overwrites `predictions` with `[rows, row shape…]`; returns the row shape.
    pub fn predict(&mut self, batch: &Batch, predictions: &mut Vec<f32>) -> anyhow::Result<Vec<usize>> {
        predictions.clear();
        let rows = self.encoder.encode(batch)?;
        match &rows.values {
            Values::F32(values) => self.run(batch.rows(), &rows.shape, values, |block| Inputs::F32(block), predictions),
            Values::U8(bytes) => self.run(batch.rows(), &rows.shape, bytes, |block| Inputs::U8(block), predictions),
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
                None => {
                    let done = self.session.run(count, shape, inputs(block), &mut self.outputs);
                    // Some graphs that take any number of rows run on one only.
                    let hint = || format!("{count} rows at once (infer.batch_size=1 runs one at a time)");
                    if count > 1 { done.with_context(hint)? } else { done? }
                }
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
}
