//! The output fields.

use crate::settings::Settings;
use anyhow::ensure;
use dataset::Target;
use records::Batch;

/// Prefix of the field of a class's probability.
const PROBABILITY: &str = "probability_";

pub struct Outputs {
    out_field: String,
    /// Class names, and the field for the name of the predicted class.
    classes: Option<(Vec<String>, String)>,
    /// Name of the field of each class's probability; empty where they are not asked for.
    probabilities: Vec<String>,
}

impl Outputs {
    /// The fields of a model that predicts `target`.
    ///
    /// # Errors
    /// When probabilities of classes without names are asked for, or two fields have one name.
    pub fn new(settings: &Settings, target: Option<&Target>) -> anyhow::Result<Self> {
        let names = target.and_then(|target| target.classes.clone());
        ensure!(
            !settings.probabilities || names.is_some(),
            "infer.probabilities: the model has no names of classes (its target was no text)"
        );
        let probabilities = match &names {
            Some(names) if settings.probabilities => names.iter().map(|name| format!("{PROBABILITY}{name}")).collect(),
            _ => Vec::new(),
        };
        let classes = names.map(|names| (names, settings.label_field.clone()));
        let taken = |name: &String| probabilities.contains(name);
        ensure!(!taken(&settings.out_field), "infer.out_field: {:?} is also a class's probability", settings.out_field);
        ensure!(
            !taken(&settings.label_field),
            "infer.label_field: {:?} is also a class's probability",
            settings.label_field
        );
        Ok(Self { out_field: settings.out_field.clone(), classes, probabilities })
    }

    /// The names of the fields, each with the flag or setting that changes it.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let label = self.classes.iter().map(|(_, field)| (field.as_str(), "infer.label_field"));
        let probabilities = self.probabilities.iter().map(|field| (field.as_str(), "infer.probabilities=false"));
        std::iter::once((self.out_field.as_str(), "--out-field")).chain(label).chain(probabilities).collect()
    }

    /// Adds the fields of `predictions` `[rows, row shape…]`.
    pub fn add(&self, batch: &mut Batch, row_shape: &[usize], predictions: &[f32]) -> anyhow::Result<()> {
        batch.set_column(&self.out_field, row_shape, predictions)?;
        let Some((names, label_field)) = &self.classes else { return Ok(()) };
        let (width, classes) = (row_shape.iter().product::<usize>(), names.len());
        // A scalar is the probability of the second of two classes.
        let is_binary = width == 1 && classes == 2;
        ensure!(is_binary || width == classes, "the model gives {width} values a row, and names {classes} classes");
        let predict: fn(&[f32]) -> usize = if is_binary { metrics::predicted_class } else { metrics::argmax };
        let predicted: Vec<usize> = predictions.chunks_exact(width).map(predict).collect();
        batch.add_texts(label_field, predicted.iter().map(|&class| names[class].as_str()))?;
        for (class, field) in self.probabilities.iter().enumerate() {
            let probability = |row: &[f32]| match row {
                [second] if is_binary => {
                    if class == 1 {
                        *second
                    } else {
                        1.0 - second
                    }
                }
                row => row[class],
            };
            let values: Vec<f32> = predictions.chunks_exact(width).map(probability).collect();
            batch.set_column(field, &[], &values)?;
        }
        Ok(())
    }
}
