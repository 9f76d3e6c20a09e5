//! What is written: the metrics by name.

use ::metrics::Confusion;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};
use std::io::{BufWriter, Write};

/// The metric that is a matrix, not a number.
const CONFUSION: &str = "confusion_matrix";

/// Metrics by name, in order.
#[derive(Default)]
pub struct Metrics {
    members: Map<String, Value>,
    /// A value of classes times classes numbers, which is written and never held.
    confusion: Option<Confusion>,
}

impl From<Map<String, Value>> for Metrics {
    fn from(members: Map<String, Value>) -> Self {
        Self { members, confusion: None }
    }
}

impl Metrics {
    /// Adds a metric.
    pub fn insert(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// Adds the matrix.
    pub fn insert_confusion(&mut self, confusion: Confusion) {
        self.insert(CONFUSION, Value::Null);
        self.confusion = Some(confusion);
    }

    /// Those that conditions can be on.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Writes them as one JSON object.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, output: impl Write) -> anyhow::Result<()> {
        let mut output = BufWriter::new(output);
        serde_json::to_writer_pretty(&mut output, self).map_err(std::io::Error::from)?;
        output.write_all(b"\n")?;
        Ok(output.flush()?)
    }
}

impl Serialize for Metrics {
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

/// Rows of counts, one at a time.
struct Matrix<'a>(&'a Confusion);

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.classes()))?;
        for row in self.0.matrix().into_iter().flatten() {
            rows.serialize_element(&row)?;
        }
        rows.end()
    }
}
