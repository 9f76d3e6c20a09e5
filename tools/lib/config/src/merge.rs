//! Merging one tree into another, as OmegaConf does.

use crate::{
    error::{Error, Result},
    node::{Map, Node, Value},
};
use indexmap::map::Entry;

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

fn clash(origin: &crate::Origin, new: &str, old: &str, old_origin: &crate::Origin) -> Error {
    Error::at(origin, format!("{new} cannot be merged into {old} ({old_origin})"))
}
