//! The format of `features.json`.

use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The version of this format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// The preprocessing of a model, fitted to the training rows: how a row becomes the model's input, and what its output means.
/// It is in a run's `features.json`, in the metadata of its checkpoints, and in that of its ONNX file under
/// `pipegrad.features`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Version of this format: 1.
    pub version: u32,
    /// The input fields, in the order in which their values are concatenated.
    pub inputs: Vec<Input>,
    /// The output.
    pub target: Target,
    /// Scaling of the concatenated values, after fills and indicators: in the ONNX graph. Absent: not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_scaling: Option<Scaled>,
    /// Scaling of the network's outputs: in the ONNX graph. Absent: the targets were not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scaling: Option<Scaled>,
}

/// An input field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// Numbers, unchanged.
    Number {
        /// The field's name.
        name: String,
        /// Shape of one row's value; empty for a scalar.
        shape: Vec<usize>,
        /// The fill of a missing number, one an element; in the ONNX graph, whose input is NaN there. Absent: a missing
        /// number is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<Vec<f32>>,
        /// Whether each element has an indicator behind all inputs, 1 where it was missing and 0 otherwise: in the ONNX
        /// graph.
        #[serde(default, skip_serializing_if = "is_false")]
        indicator: bool,
    },
    /// A text, one-hot encoded over its categories: not in the ONNX graph.
    Category {
        /// The field's name.
        name: String,
        /// The categories, in the order of the vector.
        categories: Vec<String>,
        /// How a text that is none of them is encoded.
        unseen: Unseen,
        /// The category of a missing text. Absent: a missing text is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<String>,
        /// Whether an indicator follows the categories, 1 where the text was missing and 0 otherwise.
        #[serde(default, skip_serializing_if = "is_false")]
        indicator: bool,
    },
}

/// How a text that no training row had is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It is an error.
    #[default]
    Error,
    /// A vector of zeros.
    Zero,
}

/// What the model predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The target field of training.
    pub name: String,
    /// Shape of one row's prediction; `[classes]` probabilities for mutually exclusive classes.
    pub shape: Vec<usize>,
    /// The names of the classes, in the order of the labels, where the field is text. A scalar prediction is the
    /// probability of the second of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

/// `(x - mean) * scale` for an input, `x * scale + mean` for an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaled {
    /// `[elements]`, or `[channels]` of an image.
    pub mean: Vec<f32>,
    /// Likewise.
    pub scale: Vec<f32>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Input {
    /// The field's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Category { name, .. } => name,
        }
    }

    /// Elements of a raw row that it becomes.
    pub fn width(&self) -> usize {
        match self {
            Self::Number { shape, .. } => shape.iter().product(),
            Self::Category { categories, indicator, .. } => categories.len() + usize::from(*indicator),
        }
    }

    /// Number of its indicators behind all inputs.
    fn indicators(&self) -> usize {
        match self {
            Self::Number { indicator: true, .. } => self.width(),
            _ => 0,
        }
    }
}

impl Features {
    /// Those of a model with one input field of numbers, unchanged, and without class names.
    pub fn of_field(name: &str, shape: &[usize], target: &str, target_shape: &[usize]) -> Self {
        let input = Input::Number { name: name.into(), shape: shape.to_vec(), fill: None, indicator: false };
        let target = Target { name: target.into(), shape: target_shape.to_vec(), classes: None };
        Self { version: VERSION, inputs: vec![input], target, input_scaling: None, target_scaling: None }
    }

    /// Elements of a row of the ONNX graph's input.
    pub fn raw_width(&self) -> usize {
        self.inputs.iter().map(Input::width).sum()
    }

    /// Elements of a row of the network's input: the raw ones and the indicators.
    pub fn complete_width(&self) -> usize {
        self.raw_width() + self.inputs.iter().map(Input::indicators).sum::<usize>()
    }

    /// The shape of a row of the ONNX graph's input: that of the one field, or `[raw width]`.
    pub fn raw_shape(&self) -> Vec<usize> {
        match self.inputs.as_slice() {
            [Input::Number { shape, .. }] => shape.clone(),
            _ => vec![self.raw_width()],
        }
    }

    /// The name of the ONNX graph's input: that of the one field of numbers, or `features`.
    pub fn input_name(&self) -> &str {
        match self.inputs.as_slice() {
            [Input::Number { name, .. }] => name,
            _ => "features",
        }
    }

