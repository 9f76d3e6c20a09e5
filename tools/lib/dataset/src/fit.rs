//! Fitting the features to the training rows.

use crate::{Column, Error, Features, Input, Result, Source, Target, Texts, Unseen, VERSION};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Config group `features`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSettings {
    /// How missing values are filled.
    pub missing: Missing,
    /// The fill of numbers with `missing: constant`.
    pub fill_number: f64,
    /// The fill of texts with `missing: constant`.
    pub fill_text: String,
    /// Whether a column of 0 and 1 says where values of a field are missing, if any are in the training rows.
    pub indicator: bool,
    /// Fields that are categories although they look like numbers.
    pub categorical: Vec<String>,
    /// Most categories of a field.
    pub max_categories: usize,
    /// How a text that no training row has is encoded.
    pub unseen: Unseen,
}

/// How missing values are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They are an error.
    #[default]
    Error,
    /// By the mean of the training rows; of texts, by the most frequent.
    Mean,
    /// By the median of the training rows; of texts, by the most frequent.
    Median,
    /// By the settings' `fill_number` and `fill_text`.
    Constant,
}

impl Default for FeatureSettings {
    fn default() -> Self {
        Self {
            missing: Missing::Error,
            fill_number: 0.0,
            fill_text: "missing".into(),
            indicator: false,
            categorical: Vec::new(),
            max_categories: 100,
            unseen: Unseen::Error,
        }
    }
}

impl Features {
    /// The features of `sources`, fitted to their training `rows`. The target has no name yet.
    ///
    /// # Errors
    /// When values are missing and are not to be filled, or a text has too many categories.
    pub fn fit(sources: &[Source], rows: &[usize], settings: &FeatureSettings) -> Result<Self> {
        if settings.missing == Missing::Error {
            let missing = |column: &Column| (0..column.rows()).filter(|&row| column.is_missing(row)).count();
            let rows = sources.first().map_or(0, |source| source.column.rows());
            check_complete(sources.iter().map(|source| (source.name(), missing(&source.column))), rows)?;
        }
        let input = |source: &Source| match &source.column {
            Column::Numbers { values, width } => number(source, values, *width, rows, settings),
            Column::Texts(texts) => category(&source.name, texts, rows, settings),
        };
        let inputs = sources.iter().map(input).collect::<Result<_>>()?;
        let target = Target { name: String::new(), shape: Vec::new(), classes: None };
        Ok(Self { version: VERSION, inputs, target, input_scaling: None, target_scaling: None })
    }
}

/// Refuses missing values: of each field, name and how many of `rows` rows lack it.
///
/// # Errors
/// When a field is missing in a row.
pub fn check_complete<'f>(fields: impl Iterator<Item = (&'f str, usize)>, rows: usize) -> Result<()> {
    let missing = fields.filter(|(_, count)| *count > 0);
    let counts: Vec<_> = missing.map(|(name, count)| format!("{count} of {rows} rows lack {name:?}")).collect();
    if counts.is_empty() { Ok(()) } else { Err(Error::Missing(counts.join(", "))) }
}

fn number(source: &Source, values: &[f32], width: usize, rows: &[usize], settings: &FeatureSettings) -> Result<Input> {
    let element = |element: usize| {
        let values = rows.iter().map(move |row| values[row * width + element]);
        fill(values.filter(|x| !x.is_nan()).collect(), settings).ok_or_else(|| Error::Empty(source.name.clone()))
    };
    let fill = match settings.missing {
        Missing::Error => None,
        _ => Some((0..width).map(element).collect::<Result<_>>()?),
    };
    let indicator = fill.is_some() && settings.indicator && rows.iter().any(|&row| source.column.is_missing(row));
    Ok(Input::Number { name: source.name.clone(), shape: source.shape.clone(), fill, indicator })
}

/// The fill of a missing number; None where no training row has one.
fn fill(mut present: Vec<f32>, settings: &FeatureSettings) -> Option<f32> {
    match settings.missing {
        Missing::Error => None,
        Missing::Constant => Some(settings.fill_number as f32),
        _ if present.is_empty() => None,
        Missing::Mean => {
            let sum: f64 = present.iter().map(|&x| f64::from(x)).sum();
            Some((sum / present.len() as f64) as f32)
        }
        Missing::Median => {
            present.sort_unstable_by(f32::total_cmp);
            let (low, high) = (present[(present.len() - 1) / 2], present[present.len() / 2]);
            Some(((f64::from(low) + f64::from(high)) / 2.0) as f32)
        }
    }
}

