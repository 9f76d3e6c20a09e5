//! From a batch of records to the inputs of a graph.

use super::{
    column::Column,
    labels::{Label, Labels},
};
use anyhow::{bail, ensure};
use dataset::Features;
use prediction::{Encoder, FEATURES_KEY, Values};
use records::{Batch, DType, ReadOptions};
use runtime::{Data, ElementType, Model, Port, TensorSpec, Value};
use std::ops::Range;

/// How records become the inputs of a graph.
pub struct Feeder {
    inputs: Vec<Port>,
    /// Of a model whose metadata say how a row becomes its only input; others read each input from the field of its name.
    encoder: Option<Encoder>,
    /// Batch size, where the graph fixes it.
    fixed_batch: Option<usize>,
    labels: Option<Labels>,
}

/// All rows of a batch of records.
pub struct Table {
    rows: usize,
    columns: Vec<Column>,
    labels: Option<Vec<Label>>,
}

/// Rows as a graph takes them.
pub struct Feed {
    /// Number of rows; a batch of fixed size has copies of the last one behind them.
    pub rows: usize,
    /// `[batch, shape…]` of each input, and its bytes.
    tensors: Vec<(Vec<usize>, Vec<u8>)>,
    /// The label of each row, where the records have it.
    pub labels: Option<Vec<Label>>,
}

impl Feeder {
    /// Of a graph; errors call it `name`.
    ///
    /// # Errors
    /// When rows cannot be its inputs.
    pub fn new(name: &str, model: &Model, labels: Option<Labels>) -> anyhow::Result<Self> {
        let inputs = model.inputs().to_vec();
        if let Some(obstacle) = obstacle(&inputs) {
            bail!(
                "{name}: {obstacle}; it can only be written with export.precision=fp32 and without export.check_input"
            );
        }
        let fixed_batch = inputs.iter().find_map(|port| port.shape[0]);
        Ok(Self { encoder: encoder(name, model)?, inputs, fixed_batch, labels })
    }

    /// The graph's inputs.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Rows of a run of the graph: its own batch size, where it has one.
    pub fn batch_size(&self, wanted: usize) -> usize {
        self.fixed_batch.unwrap_or(wanted)
    }

    /// What failed where the graph does not run: some graphs that take any number of rows run on one only.
    pub fn failed(&self, feed: &Feed, setting: &str) -> String {
        match (feed.rows, self.fixed_batch) {
            (2.., None) => format!("{} rows at once ({setting}=1 runs one at a time)", feed.rows),
            (rows, _) => format!("a run of {rows} rows"),
        }
    }

