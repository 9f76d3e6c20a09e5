//! The output fields.

use crate::{Error, Result};
use records::Batch;

/// Prefix of the field of a class's probability.
const PROBABILITY: &str = "probability_";

/// What the user chooses about the output fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputOptions {
    /// Field of the model's output.
    pub out_field: String,
    /// Field of the name of the predicted class, where the classes have names; None adds none.
    pub label_field: Option<String>,
    /// Whether a field `probability_<class>` is added for each named class.
    pub probabilities: bool,
}

/// What the options are called where the user gives them, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionNames {
    /// Of [`OutputOptions::out_field`].
    pub out_field: String,
    /// How the user chooses another [`OutputOptions::out_field`]: the same, or a flag.
    pub other_out_field: String,
    /// Of [`OutputOptions::label_field`].
    pub label_field: String,
    /// Of [`OutputOptions::probabilities`].
    pub probabilities: String,
}

impl OptionNames {
    /// Settings of config group `group`.
    pub fn settings_of(group: &str) -> Self {
        Self {
            out_field: format!("{group}.out_field"),
            other_out_field: format!("{group}.out_field"),
            label_field: format!("{group}.label_field"),
            probabilities: format!("{group}.probabilities"),
        }
    }
}

impl OutputOptions {
    /// Checks the names of the fields.
    ///
    /// # Errors
    /// When one is empty, or both are the same.
    pub fn check(&self, names: &OptionNames) -> Result<()> {
        if let Some((_, option)) = self.named(names).find(|(field, _)| field.is_empty()) {
            return Err(Error::NoName(option.to_owned()));
        }
        if self.label_field.as_ref() == Some(&self.out_field) {
            let (option, name, other) = (names.label_field.clone(), self.out_field.clone(), names.out_field.clone());
            return Err(Error::SameName { option, name, other });
        }
        Ok(())
    }

    /// The named fields, each with the option that names it.
    fn named<'a>(&'a self, names: &'a OptionNames) -> impl Iterator<Item = (&'a str, &'a str)> {
        let label = self.label_field.as_deref().map(|field| (field, names.label_field.as_str()));
        std::iter::once((self.out_field.as_str(), names.out_field.as_str())).chain(label)
    }
}

/// The fields that a model adds to each row.
#[derive(Debug, Clone)]
pub struct Outputs {
    options: OutputOptions,
    /// Class names, where the model has them.
    classes: Option<Vec<String>>,
    /// Name of the field of each class's probability; empty where they are not asked for.
    probabilities: Vec<String>,
    /// How to have no field of the name, in the order of [`Outputs::fields`].
    remedies: [String; 3],
}

impl Outputs {
    /// The fields of a model whose classes have these names; None of one whose classes have none.
    ///
    /// # Errors
    /// As [`OutputOptions::check`]; and when probabilities of classes without names are asked for, or two fields have one
    /// name.
    pub fn new(options: OutputOptions, names: &OptionNames, classes: Option<&[String]>) -> Result<Self> {
        options.check(names)?;
        let classes = classes.map(<[String]>::to_vec);
        if options.probabilities && classes.is_none() {
            return Err(Error::NoClasses(names.probabilities.clone()));
        }
        let probabilities: Vec<String> = match &classes {
            Some(classes) if options.probabilities => {
                classes.iter().map(|name| format!("{PROBABILITY}{name}")).collect()
            }
            _ => Vec::new(),
        };
        let taken = |(field, _): &(&str, &str)| probabilities.iter().any(|name| name == field);
        if let Some((field, option)) = options.named(names).find(taken) {
            return Err(Error::Probability { option: option.into(), name: field.into() });
        }
        let remedies =
            [names.other_out_field.clone(), names.label_field.clone(), format!("{}=false", names.probabilities)];
        Ok(Self { options, classes, probabilities, remedies })
    }

    /// The names of the fields, each with the option that changes it.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let [out_field, label_field, probabilities] = &self.remedies;
        let label = self.label_field().map(|field| (field, label_field.as_str()));
        let probabilities = self.probabilities.iter().map(|field| (field.as_str(), probabilities.as_str()));
        std::iter::once((self.out_field(), out_field.as_str())).chain(label).chain(probabilities).collect()
    }

    /// The field of the model's output.
    pub fn out_field(&self) -> &str {
        &self.options.out_field
    }

    /// The field of the predicted class's name; None where classes have no names, or it is not asked for.
    pub fn label_field(&self) -> Option<&str> {
        self.options.label_field.as_deref().filter(|_| self.classes.is_some())
    }

    /// The fields of the classes' probabilities; empty where they are not asked for.
    pub fn probability_fields(&self) -> &[String] {
        &self.probabilities
    }

    /// Adds the fields of `predictions` `[rows, row shape…]`.
    ///
    /// # Errors
    /// When a field is there already, or the model does not give one value a class, or values that are no probabilities where
    /// these are asked for.
    pub fn add(&self, batch: &mut Batch, row_shape: &[usize], predictions: &[f32]) -> Result<()> {
        batch.set_column(&self.options.out_field, row_shape, predictions)?;
        let Some(names) = &self.classes else { return Ok(()) };
        let (width, classes) = (row_shape.iter().product::<usize>(), names.len());
        // A scalar is the probability of the second of two classes.
        let is_binary = width == 1 && classes == 2;
        if !is_binary && width != classes {
            return Err(Error::Classes { width, classes });
        }
        if let Some(field) = self.label_field() {
            let predict: fn(&[f32]) -> usize = if is_binary { metrics::predicted_class } else { metrics::argmax };
            let predicted: Vec<usize> = predictions.chunks_exact(width).map(predict).collect();
            batch.add_texts(field, predicted.iter().map(|&class| names[class].as_str()))?;
        }
        if !self.probabilities.is_empty() {
            check_probabilities(predictions)?;
        }
        for (class, field) in self.probabilities.iter().enumerate() {
            let values: Vec<f32> = predictions.chunks_exact(width).map(|row| probability(row, class)).collect();
            batch.set_column(field, &[], &values)?;
        }
        Ok(())
    }
}

/// The probability of a class, of a row of all, or of the second of two alone.
fn probability(row: &[f32], class: usize) -> f32 {
    match (row, class) {
        ([second], 0) => 1.0 - second,
        ([second], _) => *second,
        (row, class) => row[class],
    }
}

/// How far beyond 0 and 1 rounding may take a probability.
const ROUNDING: f32 = 1e-5;

/// Refuses scores before softmax. NaN is what the model computes of such a row, and says nothing of the others.
fn check_probabilities(values: &[f32]) -> Result<()> {
    match values.iter().find(|&&value| !(value.is_nan() || (-ROUNDING..=1.0 + ROUNDING).contains(&value))) {
        Some(&value) => Err(Error::NotProbabilities { value }),
        None => Ok(()),
    }
}
