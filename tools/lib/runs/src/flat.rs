//! Documents as one list of dotted keys.

use config::{Node, Value as Yaml};
use indexmap::IndexMap;
use serde_json::{Number, Value};

/// Rows that metrics are measured on, as `metrics.json` nests them and the run log prefixes them.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// The settings below `node`, by their dotted keys; a list is one value.
pub fn settings(node: &Node) -> IndexMap<String, Value> {
    let mut flat = IndexMap::new();
    add_settings(node, String::new(), &mut flat);
    flat
}

/// The recursion is as deep as `config` lets a document nest.
fn add_settings(node: &Node, key: String, flat: &mut IndexMap<String, Value>) {
    match &node.value {
        Yaml::Map(map) if !map.is_empty() || key.is_empty() => {
            map.iter().for_each(|(name, child)| add_settings(child, joined(&key, name), flat));
        }
        _ => drop(flat.insert(key, json(node))),
    }
}

fn json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Int(value) => Number::from_i128(*value).map_or_else(|| value.to_string().into(), Value::Number),
        // JSON has no NaN and no infinity.
        Yaml::Float(value) => Number::from_f64(*value).map_or_else(|| value.to_string().into(), Value::Number),
        Yaml::Str(text) => Value::String(text.clone()),
        Yaml::Seq(items) => items.iter().map(json).collect(),
        Yaml::Map(map) => map.iter().map(|(key, child)| (key.clone(), json(child))).collect(),
    }
}

/// The numbers below `value`, by their dotted keys. Null stands for one that is not finite; what is no number is passed
/// over.
pub fn metrics(value: &Value) -> IndexMap<String, f64> {
    let mut flat = IndexMap::new();
    add_metrics(value, String::new(), &mut flat);
    flat
}

/// The recursion is as deep as `serde_json` lets a text nest.
fn add_metrics(value: &Value, key: String, flat: &mut IndexMap<String, f64>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, child)| add_metrics(child, joined(&key, name), flat)),
        Value::Null => drop(flat.insert(key, f64::NAN)),
        _ => drop(value.as_f64().map(|number| flat.insert(key, number))),
    }
}

fn joined(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

/// The name that the run log, and the settings `monitor`, have for a metric of `metrics.json`: `val_loss` for `val.loss`.
pub fn metric_name(key: &str) -> String {
    match key.split_once('.') {
        Some((part, name)) if PARTS.contains(&part) => format!("{part}_{name}"),
        _ => key.to_owned(),
    }
}
