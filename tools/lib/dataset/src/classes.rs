//! The names of classes, and the class that a label means.

use crate::{Error, Features, Result};
use files::Limit;
use serde_json::Value;
use std::path::Path;

/// The names of classes, label 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// In the order of the labels, from 0.
    pub names: Vec<String>,
    /// Whether the rows have these names as text, rather than their indices.
    pub of_text: bool,
}

impl Names {
    /// Those of `field`, from the `dataset.json` that `fetch-data` writes, or the `features.json` of a run.
    ///
    /// # Errors
    /// As of [`names`].
    pub fn read(path: &Path, field: &str) -> Result<Self> {
        let text = read(path)?;
        let of_text = serde_json::from_str::<Value>(&text).is_ok_and(|json| json.get("inputs").is_some());
        Ok(Self { names: names(path, field)?, of_text })
    }
}

/// The names of the classes of `field`, label 0 on, from the `dataset.json` that `fetch-data` writes, or the
/// `features.json` of a run.
///
/// # Errors
/// When the file cannot be read or names no classes of that field, or two alike.
pub fn names(path: &Path, field: &str) -> Result<Vec<String>> {
    let text = read(path)?;
    parse(&text, field).map_err(|error| error.at(path))
}

/// The largest description.
const LIMIT: Limit<'_> = Limit { bytes: 64 << 20, setting: None };

fn read(path: &Path) -> Result<String> {
    let bytes = files::read_file(path, LIMIT)?;
    String::from_utf8(bytes).map_err(|_| Error::NotUtf8.at(path))
}

fn parse(text: &str, field: &str) -> Result<Vec<String>> {
    let dataset: Value = serde_json::from_str(text).map_err(|e| Error::NoDescription(e.to_string()))?;
    if dataset.get("inputs").is_some() {
        let target = Features::from_json(text)?.target;
        return match target.classes {
            Some(names) if target.name == field => Ok(names),
            Some(_) => {
                let known = format!("; there are those of {} (the setting target_field)", target.name);
                Err(Error::NoClasses { field: field.into(), known })
            }
            None => Err(Error::UnnamedClasses(target.name)),
        };
    }
    let classes = dataset.get("classes").and_then(Value::as_object);
    let classes = classes.ok_or_else(|| Error::NoDescription("no object \"classes\"".into()))?;
    let names = classes.get(field).ok_or_else(|| {
        let known: Vec<_> = classes.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => ", nor of any other".to_owned(),
            known => format!("; there are those of {}", known.join(", ")),
        };
        Error::NoClasses { field: field.into(), known }
    })?;
    let name = |name: &Value| name.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = names.as_array().and_then(|names| names.iter().map(name).collect());
    let no_list = || Error::NoDescription(format!("the classes of field {field:?} are no list of names"));
    let names = names.ok_or_else(no_list)?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicateClass(pair[0].clone())),
        None => Ok(names),
    }
}

/// The name of a class, or its index where it has none.
pub fn name(names: Option<&[String]>, class: usize) -> String {
    names.and_then(|names| names.get(class)).map_or_else(|| class.to_string(), Clone::clone)
}

/// The index of the class that a label means.
///
/// # Errors
/// When it is no integer from 0 to `classes - 1`.
pub fn of_label(label: f64, classes: usize) -> Result<usize> {
    let class = label as usize;
    if class as f64 != label || class >= classes {
        return Err(Error::Label { label, classes });
    }
    Ok(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_or_refused_with_the_reason() {
        assert_eq!(parse(r#"{"classes":{"label":["cat","dog"]},"x":1}"#, "label").expect("names"), ["cat", "dog"]);
        for (text, expected) in [
            ("cat", "expected the dataset.json"),
            ("[]", "no object \"classes\""),
            (r#"{"classes":{"coarse":["a"],"fine":["b"]}}"#, "there are those of coarse, fine"),
            (r#"{"classes":{}}"#, "no classes of field \"label\", nor of any other"),
            (r#"{"classes":{"label":"cat"}}"#, "no list of names"),
            (r#"{"classes":{"label":["cat",2]}}"#, "no list of names"),
            (r#"{"classes":{"label":["cat","dog","cat"]}}"#, "two classes are called \"cat\""),
            (
                r#"{"version":1,"inputs":[{"kind":"number","name":"x","shape":[]}],"target":{"name":"label","shape":[]}}"#,
                "no text",
            ),
        ] {
            let error = parse(text, "label").expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn labels_are_whole() {
        assert_eq!(of_label(2.0, 3).expect("a class"), 2);
        for label in [3.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(of_label(label, 3).is_err(), "{label}");
        }
    }
}
