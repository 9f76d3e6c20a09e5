//! The field of rows that has the right class.

use anyhow::{Context, bail};
use records::{Batch, DType};

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

impl Labels {
    /// The label of each row; None where the rows do not have the field.
    ///
    /// # Errors
    /// When it is required and missing, is no scalar, or names an unknown class.
    pub fn read(&self, batch: &Batch) -> anyhow::Result<Option<Vec<f64>>> {
        let name = &self.field;
        let Ok(field) = batch.field(name) else {
            // One that is required was missed by the reader.
            return Ok(None);
        };
        if !field.shape.is_empty() {
            return Err(batch.wrong_shape(field, "one class by export.gate.target_field").into());
        }
        if field.dtype != DType::Text && !self.of_text {
            let mut labels = Vec::new();
            batch.column_f64(name, &mut labels)?;
            return Ok(Some(labels));
        }
        let classes = self.names.as_ref().with_context(|| text_without_names(batch, name))?;
        let texts = dataset::texts(name, batch)?;
        let mut labels = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let Some(class) = classes.iter().position(|class| class == text) else {
                bail!("{}: field {name:?} has {text:?}, none of the model's classes", batch.location(row))
            };
            labels.push(class as f64);
        }
        Ok(Some(labels))
    }
}

fn text_without_names(batch: &Batch, name: &str) -> String {
    batch
        .error(format!("field {name:?} is text, and the model does not name its classes (export.labels names them)"))
        .to_string()
}
