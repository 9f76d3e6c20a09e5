//! Values as Python's `str` writes them, which is what text around an interpolation gets.

use crate::{
    node::{Node, Value},
    number,
};

/// `str(value)`
pub(super) fn str(node: &Node) -> String {
    match &node.value {
        Value::Str(text) => text.clone(),
        _ => repr(node),
    }
}

fn repr(node: &Node) -> String {
    match &node.value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::repr(*value),
        Value::Str(text) => quoted(text),
        Value::Seq(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<_> = map.iter().map(|(key, value)| format!("{}: {}", quoted(key), repr(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// Single quotes, unless only they occur in the text.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Unquoted text with its escapes undone.
pub(super) fn unescape(raw: &str) -> String {
    const ESCAPABLE: &str = "\\()[]{}:=, \t";
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next)) if ESCAPABLE.contains(*next) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}
