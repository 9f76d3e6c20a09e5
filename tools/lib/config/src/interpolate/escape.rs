//! Escaping text that looks like an interpolation, for a document that is resolved when it is read.

use crate::node::{Node, Value};

/// How an interpolation begins.
const OPEN: &str = "${";

/// The tree whose texts resolve to those of `root`. None where they do as they are.
pub(crate) fn escaped(root: &Node) -> Option<Node> {
    has_open(root).then(|| {
        let mut root = root.clone();
        escape(&mut root);
        root
    })
}

fn has_open(node: &Node) -> bool {
    match &node.value {
        Value::Str(text) => text.contains(OPEN),
        Value::Seq(items) => items.iter().any(has_open),
        Value::Map(map) => map.values().any(has_open),
        _ => false,
    }
}

fn escape(node: &mut Node) {
    match &mut node.value {
        Value::Str(text) => *text = of_text(text),
        Value::Seq(items) => items.iter_mut().for_each(escape),
        Value::Map(map) => map.values_mut().for_each(escape),
        _ => {}
    }
}

/// Before `${`, a backslash more than twice those that are there: each pair is read as one, the last escapes.
fn of_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut parts = text.split(OPEN).peekable();
    while let Some(part) = parts.next() {
        out.push_str(part);
        if parts.peek().is_some() {
            let backslashes = part.len() - part.trim_end_matches('\\').len();
            out.extend(std::iter::repeat_n('\\', backslashes + 1));
            out.push_str(OPEN);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::of_text;

    #[test]
    fn backslashes_before_a_reference_are_doubled_and_one_is_added() {
        let cases = [
            ("a", "a"),
            (r"\a", r"\a"),
            ("${a}", r"\${a}"),
            (r"x\${a}\", r"x\\\${a}\"),
            ("${a}${", r"\${a}\${"),
            (r"\\$ {\\${", r"\\$ {\\\\\${"),
        ];
        for (text, expected) in cases {
            assert_eq!(of_text(text), expected);
        }
    }
}
