//! Checks the top level of a resolved document: a misspelled group would silently have its defaults.

use crate::{
    compose::Sources,
    error::{Error, Result, list},
    node::{Map, Node, Value},
    reference::reference,
    search::{SearchPath, Source},
    suggest,
};
use std::collections::BTreeSet;

/// Checks the top level of `root`, which `source` holds, for a tool that reads the groups of `own`.
///
/// Other tools' groups are ignored, and so are sections that resemble no group: other programs may read them.
///
/// # Errors
/// Names a misspelled group, a setting at the top level that belongs into a group, or a file without any group.
pub(crate) fn check(root: &Node, source: &Source, sources: &Sources, own: &[&str]) -> Result<()> {
    let Value::Map(map) = &root.value else { return Ok(()) };
    let search = SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs)?;
    let mut known: BTreeSet<String> = search.groups("");
    known.extend(own.iter().map(ToString::to_string));
    for (key, node) in map.iter().filter(|(key, _)| !known.contains(*key)) {
        slip(key, node, map, &known, own)?;
        if node.as_map().is_none() {
            stray(key, node, root, source)?;
        }
    }
    if map.keys().any(|key| known.contains(key)) {
        return Ok(());
    }
    let groups = list(own.iter().copied());
    Err(Error::new(format!("{}: no settings: it has none of the groups {groups}", source.name)))
}

/// The tool's own groups are the likelier ones.
fn slip(key: &str, node: &Node, map: &Map, known: &BTreeSet<String>, own: &[&str]) -> Result<()> {
    // What a scalar is called by is looked for among the settings first.
    if node.as_map().is_none() && map.keys().any(|key| known.contains(key)) && !suggest::synonyms_of(key).is_empty() {
        return Ok(());
    }
    let near = suggest::nearest(key, own.iter().copied());
    let near = near.or_else(|| suggest::nearest(key, known.iter().map(String::as_str)));
    match near {
        Some(near) => Err(Error::at(&node.origin, format!("{key}: no group of settings; did you mean {near}?"))),
        None => Ok(()),
    }
}

/// A value at the top may be there for interpolations, as `lr` in `learning_rate: ${lr}`, resolved or not.
fn stray(key: &str, node: &Node, root: &Node, source: &Source) -> Result<()> {
    let groups = reference(None);
    let keys = groups.iter().flat_map(|group| &group.settings).map(|setting| setting.key.as_str());
    let meant = suggest::called(key, &keys.collect::<Vec<_>>());
    let is_used = source.text.contains(&format!("${{{key}}}")) || meant.iter().any(|key| root.get(key) == Some(node));
    if meant.is_empty() || is_used {
        return Ok(());
    }
    let hint = suggest::ask(meant.into_iter().map(str::to_owned));
    Err(Error::at(&node.origin, format!("{key}: not a setting at the top level{hint}")))
}
