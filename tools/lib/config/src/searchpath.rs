//! `hydra.searchpath`: folders that a primary config, or the command line, adds to the search path.

use crate::{
    error::{Error, Origin, Result},
    interpolate,
    node::{Node, Value},
    overrides::{Action, Override},
    repository::Repository,
};
use std::path::PathBuf;

const KEY: &str = "hydra.searchpath";
/// What a Python package is named by.
const PACKAGE: &str = "pkg://";
const FILE: &str = "file://";

/// Whether `one` is an override of `hydra.searchpath`.
pub(crate) fn is_override(one: &Override) -> bool {
    one.key == KEY && one.action == Action::Change
}

/// Adds the folders that `given`, or else the primary config, names; returns warnings of those that are not there.
pub(crate) fn extend(repository: &mut Repository, primary: &str, given: Option<&Override>) -> Result<Vec<String>> {
    let (folders, provider) = match given {
        Some(one) => {
            let origin = one.origin();
            let list = one.value.as_ref().and_then(|value| value.to_node(&origin));
            let list = list.ok_or_else(|| Error::at(&origin, "a sweep is not a search path"))?;
            (names(&Node::map(&origin), &list)?, "hydra.searchpath in command-line")
        }
        None => {
            let Some(config) = repository.load(primary)? else { return Ok(Vec::new()) };
            let Some(list) = config.body.get(KEY).filter(|node| node.value != Value::Null) else {
                return Ok(Vec::new());
            };
            (names(&config.body, list)?, "hydra.searchpath in main")
        }
    };
    let mut warnings = Vec::new();
    for (name, origin) in folders {
        if !repository.extend(PathBuf::from(&name), provider) {
            warnings.push(format!("{origin}: {KEY}: {name}: no such folder"));
        }
    }
    Ok(warnings)
}

/// Refuses a search path in a config other than the primary one: by then the search has begun.
pub(crate) fn refuse(body: &Node) -> Result<()> {
    match body.get(KEY) {
        Some(node) if node.value != Value::Null => {
            Err(Error::at(&node.origin, format!("{KEY} stands in the primary config only")))
        }
        _ => Ok(()),
    }
}

/// The folders that a list names, with interpolations resolved in `root`.
fn names(root: &Node, list: &Node) -> Result<Vec<(String, Origin)>> {
    let Value::Seq(items) = &list.value else {
        return Err(Error::at(&list.origin, format!("{KEY} is a list of folders, not {}", list.describe())));
    };
    items.iter().map(|item| name(root, item)).collect()
}

fn name(root: &Node, item: &Node) -> Result<(String, Origin)> {
    let node = match &item.value {
        Value::Str(text) => interpolate::text(root, text, &item.origin)?,
        _ => item.clone(),
    };
    let Value::Str(name) = node.value else {
        return Err(Error::at(&item.origin, format!("{KEY}: a folder is a text, not {}", item.describe())));
    };
    if name.starts_with(PACKAGE) {
        return Err(Error::at(&item.origin, format!("{KEY}: {name} is a Python package; name a folder")));
    }
    Ok((name.strip_prefix(FILE).unwrap_or(&name).to_owned(), item.origin.clone()))
}
