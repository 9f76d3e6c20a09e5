//! Merging one tree into another, as OmegaConf does.

use crate::{
    error::{Error, Origin, Result},
    interpolate,
    node::{Map, Node, Value},
};
use indexmap::map::Entry;

/// Merges a config into the document so far. Where the document has a reference to a container and
/// the config has entries for it, the container is copied there first, so that it itself stays.
///
/// # Errors
/// As [`merge`].
pub(crate) fn merge_config(root: &mut Node, config: Node) -> Result<()> {
    let mut references = Vec::new();
    find_references(root, &config, &mut Vec::new(), &mut references);
    for keys in references {
        // A reference that leads nowhere yet is replaced, as any other value is.
        let Ok(Some(target)) = interpolate::select(root, &keys) else { continue };
        if target.is_container()
            && let Some(node) = keys.iter().try_fold(&mut *root, |node, key| node.child_mut(key))
        {
            *node = target;
        }
    }
    merge(root, config)
}

/// Where `config` has a container and `node` a reference.
fn find_references(node: &Node, config: &Node, keys: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if node.is_interpolation() && config.is_container() {
        found.push(keys.clone());
    }
    if let (Some(old), Some(new)) = (node.as_map(), config.as_map()) {
        for (key, config) in new {
            if let Some(node) = old.get(key) {
                keys.push(key.clone());
                find_references(node, config, keys, found);
                keys.pop();
            }
        }
    }
}

/// Merges `from` into `into`: mappings key by key, anything else replaces. The missing mark `???`
/// replaces nothing.
///
/// # Errors
/// A list cannot be merged into a mapping, nor a mapping into a list.
pub(crate) fn merge(into: &mut Node, from: Node) -> Result<()> {
    if from.is_missing() {
        return Ok(());
    }
    match (&mut into.value, from.value) {
        (Value::Map(map), Value::Map(entries)) => merge_entries(map, entries),
        (Value::Map(_), Value::Seq(_)) => Err(clash(&from.origin, "a list", "a mapping", &into.origin)),
        (Value::Seq(_), Value::Map(_)) => Err(clash(&from.origin, "a mapping", "a list", &into.origin)),
        (_, value) => {
            *into = Node { value, origin: from.origin };
            Ok(())
        }
    }
}

fn merge_entries(map: &mut Map, entries: Map) -> Result<()> {
    for (key, node) in entries {
        match map.entry(key) {
            Entry::Occupied(mut old) => merge(old.get_mut(), node)?,
            Entry::Vacant(slot) => {
                slot.insert(node);
            }
        }
    }
    Ok(())
}

fn clash(origin: &Origin, new: &str, old: &str, old_origin: &Origin) -> Error {
    Error::at(origin, format!("{new} cannot be merged into {old} ({old_origin})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn read(text: &str) -> Node {
        crate::yaml::parse(&Arc::from("a.yaml"), text).expect("valid YAML")
    }

    fn merged(into: &str, from: &str) -> Result<Node> {
        let mut root = read(into);
        merge_config(&mut root, read(from)).map(|()| root)
    }

    /// As `OmegaConf.merge` does.
    #[test]
    fn mappings_merge_and_the_rest_is_replaced() {
        let cases = [
            ("{a: 1, b: {c: 1, d: 2}}", "{b: {d: 3}, e: 4}", "{a: 1, b: {c: 1, d: 3}, e: 4}"),
            ("{a: [1, 2]}", "{a: [3]}", "{a: [3]}"),
            ("{a: {b: 1}}", "{a: null}", "{a: null}"),
            ("{a: null}", "{a: {b: 1}}", "{a: {b: 1}}"),
            ("{a: {b: 1}}", "{a: 2}", "{a: 2}"),
            ("{a: 1}", "{a: ???, b: ???}", "{a: 1, b: ???}"),
            ("{a: '${b}', b: {c: 1}}", "{a: {d: 2}}", "{a: {c: 1, d: 2}, b: {c: 1}}"),
            ("{a: '${nope}'}", "{a: {d: 2}}", "{a: {d: 2}}"),
        ];
        for (into, from, expected) in cases {
            assert_eq!(merged(into, from).expect("merges"), read(expected), "{into} {from}");
        }
        assert!(merged("{a: {b: 1}}", "{a: [1]}").is_err());
        assert!(merged("{a: [1]}", "{a: {b: 1}}").is_err());
    }
}
