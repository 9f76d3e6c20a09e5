//! The names of classes.

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// What is read of the `dataset.json` that `fetch-data` writes.
#[derive(Deserialize)]
struct Dataset {
    /// For each field of labels, the names of its classes, label 0 on.
    classes: BTreeMap<String, Vec<String>>,
}

/// The names of the classes of `field`, from a `dataset.json`.
///
/// # Errors
/// When the file cannot be read or names no classes of that field, or two alike.
pub fn read(path: &Path, field: &str) -> anyhow::Result<Vec<String>> {
    let file = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("--classes: {file}"))?;
    let mut dataset: Dataset = serde_json::from_str(&text)
        .with_context(|| format!("--classes: {file}: expected the dataset.json that fetch-data writes"))?;
    let names = dataset.classes.remove(field).with_context(|| {
        let known: Vec<_> = dataset.classes.keys().map(String::as_str).collect();
        format!("--classes: {file}: no classes of field {field:?}; there are those of {}", known.join(", "))
    })?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
    ensure!(twice.is_none(), "--classes: {file}: two classes are called {:?}", twice.map_or("", |pair| &pair[0]));
    Ok(names)
}

/// The name of a class: its index, where the classes have no names.
pub fn name(names: Option<&[String]>, class: usize) -> String {
    names.and_then(|names| names.get(class)).map_or_else(|| class.to_string(), Clone::clone)
}

/// A name as a cell of CSV (RFC 4180) or of TSV.
pub fn cell(name: &str) -> String {
    let special = |c: char| c.is_control() || matches!(c, ',' | '"');
    if name.contains(special) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
