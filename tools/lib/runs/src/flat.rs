//! Nested documents as flat maps of dotted keys.

use config::{Node, Value as Yaml};
use indexmap::IndexMap;
use metrics::Split;
use serde_json::{Number, Value};

/// The settings in `node`, by dotted key; a list is one value.
pub fn settings(node: &Node) -> IndexMap<String, Value> {
    let mut flat = IndexMap::new();
    add_settings(node, String::new(), &mut flat);
    flat
}

/// Recursion is bounded by the depth that `config` allows.
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
        // JSON has neither NaN nor infinity.
        Yaml::Float(value) => Number::from_f64(*value).map_or_else(|| value.to_string().into(), Value::Number),
        Yaml::Str(text) => Value::String(text.clone()),
        Yaml::Seq(items) => items.iter().map(json).collect(),
        Yaml::Map(map) => map.iter().map(|(key, child)| (key.clone(), json(child))).collect(),
    }
}

/// The settings in the `config` of a `start` event, by dotted key, in the same form as [`Run::settings`](crate::Run).
pub fn settings_of(config: &Value) -> IndexMap<String, Value> {
    let mut flat = IndexMap::new();
    add_json_settings(config, String::new(), &mut flat);
    flat
}

/// Recursion is bounded by the depth that `serde_json` allows.
fn add_json_settings(value: &Value, key: String, flat: &mut IndexMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() || key.is_empty() => {
            map.iter().for_each(|(name, child)| add_json_settings(child, joined(&key, name), flat));
        }
        _ if key.is_empty() => {}
        _ => drop(flat.insert(key, value.clone())),
    }
}

/// The metrics in `value`, by dotted key. Null is NaN; any other value that is not a number is skipped.
pub fn metrics(value: &Value) -> IndexMap<String, f64> {
    let mut flat = IndexMap::new();
    add_metrics(value, String::new(), &mut flat);
    flat
}

/// Recursion is bounded by the depth that `serde_json` allows.
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

/// The name in the run log, and in settings such as `monitor`, of a key of `metrics.json`: `val_loss` for `val.loss`.
pub fn metric_name(key: &str) -> String {
    let nested = key.split_once('.').and_then(|(split, name)| Some((Split::from_name(split)?, name)));
    nested.map_or_else(|| key.to_owned(), |(split, name)| split.metric(name))
}