    /// How records are read.
    pub(super) fn read_options(&self) -> ReadOptions<'_> {
        let mut options = match &self.encoder {
            Some(encoder) => encoder.read_options(),
            None => {
                let names: Vec<_> = self.inputs.iter().map(|port| port.name.as_str()).collect();
                ReadOptions { all_fields: false, ..ReadOptions::floats(&names) }
            }
        };
        if let Some(labels) = &self.labels {
            // The field may be missing, which a required one must not.
            options.all_fields = true;
            if labels.is_required {
                match labels.of_text {
                    true => options.texts.push(&labels.field),
                    false => options.any.push(&labels.field),
                }
                options.remedies.push((&labels.field, records::chosen_by("export.gate.target_field=NAME")));
            }
        }
        options
    }

    /// The inputs and labels of a batch of records.
    pub(super) fn table(&self, batch: &Batch) -> anyhow::Result<Table> {
        let columns = match &self.encoder {
            Some(encoder) => {
                let rows = encoder.encode(batch)?;
                let bytes = match rows.values {
                    Values::F32(values) => bytemuck::cast_slice(&values).to_vec(),
                    Values::U8(bytes) => bytes,
                };
                vec![Column { shape: rows.shape, bytes }]
            }
            None => self.inputs.iter().map(|port| Column::read(batch, port)).collect::<Result<_, _>>()?,
        };
        let labels = self.labels.as_ref().map(|labels| labels.read(batch)).transpose()?.flatten();
        Ok(Table { rows: batch.rows(), columns, labels })
    }

    /// Some rows of a table.
    pub(super) fn slice(&self, table: &Table, rows: Range<usize>) -> anyhow::Result<Feed> {
        let part = |column: &Column| {
            let width = column.row_bytes(table.rows);
            Column { shape: column.shape.clone(), bytes: column.bytes[rows.start * width..rows.end * width].to_vec() }
        };
        let labels = table.labels.as_ref().map(|labels| labels[rows.clone()].to_vec());
        self.pack(rows.len(), table.columns.iter().map(part).collect(), labels)
    }

    /// Rows as the graph takes them: where its batch size is fixed, copies of the last row fill it.
    pub(super) fn pack(&self, rows: usize, columns: Vec<Column>, labels: Option<Vec<Label>>) -> anyhow::Result<Feed> {
        let batch = self.fixed_batch.unwrap_or(rows);
        ensure!(rows > 0 && rows <= batch, "{rows} rows for a batch of {batch}");
        let tensor = |mut column: Column| {
            let width = column.row_bytes(rows);
            let last = column.bytes.len() - width;
            (rows..batch).for_each(|_| column.bytes.extend_from_within(last..last + width));
            (std::iter::once(batch).chain(column.shape).collect(), column.bytes)
        };
        Ok(Feed { rows, tensors: columns.into_iter().map(tensor).collect(), labels })
    }
}

impl Feed {
    /// What the graph is run on.
    pub fn values<'a>(&'a self) -> Vec<Value<'a>> {
        let value = |(shape, bytes): &'a (Vec<usize>, Vec<u8>)| Value {
            shape: shape.as_slice().into(),
            data: Data::Bytes(bytes),
        };
        self.tensors.iter().map(value).collect()
    }

    /// The bytes of input `index`, padding excluded.
    pub fn input(&self, index: usize) -> Option<&[u8]> {
        let (shape, bytes) = self.tensors.get(index)?;
        bytes.get(..bytes.len() / shape.first()?.max(&1) * self.rows)
    }
}

/// Why no rows can be the inputs of a graph; None where they can.
pub(super) fn obstacle(inputs: &[Port]) -> Option<String> {
    if inputs.is_empty() {
        return Some("the graph has no inputs".into());
    }
    if let Some(port) = inputs.iter().find(|port| port.shape.is_empty()) {
        return Some(format!("input {:?} has no batch axis", port.name));
    }
    if let Some(port) = inputs.iter().find(|port| port.element == ElementType::String) {
        return Some(format!("input {:?} is text", port.name));
    }
    let fixed: Vec<usize> = inputs.iter().filter_map(|port| port.shape[0]).collect();
    match fixed.first()? {
        0 => Some("the batch size is 0".into()),
        first if fixed.iter().any(|batch| batch != first) => Some(format!("the inputs have batches of {fixed:?} rows")),
        _ => None,
    }
}

/// The encoder of a model that `export` wrote: its metadata have the features.
fn encoder(name: &str, model: &Model) -> anyhow::Result<Option<Encoder>> {
    let Some(text) = model.metadata(FEATURES_KEY) else { return Ok(None) };
    let features = Features::from_json(&text).map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?;
    let [port] = model.inputs() else { return Ok(None) };
    let dtype = match port.element {
        ElementType::F32 => DType::F4,
        ElementType::U8 => DType::U1,
        _ => return Ok(None),
    };
    let input =
        TensorSpec { name: port.name.clone(), dtype, batch: port.shape[0], row_shape: port.shape[1..].to_vec() };
    let encoder = Encoder::new(Some(features), input);
    Ok(Some(encoder.map_err(|problem| anyhow::anyhow!("{name}: {problem}"))?))
}
