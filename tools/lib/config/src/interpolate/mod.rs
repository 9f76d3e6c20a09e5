//! Interpolations: `${a.b}`, `${.sibling}`, `${resolver:arguments}`, within text and nested.

mod escape;
mod evaluate;
mod parse;
mod python;
mod resolvers;

use crate::{
    error::{Error, Origin, Result},
    node::{Node, Value},
};
use evaluate::{Evaluator, KeyPath, Located};

pub(crate) use escape::escaped;
pub use parse::InterpolationError;

/// A tree without interpolations, and what resolving it had to say.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub node: Node,
    pub warnings: Vec<String>,
}

/// Resolves the entries `keys` of the root mapping, or all of them.
pub(crate) fn resolve(root: &Node, keys: Option<&[&str]>) -> Result<Resolved> {
    let evaluator = Evaluator::new(root);
    let Value::Map(map) = &root.value else { return Err(Error::at(&root.origin, "a document is a mapping")) };
    let mut resolved = Node::map(&root.origin);
    if let Value::Map(entries) = &mut resolved.value {
        for (key, node) in map {
            if keys.is_none_or(|keys| keys.contains(&key.as_str())) {
                entries.insert(key.clone(), evaluator.node(&KeyPath::root().child(key), node)?);
            }
        }
    }
    Ok(Resolved { node: resolved, warnings: evaluator.warnings() })
}

/// The resolved value of `text` as if it stood at the root of `root`.
pub(crate) fn text(root: &Node, text: &str, origin: &Origin) -> Result<Node> {
    let node = Node::new(Value::Str(text.to_owned()), origin);
    Evaluator::new(root).node(&KeyPath::root().child("_"), &node)
}

/// The resolved value of `node`, which stands at `keys`.
pub(crate) fn at(root: &Node, keys: &[String], node: &Node) -> Result<Node> {
    let path = keys.iter().fold(KeyPath::root(), |path, key| path.child(key));
    Evaluator::new(root).node(&path, node)
}

/// The value at `keys`, interpolations followed but those inside it left; None where there is none or it is missing.
pub(crate) fn select(root: &Node, keys: &[String]) -> Result<Option<Node>> {
    let evaluator = Evaluator::new(root);
    Ok(match evaluator.locate(&KeyPath::root(), keys, &root.origin)? {
        Some(Located::Node(path)) => path.of(root).cloned(),
        Some(Located::Value(node)) => Some(node),
        Some(Located::Missing) | None => None,
    })
}

#[cfg(test)]
mod tests;
