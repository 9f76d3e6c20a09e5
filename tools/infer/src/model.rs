//! An ONNX model, the fields that its inputs come from, and those that its outputs become.

use crate::{
    inputs::{self, Inputs},
    outputs::{Computed, Outputs},
    settings::Settings,
};
use anyhow::{Context, bail};
use files::Limit;
use records::{Batch, ReadOptions};
use runtime::{Data, Options, Value};
use std::{path::Path, rc::Rc};

/// The fields that a model reads and adds.
pub struct Fields {
    inputs: Inputs,
    outputs: Outputs,
}

pub struct Model {
    model: runtime::Model,
    fields: Rc<Fields>,
    /// Rows of a run.
    batch_size: usize,
    /// Rows of a run, where the graph fixes them.
    fixed_batch: Option<usize>,
    /// In the order of [`Outputs::indices`].
    computed: Vec<Computed>,
}

impl Fields {
    /// How rows are read: the fields of the inputs, and those that are added.
    pub fn read_options(&self) -> ReadOptions<'_> {
        ReadOptions { adds: self.outputs.names(), ..self.inputs.read_options() }
    }
}

impl Model {
    /// Loads the model at `path`.
    pub fn open(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        if let Some(explanation) = runtime::explain_not_onnx(path, "-m") {
            bail!("{explanation}");
        }
        let options = Options {
            backend: settings.runtime,
            device: settings.device,
            library: settings.onnxruntime.as_deref(),
            group: "infer",
            threads: cli::limited_threads("infer.threads", settings.threads),
            memory_bytes: settings.memory_bytes,
            ..Options::default()
        };
        let limit = Limit { bytes: settings.model_bytes, setting: Some("infer.model_bytes") };
        let model = runtime::Model::open(path, limit, &options)?;
        let of_model = |error: anyhow::Error| match error.downcast::<runtime::Error>() {
            // It names the model.
            Ok(error) => error.into(),
            Err(error) => error.context(path.display().to_string()),
        };
        let inputs = Inputs::new(&model, settings.input_fields.as_ref()).map_err(of_model)?;
        let outputs = Outputs::new(&model, &inputs, settings);
        // A contradiction of the settings is not the model's fault.
        let outputs = outputs.map_err(|error| if error.is::<prediction::Error>() { error } else { of_model(error) })?;
        let fixed_batch = inputs::fixed_batch(&model).map_err(of_model)?;
        let batch_size = fixed_batch.unwrap_or(settings.batch_size);
        let fields = Rc::new(Fields { inputs, outputs });
        Ok(Self { model, fields, batch_size, fixed_batch, computed: Vec::new() })
    }

    /// Its fields.
    pub fn fields(&self) -> Rc<Fields> {
        Rc::clone(&self.fields)
    }

    /// Adds the fields of its outputs to a batch.
    pub fn predict(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        self.run(batch)?;
        self.fields.outputs.add(batch, &self.computed)
    }

    /// Runs the rows in blocks of the batch size. For a fixed batch size, the last block is padded with copies of its last
    /// row.
    fn run(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let columns = self.fields.inputs.columns(batch)?;
        let (rows, indices) = (batch.rows(), self.fields.outputs.indices());
        self.computed.resize_with(indices.len(), Computed::default);
        self.computed.iter_mut().for_each(|computed| computed.bytes.clear());
        for begin in (0..rows).step_by(self.batch_size) {
            let count = self.batch_size.min(rows - begin);
            let size = self.fixed_batch.unwrap_or(count);
            let blocks: Vec<_> = columns.iter().map(|column| column.block(begin, count, size)).collect();
            let values = columns.iter().zip(&blocks).map(|(column, block)| Value {
                shape: std::iter::once(size).chain(column.shape.iter().copied()).collect(),
                data: Data::Bytes(block),
            });
            let results = self.model.run(&values.collect::<Vec<_>>());
            // Some graphs that take any number of rows run on one only.
            let hint = || format!("{count} rows at once (infer.batch_size=1 runs one at a time)");
            let is_any = self.fixed_batch.is_none() && count > 1;
            let results = if is_any { results.with_context(hint)? } else { results? };
            for (&index, computed) in indices.iter().zip(&mut self.computed) {
                let (row_shape, bytes) = results.rows(index, size)?;
                computed.bytes.extend_from_slice(&bytes[..bytes.len() / size * count]);
                computed.row_shape = row_shape;
            }
        }
        Ok(())
    }
}
