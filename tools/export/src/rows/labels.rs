//! The field of rows that has the right class.

use anyhow::{Context, bail};
use records::{Batch, DType, Location};

/// The field that has the right class of each row.
#[derive(Debug, Clone)]
pub struct Labels {
    /// Its name.
    pub field: String,
    /// The names of the classes, label 0 on.
    pub names: Option<Vec<String>>,
    /// Whether the field is text, even where it looks like numbers.
    pub of_text: bool,
    /// Whether rows without the field are refused, rather than compared without labels.
    pub is_required: bool,
}

/// The right class of a row, as the row has it.
#[derive(Debug, Clone)]
pub struct Label {
    value: f64,
    location: Location,
}

impl Label {
    /// The index of the class; `classes` is their number, None where it is not known.
    ///
    /// # Errors
    /// When there is no such class; with the location of the row.
    pub fn class(&self, classes: Option<usize>) -> anyhow::Result<usize> {
        let Ok(class) = dataset::classes::of_label(self.value, classes.unwrap_or(usize::MAX)) else {
            let range = classes.map_or("0 on".into(), |classes| format!("0 to {}", classes.saturating_sub(1)));
            bail!("{}: label {} is no class of the model, which has {range}", self.location, self.value);
        };
        Ok(class)
    }
}

impl Labels {
    /// The label of each row; None where the rows do not have the field.
    ///
    /// # Errors
    /// When it is required and missing, is no scalar, or names an unknown class.
    pub fn read(&self, batch: &Batch) -> anyhow::Result<Option<Vec<Label>>> {
        let name = &self.field;
        let Ok(field) = batch.field(name) else {
            // One that is required was missed by the reader.
            return Ok(None);
        };
        if !field.shape.is_empty() {
            return Err(batch.wrong_shape(field, "one class by export.gate.target_field").into());
        }
        let mut values = Vec::new();
        match field.dtype != DType::Text && !self.of_text {
            true => batch.column_f64(name, &mut values)?,
            false => self.indices(batch, &mut values)?,
        }
        let labels = values.into_iter().enumerate();
        Ok(Some(labels.map(|(row, value)| Label { value, location: batch.location(row) }).collect()))
    }

    /// The indices of the classes that the field names.
    fn indices(&self, batch: &Batch, indices: &mut Vec<f64>) -> anyhow::Result<()> {
        let name = &self.field;
        let classes = self.names.as_ref().with_context(|| text_without_names(batch, name))?;
        for (row, text) in dataset::texts(name, batch)?.iter().enumerate() {
            let Some(class) = classes.iter().position(|class| class == text) else {
                bail!("{}: field {name:?} has {text:?}, none of the model's classes", batch.location(row))
            };
            indices.push(class as f64);
        }
        Ok(())
    }
}

fn text_without_names(batch: &Batch, name: &str) -> String {
    batch
        .error(format!("field {name:?} is text, and the model does not name its classes (export.labels names them)"))
        .to_string()
}

#[cfg(test)]
impl Label {
    /// Of row `row` of a file called `rows`.
    pub fn of_row(row: u64, value: f64) -> Self {
        Self { value, location: Location::row(&"rows".into(), row) }
    }
}
