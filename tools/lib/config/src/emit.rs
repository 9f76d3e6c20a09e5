//! Writing a tree as YAML and JSON, keys in the order of the tree.

use crate::{
    error::{Error, Result},
    node::{Node, Value},
    number, scalar,
};

const INDENT: &str = "  ";

/// The tree as YAML in block style, as PyYAML lays it out.
pub(crate) fn yaml(node: &Node) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(map) if !map.is_empty() => block(node, 0, &mut out),
        Value::Seq(items) if !items.is_empty() => block(node, 0, &mut out),
        _ => {
            out += &flow(node);
            out.push('\n');
        }
    }
    out
}

/// Writes the entries of a collection that is not empty, each line `level` deep.
fn block(node: &Node, level: usize, out: &mut String) {
    match &node.value {
        Value::Map(map) => {
            for (index, (key, child)) in map.iter().enumerate() {
                indent(index, level, out);
                *out += &string(key);
                out.push(':');
                entry(child, level, matches!(child.value, Value::Map(_)), out);
            }
        }
        Value::Seq(items) => {
            for (index, child) in items.iter().enumerate() {
                indent(index, level, out);
                out.push('-');
                if is_block(child) {
                    out.push(' ');
                    // The first entry goes on the dash's line.
                    let mut inner = String::new();
                    block(child, level + 1, &mut inner);
                    *out += inner.trim_start_matches(' ');
                } else {
                    *out += &format!(" {}\n", flow(child));
                }
            }
        }
        _ => {}
    }
}

/// What follows `key:`. A sequence below a mapping is not indented.
fn entry(child: &Node, level: usize, deeper: bool, out: &mut String) {
    if is_block(child) {
        out.push('\n');
        block(child, level + usize::from(deeper), out);
    } else {
        *out += &format!(" {}\n", flow(child));
    }
}

fn indent(_index: usize, level: usize, out: &mut String) {
    *out += &INDENT.repeat(level);
}

fn is_block(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => !map.is_empty(),
        Value::Seq(items) => !items.is_empty(),
        _ => false,
    }
}

/// A scalar or an empty collection.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::format(*value),
        Value::Str(text) => string(text),
        Value::Seq(_) => "[]".into(),
        Value::Map(_) => "{}".into(),
    }
}

/// A string in the plainest style that reads back as the same string.
fn string(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        return double_quoted(text);
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_plain(text: &str) -> bool {
    const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`";
    // A dash, question mark or colon begins a plain scalar when no space follows.
    let opens = match text.as_bytes() {
        [b'-' | b'?' | b':', next, ..] => !next.is_ascii_whitespace(),
        _ => !text.starts_with(|c| INDICATORS.contains(c)),
    };
    opens
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.contains([',', '[', ']', '{', '}'])
        && text != "="
        && text != "<<"
        // `y` and `n` are booleans to other readers of YAML 1.1.
        && !matches!(text, "y" | "Y" | "n" | "N")
        && matches!(scalar::resolve(text), Ok(Value::Str(_)))
        && !looks_like_date(text)
}

/// Other readers of YAML 1.1 take `2020-01-01` for a date.
fn looks_like_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // All of these are below 0x10000.
                out += &format!("\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The tree as JSON.
///
/// # Errors
/// JSON has no NaN and no infinity.
pub(crate) fn json(node: &Node) -> Result<serde_json::Value> {
    use serde_json::Value as Json;
    Ok(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => serde_json::Number::from_i128(*value)
            .map(Json::Number)
            .ok_or_else(|| Error::at(&node.origin, format!("{value} is beyond JSON's 64-bit integers")))?,
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| Error::at(&node.origin, format!("{} has no JSON form", number::format(*value))))?,
        Value::Str(text) => Json::String(text.clone()),
        Value::Seq(items) => Json::Array(items.iter().map(json).collect::<Result<_>>()?),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, child)| Ok((key.clone(), json(child)?)));
            Json::Object(entries.collect::<Result<_>>()?)
        }
    })
}
