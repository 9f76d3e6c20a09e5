//! Collections in YAML's block style, laid out as PyYAML lays them out.

use super::scalar::{self, Role};
use crate::{
    node::{Node, Value},
    number,
};

/// Columns that one level is indented by.
const INDENT: usize = 2;

/// From this many characters a key stands on a line of its own.
const MAX_SIMPLE_KEY: usize = 128;

/// What is said of the setting at a dotted path, behind a `#`.
type About<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// The tree as YAML: the bytes that OmegaConf writes.
pub(crate) fn yaml(node: &Node) -> String {
    yaml_about(node, &|_| None)
}

/// As [`yaml`], with comments.
pub(crate) fn yaml_about<'a>(node: &Node, about: &'a About<'a>) -> String {
    let mut out = String::new();
    if is_block(node) {
        block(node, 0, Comments { about, path: Some(String::new()) }, &mut out);
    } else {
        leaf(node, 0, &mut out);
        out.push('\n');
    }
    out
}

/// The comments of the entries of a mapping.
struct Comments<'a> {
    about: &'a About<'a>,
    /// Where the mapping stands; within lists there are no comments.
    path: Option<String>,
}

impl<'a> Comments<'a> {
    fn path(&self, key: &str) -> Option<String> {
        self.path.as_ref().map(|path| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") })
    }

    fn below(&self, key: &str) -> Self {
        Self { about: self.about, path: self.path(key) }
    }

    fn none(&self) -> Self {
        Self { about: self.about, path: None }
    }

    /// The comment of `key`, behind what stands on its line.
    fn of(&self, key: &str) -> String {
        let comment = self.path(key).and_then(|path| (self.about)(&path));
        comment.map_or_else(String::new, |comment| format!(" # {comment}"))
    }
}

/// Whether the node is written as lines of its own: a collection that is not empty.
fn is_block(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => !map.is_empty(),
        Value::Seq(items) => !items.is_empty(),
        _ => false,
    }
}

/// Writes a collection whose entries begin at column `indent`. The first one goes where `out` ends,
/// if that is the column already: after the dash of a sequence around it.
fn block(node: &Node, indent: usize, comments: Comments<'_>, out: &mut String) {
    match &node.value {
        Value::Map(map) => {
            for (key, child) in map {
                begin(indent, out);
                if !is_simple_key(key) {
                    entry_of_complex_key(key, child, indent, comments.none(), out);
                    continue;
                }
                scalar::write(key, indent + INDENT, Role::Key, out);
                out.push(':');
                // A sequence in a mapping is not indented.
                let inner = if matches!(child.value, Value::Map(_)) { indent + INDENT } else { indent };
                if is_block(child) {
                    out.push_str(&comments.of(key));
                    out.push('\n');
                    let is_map = matches!(child.value, Value::Map(_));
                    block(child, inner, if is_map { comments.below(key) } else { comments.none() }, out);
                } else {
                    out.push(' ');
                    let start = out.len();
                    leaf(child, indent + INDENT, out);
                    // Behind the last of several lines a comment could be part of a text.
                    if !out[start..].contains('\n') {
                        out.push_str(&comments.of(key));
                    }
                    out.push('\n');
                }
            }
        }
        Value::Seq(items) => {
            for child in items {
                begin(indent, out);
                out.push_str("- ");
                if is_block(child) {
                    block(child, indent + INDENT, comments.none(), out);
                } else {
                    leaf(child, indent + INDENT, out);
                    out.push('\n');
                }
            }
        }
        _ => {}
    }
}

/// Whether the key stands on one line with its value. PyYAML counts the tag `!!str`, though it is not written.
fn is_simple_key(key: &str) -> bool {
    let is_break = |c| matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
    !key.is_empty() && !key.contains(is_break) && key.chars().count() < MAX_SIMPLE_KEY - "!!str".len()
}

/// Writes `? key`, and on the next line `: value`.
fn entry_of_complex_key(key: &str, child: &Node, indent: usize, comments: Comments<'_>, out: &mut String) {
    out.push_str("? ");
    scalar::write(key, indent + INDENT, Role::Value, out);
    out.push('\n');
    begin(indent, out);
    out.push_str(": ");
    if is_block(child) {
        block(child, indent + INDENT, comments, out);
    } else {
        leaf(child, indent + INDENT, out);
        out.push('\n');
    }
}

/// Indents a new line; a line that begins with a dash is at its column already.
fn begin(indent: usize, out: &mut String) {
    if out.is_empty() || out.ends_with('\n') {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Writes a scalar, whose further lines begin at `indent`, or an empty collection.
fn leaf(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&number::format(*value)),
        Value::Str(text) => scalar::write(text, indent, Role::Value, out),
        Value::Seq(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// What `OmegaConf.to_yaml` writes.
    const YAML: &str = "\
a: 1
b:
- x
- - 1
  - 2.5
- k: null
  l:
  - 'yes'
  - ''
c:
  d:
    e: 1.0e-08
  f: []
  g: {}
";

    #[test]
    fn the_layout_is_pyyamls() {
        let node = crate::yaml::parse(&Arc::from("a.yaml"), YAML).expect("valid");
        assert_eq!(yaml(&node), YAML);
    }

    #[test]
    fn comments_stand_behind_keys_and_change_nothing() {
        let node = crate::yaml::parse(&Arc::from("a.yaml"), YAML).expect("valid");
        let written = yaml_about(&node, &|path| match path {
            "a" | "b" | "c.d" | "c.d.e" | "c.f" => Some("x: # y"),
            _ => None,
        });
        for line in ["a: 1 # x: # y", "b: # x: # y", "  d: # x: # y", "    e: 1.0e-08 # x: # y", "  f: [] # x: # y"] {
            assert!(written.lines().any(|written| written == line), "{line}: {written}");
        }
        assert_eq!(crate::yaml::parse(&Arc::from("b.yaml"), &written).expect("valid"), node);
    }

    proptest::proptest! {
        #[test]
        fn any_string_reads_back(text in "[ -~\n\t\r\u{85}\u{a0}é\u{2028}\u{feff}\u{7}😀]{0,120}") {
            let origin = crate::Origin::start(&Arc::from("a.yaml"));
            let leaf = Node::new(Value::Str(text), &origin);
            let inner = Node::new(Value::Seq(vec![leaf.clone()]), &origin);
            let node = Node::new(Value::Map([("k".to_owned(), leaf), ("s".to_owned(), inner)].into_iter().collect()), &origin);
            let written = yaml(&node);
            let read = crate::yaml::parse(&Arc::from("b.yaml"), &written);
            assert_eq!(read.expect(&written), node, "{written}");
        }
    }
}
