//! Writing a tree as YAML and JSON, keys in the order of the tree.

mod block;
mod scalar;

pub(crate) use block::{yaml, yaml_about};

use crate::{
    error::{Error, Result},
    node::{Node, Value},
};
use serde_json::{Number, Value as Json};

/// The tree as JSON.
///
/// # Errors
/// JSON has no NaN and no infinity, and serde_json no integers beyond 64 bits.
pub(crate) fn json(root: &Node) -> Result<Json> {
    below(root, "")
}

/// `node`, which stands at `path`, as JSON.
fn below(node: &Node, path: &str) -> Result<Json> {
    let number = |number: Option<Number>, found: String, expected: &str| {
        let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let message = || Error::at(&node.origin, format!("{at}expected {expected}, found {found}"));
        number.map(Json::Number).ok_or_else(message)
    };
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    Ok(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => number(Number::from_i128(*value), value.to_string(), "an integer of at most 64 bits")?,
        Value::Float(value) => {
            number(Number::from_f64(*value), crate::number::format(*value), "a finite number (JSON has no other)")?
        }
        Value::Str(text) => Json::String(text.clone()),
        Value::Seq(items) => {
            let items = items.iter().enumerate().map(|(index, item)| below(item, &at(&index.to_string())));
            Json::Array(items.collect::<Result<_>>()?)
        }
        Value::Map(map) => {
            let entries = map.iter().map(|(key, child)| Ok((key.clone(), below(child, &at(key))?)));
            Json::Object(entries.collect::<Result<_>>()?)
        }
    })
}