fn category(name: &str, texts: &Texts, rows: &[usize], settings: &FeatureSettings) -> Result<Input> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut missing = false;
    for &row in rows {
        match texts.get(row) {
            "" => missing = true,
            text => *counts.entry(text).or_default() += 1,
        }
    }
    let fill = match settings.missing {
        Missing::Error => None,
        Missing::Constant => Some(settings.fill_text.as_str()),
        // Of equally frequent ones the first.
        Missing::Mean | Missing::Median => counts.iter().rev().max_by_key(|(_, count)| **count).map(|(text, _)| *text),
    };
    if counts.is_empty() && fill.is_none() {
        return Err(Error::Empty(name.into()));
    }
    if let Some(fill) = fill {
        counts.entry(fill).or_default();
    }
    let (found, most) = (counts.len(), settings.max_categories);
    if found > most {
        return Err(Error::Categories { name: name.into(), found, most });
    }
    let categories = counts.into_keys().map(str::to_owned).collect();
    let indicator = fill.is_some() && settings.indicator && missing;
    let (name, fill) = (name.to_owned(), fill.map(str::to_owned));
    Ok(Input::Category { name, categories, unseen: settings.unseen, fill, indicator })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f32 = f32::NAN;

    fn sources() -> Vec<Source> {
        let source = |name: &str, column| Source { name: name.into(), shape: vec![], column };
        vec![
            source("age", Column::numbers(vec![1.0, GAP, 2.0, 6.0, 100.0], 1)),
            source("city", Column::Texts(["b", "", "a", "b", "z"].into_iter().collect())),
        ]
    }

    fn columns(sources: Vec<Source>) -> Vec<Column> {
        sources.into_iter().map(|source| source.column).collect()
    }

    #[test]
    fn fills_categories_and_indicators_are_those_of_the_training_rows() {
        let settings = FeatureSettings { missing: Missing::Mean, indicator: true, ..FeatureSettings::default() };
        let features = Features::fit(&sources(), &[0, 1, 2, 3], &settings).expect("valid");
        assert_eq!((features.raw_width(), features.complete_width(), features.input_name()), (4, 5, "features"));
        // By hand: the mean of 1, 2 and 6 is 3; of the texts b is the most frequent.
        let raw = features.encode(&columns(sources()).iter().map(|c| head(c, 4)).collect::<Vec<_>>()).expect("fits");
        let complete = features.complete(&raw);
        assert_eq!(complete[..5], [1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(complete[5..10], [3.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(features.describe(4), "age is missing");
        assert_eq!(features.describe(1), "city=a");
        assert_eq!(features.is_number(), [true, false, false, false, false]);
        let back = Features::from_json(&features.to_json()).expect("own text");
        assert_eq!(back, features);
        let median = FeatureSettings { missing: Missing::Median, ..settings };
        let features = Features::fit(&sources(), &[0, 1, 2, 3], &median).expect("valid");
        assert_eq!(features.fills().expect("a fill")[0], 2.0);
    }

    fn head(column: &Column, rows: usize) -> Column {
        match column {
            Column::Numbers { values, width } => Column::numbers(values[..rows * width].to_vec(), *width),
            Column::Texts(texts) => Column::Texts(texts.iter().take(rows).collect()),
        }
    }

    #[test]
    fn what_no_training_row_has_is_told_or_zero() {
        let settings = FeatureSettings { missing: Missing::Constant, ..FeatureSettings::default() };
        let features = Features::fit(&sources(), &[0, 2, 3], &settings).expect("valid");
        let unfit = features.encode(&columns(sources())).expect_err("z is unseen");
        assert_eq!(unfit.row, 4);
        assert!(
            unfit.to_string().starts_with("field \"city\" is \"z\", which no training row has: a, b, missing"),
            "{unfit}"
        );
        let settings = FeatureSettings { unseen: Unseen::Zero, ..settings };
        let features = Features::fit(&sources(), &[0, 2, 3], &settings).expect("valid");
        let raw = features.encode(&columns(sources())).expect("fits");
        assert_eq!(raw[4 * 4 + 1..], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn missing_values_are_counted_by_field() {
        let error = Features::fit(&sources(), &[0], &FeatureSettings::default()).expect_err("gaps");
        let text = error.to_string();
        assert!(
            text.starts_with("1 of 5 rows lack \"age\", 1 of 5 rows lack \"city\"; features.missing=mean"),
            "{text}"
        );
        let few = FeatureSettings { max_categories: 1, missing: Missing::Mean, ..FeatureSettings::default() };
        assert!(matches!(Features::fit(&sources(), &[0, 2], &few), Err(Error::Categories { found: 2, .. })));
        let settings = FeatureSettings { missing: Missing::Mean, ..FeatureSettings::default() };
        let error = Features::fit(&sources(), &[1], &settings).expect_err("no value");
        assert!(matches!(&error, Error::Empty(name) if name == "age"), "{error}");
    }

    #[test]
    fn damaged_features_are_refused() {
        for (text, expected) in [
            ("{}", "no features"),
            (r#"{"version":2,"inputs":[],"target":{"name":"y","shape":[]}}"#, "version 2"),
            (r#"{"version":1,"inputs":[],"target":{"name":"y","shape":[]}}"#, "no inputs"),
            (
                r#"{"version":1,"inputs":[{"kind":"number","name":"x","shape":[4294967296,4294967296]}],"target":{"name":"y","shape":[]}}"#,
                "no numbers",
            ),
            (
                r#"{"version":1,"inputs":[{"kind":"number","name":"x","shape":[2],"fill":[1]}],"target":{"name":"y","shape":[]}}"#,
                "do not fit",
            ),
            (
                r#"{"version":1,"inputs":[{"kind":"category","name":"x","categories":["a","a"],"unseen":"error"}],"target":{"name":"y","shape":[]}}"#,
                "do not fit",
            ),
            (r#"{"version":1,"inputs":[{"kind":"tree","name":"x"}],"target":{"name":"y","shape":[]}}"#, "damaged"),
        ] {
            let error = Features::from_json(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
