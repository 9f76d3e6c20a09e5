//! The document tree: values with their origins. `None` and `null` are different: a key that is absent, and null.

use crate::{
    error::{Error, Origin, Result},
    number,
};
use indexmap::IndexMap;

/// How deep sequences and mappings may nest; every walk over a tree recurses at most this far.
pub(crate) const MAX_DEPTH: usize = 64;

/// A string that marks a value the user must give.
pub(crate) const MISSING: &str = "???";

/// The entries of a mapping, in the order they were written.
pub type Map = IndexMap<String, Node>;

/// A value and where it comes from; within a mapping, where its key stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its origin.
    pub origin: Origin,
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// A string; one that holds `${` is an interpolation until it is resolved.
    Str(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// Two nodes are equal when their values are, wherever they come from.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    pub(crate) fn new(value: Value, origin: &Origin) -> Self {
        Self { value, origin: origin.clone() }
    }

    pub(crate) fn map(origin: &Origin) -> Self {
        Self::new(Value::Map(Map::new()), origin)
    }

    /// The entries, if this is a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_container(&self) -> bool {
        matches!(self.value, Value::Map(_) | Value::Seq(_))
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.as_str() == Some(MISSING)
    }

    pub(crate) fn is_interpolation(&self) -> bool {
        self.as_str().is_some_and(|text| text.contains("${"))
    }

    /// The entry `key` of a mapping, or the element of that index of a sequence.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(map) => map.get(key),
            Value::Seq(items) => items.get(index(key, items.len())?),
            _ => None,
        }
    }

    pub(crate) fn child_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Map(map) => map.get_mut(key),
            Value::Seq(items) => {
                let at = index(key, items.len())?;
                items.get_mut(at)
            }
            _ => None,
        }
    }

    /// The node at a dotted path; the empty path is this node.
    pub fn get(&self, path: &str) -> Option<&Node> {
        split_key(path).into_iter().try_fold(self, |node, key| node.child(key))
    }

    /// The value in a few words, for an error.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => number::format(*value),
            Value::Str(text) => format!("{text:?}"),
            Value::Seq(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
        }
    }

    /// Refuses a tree that, `above` levels down, nests too deep for the recursive walks.
    pub(crate) fn check_depth(&self, above: usize) -> Result<()> {
        fn walk(node: &Node, depth: usize) -> Result<()> {
            if depth >= MAX_DEPTH && node.is_container() {
                return Err(Error::at(&node.origin, format!("nests deeper than {MAX_DEPTH} levels")));
            }
            match &node.value {
                Value::Seq(items) => items.iter().try_for_each(|item| walk(item, depth + 1)),
                Value::Map(map) => map.values().try_for_each(|item| walk(item, depth + 1)),
                _ => Ok(()),
            }
        }
        walk(self, above)
    }
}

/// An index as Python has it: negative ones count from the end.
fn index(key: &str, len: usize) -> Option<usize> {
    match key.strip_prefix('-') {
        Some(back) => len.checked_sub(back.parse().ok().filter(|back| *back > 0)?),
        None => key.parse().ok(),
    }
}

/// Whether a key can be an index of a list.
pub(crate) fn is_index(key: &str) -> bool {
    key.parse::<i64>().is_ok()
}

/// The keys of a path: `a.b`, `a[b]` and `[a].b` are the same two.
pub(crate) fn split_key(path: &str) -> Vec<&str> {
    path.split(['.', '[']).map(|key| key.strip_suffix(']').unwrap_or(key)).filter(|key| !key.is_empty()).collect()
}
