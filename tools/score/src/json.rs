//! The JSON object that is written: the metrics by name.

use anyhow::Context;
use files::Output;
use metrics::{ConfusionMatrix, Metric};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value, json};
use std::{
    io::{BufWriter, Write},
    path::Path,
};

/// The member that is a matrix, not a number.
const CONFUSION: &str = "confusion_matrix";

/// `{"rows": …, "accuracy": …}`; a metric that is not defined is null.
pub struct MetricsJson {
    members: Map<String, Value>,
    /// `classes × classes` counts, serialized row by row: the whole may be larger than memory.
    confusion: Option<ConfusionMatrix>,
}

impl MetricsJson {
    pub fn new(rows: u64, metrics: &[(Metric, Option<f64>)]) -> Self {
        let mut members = Map::from_iter([("rows".to_owned(), json!(rows))]);
        members.extend(metrics.iter().map(|(metric, value)| (metric.name().to_owned(), json!(value))));
        Self { members, confusion: None }
    }

    /// Adds a member.
    pub fn insert(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// Adds the matrix.
    pub fn insert_confusion(&mut self, confusion: ConfusionMatrix) {
        self.insert(CONFUSION, Value::Null);
        self.confusion = Some(confusion);
    }

    /// The members by name, for conditions on them; the matrix is null here.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Writes the object to the file, or to standard output where there is none. If the reader of standard output closes
    /// the pipe, that is no error: the exit status still tells whether a condition holds.
    pub fn save(&self, path: Option<&Path>) -> anyhow::Result<()> {
        let mut output = Output::create(path).context("the metrics")?;
        match self.write(&mut output) {
            Err(error) if path.is_none() && cli::is_broken_pipe(&error) => Ok(()),
            Err(error) => Err(error.context(output.name().to_owned())),
            Ok(()) => Ok(output.finish().context("the metrics")?),
        }
    }

    fn write(&self, output: impl Write) -> anyhow::Result<()> {
        let mut output = BufWriter::new(output);
        serde_json::to_writer_pretty(&mut output, self).map_err(std::io::Error::from)?;
        output.write_all(b"\n")?;
        Ok(output.flush()?)
    }
}

impl Serialize for MetricsJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (name, value) in &self.members {
            match self.confusion.as_ref().filter(|_| name == CONFUSION) {
                Some(confusion) => map.serialize_entry(name, &Matrix(confusion))?,
                None => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

/// A matrix that is computed while it is written.
struct Matrix<'a>(&'a ConfusionMatrix);

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.classes()))?;
        for row in self.0.matrix().into_iter().flatten() {
            rows.serialize_element(&row)?;
        }
        rows.end()
    }
}