    /// `[raw width]`: the fill of each element, NaN where it has none. None where no input has a fill.
    pub fn fills(&self) -> Option<Vec<f32>> {
        let has_fill = |input: &Input| matches!(input, Input::Number { fill: Some(_), .. });
        self.inputs.iter().any(has_fill).then(|| {
            let fills = |input: &Input| match input {
                Input::Number { fill: Some(fill), .. } => fill.clone(),
                other => vec![f32::NAN; other.width()],
            };
            self.inputs.iter().flat_map(fills).collect()
        })
    }

    /// The indices of the raw elements that have an indicator, in order.
    pub fn indicated(&self) -> Vec<usize> {
        let mut start = 0;
        let mut indicated = Vec::new();
        for input in &self.inputs {
            indicated.extend(start..start + input.indicators());
            start += input.width();
        }
        indicated
    }

    /// `[complete width]`: whether each element is of a field of numbers, which may be scaled.
    pub fn is_number(&self) -> Vec<bool> {
        let of = |input: &Input| vec![matches!(input, Input::Number { .. }); input.width()];
        let mut numbers: Vec<bool> = self.inputs.iter().flat_map(of).collect();
        numbers.resize(self.complete_width(), false);
        numbers
    }

    /// Whether inputs or classes are text.
    pub fn has_text(&self) -> bool {
        self.target.classes.is_some() || self.inputs.iter().any(|input| matches!(input, Input::Category { .. }))
    }

    /// The name of an element of a complete row: `sqft`, `city=Paris`, `age is missing`.
    pub fn describe(&self, index: usize) -> String {
        let mut start = 0;
        for input in &self.inputs {
            if index < start + input.width() {
                return match input {
                    Input::Number { name, shape, .. } if shape.is_empty() => name.clone(),
                    Input::Number { name, .. } => format!("{name}[{}]", index - start),
                    Input::Category { name, categories, .. } => match categories.get(index - start) {
                        Some(category) => format!("{name}={category}"),
                        None => format!("{name} is missing"),
                    },
                };
            }
            start += input.width();
        }
        let indicated = self.indicated();
        match indicated.get(index - start) {
            Some(&of) => format!("{} is missing", self.describe(of)),
            None => index.to_string(),
        }
    }

    /// Parses and checks the JSON of a model's metadata or of `features.json`, which may come from anywhere.
    ///
    /// # Errors
    /// When it is not such JSON, of a newer version, or contradicts itself.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(text).map_err(|e| Error::NotFeatures(e.to_string()))?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let features: Self = serde_json::from_str(text).map_err(|e| Error::Damaged(e.to_string()))?;
        features.checked().map_err(|error| Error::Damaged(error.to_string()))
    }

    /// The features, if they are consistent.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn checked(self) -> Result<Self> {
        self.check()?;
        Ok(self)
    }

    /// The features as one line of JSON.
    pub fn to_json(&self) -> String {
        // Text, numbers and lists: nothing that JSON has no word for but infinity and NaN, which it writes as null.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The features as JSON for people.
    pub fn to_json_pretty(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        if self.inputs.is_empty() {
            return Err(Error::NoInputs);
        }
        let mut width = 0usize;
        for input in &self.inputs {
            let name = input.name();
            let good = match input {
                Input::Number { shape, fill, .. } => {
                    let elements = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
                    let Some(elements) = elements.filter(|n| *n > 0) else {
                        return Err(Error::EmptyShape(name.to_owned()));
                    };
                    width = width.checked_add(elements).ok_or(Error::TooManyInputs)?;
                    fill.as_ref().is_none_or(|fill| fill.len() == elements && fill.iter().all(|x| x.is_finite()))
                }
                Input::Category { categories, fill, .. } => {
                    width = width.checked_add(categories.len()).ok_or(Error::TooManyInputs)?;
                    let distinct: HashSet<_> = categories.iter().collect();
                    distinct.len() == categories.len()
                        && !categories.is_empty()
                        && fill.as_ref().is_none_or(|fill| categories.contains(fill))
                }
            };
            if !good {
                return Err(Error::Misfit(name.to_owned()));
            }
        }
        let distinct: HashSet<_> = self.inputs.iter().map(Input::name).collect();
        match distinct.len() == self.inputs.len() {
            true => Ok(()),
            false => Err(Error::DuplicateInput),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Features;

    #[test]
    fn the_schema_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/features.schema.json");
        let schema = serde_json::to_value(schemars::schema_for!(Features)).expect("JSON");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, format!("{schema:#}\n")).expect("docs/ can be written");
        }
        // Compared as values: prettier lays the file out in its own way.
        let text = std::fs::read_to_string(path).expect("the schema is there");
        let documented: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(documented, schema, "docs/features.schema.json: UPDATE_SCHEMA=1 cargo test -p dataset");
    }
}
