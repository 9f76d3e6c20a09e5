//! From rows to the input of a model.

use crate::{Error, Result};
use dataset::Features;
use records::{Batch, DType, ReadOptions};
use runtime::TensorSpec;

/// How rows become the only input of a model.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// From the metadata; without them, the one field that has the name of the graph's input.
    features: Features,
    /// Whether the metadata has features: only then missing values are filled, and classes have names.
    has_features: bool,
    input: TensorSpec,
}

/// Rows as a model takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// `[rows, shape…]`
    pub values: Values,
}

/// Elements of the input's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// For `f4`.
    F32(Vec<f32>),
    /// For `u1`.
    U8(Vec<u8>),
}

impl Encoder {
    /// Of a model with this input, `f4` or `u1`, and the features of its metadata, if it has some.
    ///
    /// # Errors
    /// When the features are not those of the input.
    pub fn new(features: Option<Features>, input: TensorSpec) -> Result<Self> {
        if let Some(features) = &features {
            let joined = features.raw_shape();
            if !input.accepts(&joined) {
                return Err(Error::Misfit { joined, shape: input.row_shape });
            }
        }
        let has_features = features.is_some();
        let features = features.unwrap_or_else(|| Features::of_field(&input.name, &[], "", &[]));
        Ok(Self { features, has_features, input })
    }

    /// The names of the classes of the predicted field; None where the metadata have none.
    pub fn classes(&self) -> Option<&[String]> {
        self.features.target.classes.as_deref()
    }

    /// How rows are read: the fields of the input.
    pub fn read_options(&self) -> ReadOptions<'_> {
        dataset::read_options(&self.features)
    }

    /// The rows of a batch.
    ///
    /// # Errors
    /// When a field is missing or has another type or shape, or a row a value that the model cannot take; with the location of
    /// the row.
    pub fn encode(&self, batch: &Batch) -> Result<Rows> {
        let shape = self.row_shape(batch)?;
        let values = match self.input.dtype {
            DType::F4 => Values::F32(self.reals(batch)?),
            // `u1`: no model of another dtype is here.
            _ => {
                let mut bytes = Vec::new();
                batch.column_u8(self.features.inputs[0].name(), &mut bytes)?;
                Values::U8(bytes)
            }
        };
        Ok(Rows { shape, values })
    }

    /// The shape of an input row for the graph.
    fn row_shape(&self, batch: &Batch) -> Result<Vec<usize>> {
        if self.has_features && self.input.dtype == DType::F4 {
            return Ok(self.features.raw_shape());
        }
        let field = batch.field(self.features.inputs[0].name())?;
        if !self.input.accepts(&field.shape) {
            let expected = self.input.row_shape.iter().map(|dim| dim.map_or("any".into(), |dim| dim.to_string()));
            let expected = format!("[{}] by the model", expected.collect::<Vec<_>>().join(","));
            return Err(batch.wrong_shape(field, &expected).into());
        }
        Ok(field.shape.clone())
    }

    fn reals(&self, batch: &Batch) -> Result<Vec<f32>> {
        if self.has_features {
            return Ok(dataset::raw_rows(&self.features, batch)?);
        }
        let mut values = Vec::new();
        batch.column_f32(self.features.inputs[0].name(), &mut values)?;
        Ok(values)
    }
}
