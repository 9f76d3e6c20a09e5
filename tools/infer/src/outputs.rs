//! From the outputs of a model to fields of records.

use crate::{
    inputs::{Inputs, listed},
    settings::Settings,
};
use anyhow::{Context, ensure};
use bytemuck::AnyBitPattern;
use indexmap::IndexMap;
use prediction::LABELS_KEY;
use records::{Batch, Bool, Element};
use runtime::{ElementType, Model};
use std::borrow::Cow;

/// What becomes of the outputs of a model.
pub enum Outputs {
    /// One, of float32, is the prediction.
    Prediction {
        /// Index among the graph's.
        index: usize,
        fields: prediction::Outputs,
    },
    /// Each of these is a field.
    Fields(Vec<OutputField>),
}

/// An output and its field.
pub struct OutputField {
    index: usize,
    field: String,
    element: ElementType,
}

/// What a model has computed of a batch.
#[derive(Default)]
pub struct Computed {
    /// Shape of one row.
    pub row_shape: Vec<usize>,
    /// `[rows, row_shape…]`
    pub bytes: Vec<u8>,
}

impl Outputs {
    /// Of a model with these inputs.
    ///
    /// # Errors
    /// When the settings name an output that there is not, or one that no field can be; or the fields contradict each other.
    pub fn new(model: &Model, inputs: &Inputs, settings: &Settings) -> anyhow::Result<Self> {
        if let Some(fields) = &settings.output_fields {
            return Ok(Self::Fields(named(model, fields)?));
        }
        let (index, output) = model.prediction(settings.output.as_deref())?;
        let of_graph = || {
            let labels = model.metadata(LABELS_KEY)?;
            let labels: Vec<_> = labels.lines().map(str::to_owned).collect();
            (output.row_shape == [Some(labels.len())]).then_some(labels)
        };
        // The names of the classes are those of the training rows, or those that `export.labels` put into the graph.
        let of_rows = inputs.encoder().and_then(|encoder| encoder.classes()).map(<[String]>::to_vec);
        let classes = of_rows.or_else(of_graph);
        let fields = prediction::Outputs::new(settings.outputs.clone(), &Settings::option_names(), classes.as_deref())?;
        Ok(Self::Prediction { index, fields })
    }

    /// The indices of the outputs that become fields.
    pub fn indices(&self) -> Vec<usize> {
        match self {
            Self::Prediction { index, .. } => vec![*index],
            Self::Fields(fields) => fields.iter().map(|output| output.index).collect(),
        }
    }

    /// The names of the fields, each with the option that changes it.
    pub fn names(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Prediction { fields, .. } => fields.fields(),
            Self::Fields(fields) => fields.iter().map(|output| (output.field.as_str(), "infer.outputs")).collect(),
        }
    }

    /// Adds the fields of what was computed, in the order of [`Outputs::indices`].
    ///
    /// # Errors
    /// When a field is there already, or the values are not as the settings need them.
    pub fn add(&self, batch: &mut Batch, computed: &[Computed]) -> anyhow::Result<()> {
        match self {
            Self::Prediction { fields, .. } => {
                let one = computed.first().context("a run without an output")?;
                Ok(fields.add(batch, &one.row_shape, &values::<f32>(&one.bytes))?)
            }
            Self::Fields(fields) => {
                fields.iter().zip(computed).try_for_each(|(output, computed)| output.add(batch, computed))
            }
        }
    }
}

impl OutputField {
    fn add(&self, batch: &mut Batch, computed: &Computed) -> anyhow::Result<()> {
        fn set<T: Element>(batch: &mut Batch, field: &str, computed: &Computed) -> records::Result<()> {
            batch.set_column(field, &computed.row_shape, &values::<T>(&computed.bytes))
        }
        let set = match self.element {
            ElementType::F64 => set::<f64>,
            ElementType::I64 => set::<i64>,
            ElementType::I32 => set::<i32>,
            ElementType::U8 => set::<u8>,
            ElementType::Bool => set::<Bool>,
            // Float32: `named` lets no other pass.
            _ => set::<f32>,
        };
        Ok(set(batch, &self.field, computed)?)
    }
}

/// The outputs that `fields` names, `{output: field}`.
fn named(model: &Model, fields: &IndexMap<String, String>) -> anyhow::Result<Vec<OutputField>> {
    use ElementType::{Bool, F32, F64, I32, I64, U8};
    ensure!(!fields.is_empty(), "infer.outputs: names no output; there are {}", listed(model.outputs()));
    let mut found: Vec<OutputField> = Vec::with_capacity(fields.len());
    for (name, field) in fields {
        let index = model.outputs().iter().position(|port| port.name == *name);
        let index = index.with_context(|| {
            format!("infer.outputs: no output is called {name:?}; there are {}", listed(model.outputs()))
        })?;
        let port = &model.outputs()[index];
        ensure!(
            matches!(port.element, F32 | F64 | I64 | I32 | U8 | Bool),
            "output {name:?} is {port}, expected a float32, float64, int64, int32, uint8 or bool tensor with a batch axis"
        );
        ensure!(!field.is_empty(), "infer.outputs: the field of {name:?} has no name");
        ensure!(
            found.iter().all(|output| output.field != *field),
            "infer.outputs: two outputs are to become field {field:?}"
        );
        found.push(OutputField { index, field: field.clone(), element: port.element });
    }
    Ok(found)
}

/// The elements of bytes that may not be aligned to them.
fn values<T: AnyBitPattern + bytemuck::NoUninit>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) => values.into(),
        Err(_) => bytemuck::pod_collect_to_vec(bytes).into(),
    }
}
