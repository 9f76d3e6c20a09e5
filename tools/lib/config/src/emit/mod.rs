//! Writing a tree as YAML and JSON, keys in the order of the tree.

mod block;
mod scalar;

pub(crate) use block::yaml;

use crate::{
    error::{Error, Result},
    node::{Node, Value},
    number,
};
use serde_json::{Number, Value as Json};

/// The tree as JSON.
///
/// # Errors
/// JSON has no NaN and no infinity, and serde_json no integers beyond 64 bits.
pub(crate) fn json(node: &Node) -> Result<Json> {
    let number = |number: Option<Number>, what: String| {
        number.map(Json::Number).ok_or_else(|| Error::at(&node.origin, format!("{what} has no form in JSON")))
    };
    Ok(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => number(Number::from_i128(*value), value.to_string())?,
        Value::Float(value) => number(Number::from_f64(*value), number::format(*value))?,
        Value::Str(text) => Json::String(text.clone()),
        Value::Seq(items) => Json::Array(items.iter().map(json).collect::<Result<_>>()?),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, child)| Ok((key.clone(), json(child)?)));
            Json::Object(entries.collect::<Result<_>>()?)
        }
    })
}
