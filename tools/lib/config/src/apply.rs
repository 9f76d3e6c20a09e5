//! Applying overrides of values to a composed tree, in which only known keys may change.

use crate::{
    error::{Error, Result, did_you_mean, list, nearest},
    interpolate,
    merge::merge,
    node::{Map, Node, Value, split_key},
    overrides::{Action, Override},
};

/// Applies an override, of a tool that reads the groups `own`, or of the whole job.
///
/// # Errors
/// An unknown key, a key to add that is there already, one to delete that is not.
pub(crate) fn apply(root: &mut Node, one: &Override, own: Option<&[&str]>) -> Result<()> {
    if let Some(package) = &one.package {
        let message = format!("{}@{package} looks like a group, but there is no group {0}", one.key);
        return Err(Error::at(&one.origin(), message));
    }
    if one.key.contains('/') {
        let known = root.as_map().map_or_else(String::new, |map| list(map.keys().map(String::as_str)));
        return Err(Error::at(&one.origin(), format!("there is no group {}; known: {known}", one.key)));
    }
    match one.action {
        Action::Delete => delete(root, one),
        Action::Change => set(root, one, Add::Refused, own),
        Action::Force => set(root, one, Add::Allowed, own),
        Action::Add => {
            let new = node(one)?;
            let free = selected(root, &one.key)?.is_none_or(|old| old.value == Value::Null);
            if free || new.is_container() {
                return set(root, one, Add::Allowed, own);
            }
            let message = format!("{} is there already; change it without +, or write ++ for either", one.key);
            Err(Error::at(&one.origin(), message))
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Add {
    Allowed,
    Refused,
}

fn node(one: &Override) -> Result<Node> {
    let node = one.value.as_ref().and_then(|value| value.to_node(&one.origin()));
    node.ok_or_else(|| Error::at(&one.origin(), "needs one value"))
}

/// The value at `path`, interpolations followed; None where there is none or it is missing.
fn selected(root: &Node, path: &str) -> Result<Option<Node>> {
    let keys: Vec<String> = split_key(path).into_iter().map(str::to_owned).collect();
    interpolate::select(root, &keys)
}

fn set(root: &mut Node, one: &Override, add: Add, own: Option<&[&str]>) -> Result<()> {
    let new = node(one)?;
    new.check_depth(split_key(&one.key).len())?;
    let keys = split_key(&one.key);
    let Some((last, parents)) = keys.split_last() else { return Err(Error::at(&one.origin(), "needs a key")) };
    let known_paths = paths(root);
    let mut at = root;
    for (depth, key) in parents.iter().enumerate() {
        at = container(at, key, one, add).map_err(|()| unknown(one, &keys[..=depth], &known_paths))?;
    }
    let known = at.child(last).is_some();
    if !known && (add == Add::Refused || matches!(at.value, Value::Seq(_))) {
        return Err(unknown_in(one, at, last, &known_paths, own));
    }
    match at.child_mut(last) {
        Some(old) if old.is_container() && new.is_container() => {
            if add == Add::Refused {
                only_known(old, &new, &one.key)?;
            }
            merge(old, new)
        }
        Some(old) => {
            *old = new;
            Ok(())
        }
        None => {
            if let Value::Map(map) = &mut at.value {
                map.insert((*last).to_owned(), new);
            }
            Ok(())
        }
    }
}

/// The container at `key`; where adding is allowed, it is made, in place of a value if need be.
fn container<'n>(at: &'n mut Node, key: &str, one: &Override, add: Add) -> std::result::Result<&'n mut Node, ()> {
    let exists = at.child(key).is_some_and(Node::is_container);
    if !exists {
        if add == Add::Refused {
            return Err(());
        }
        let new = Node::new(Value::Map(Map::new()), &one.origin());
        match &mut at.value {
            Value::Map(map) => {
                map.insert(key.to_owned(), new);
            }
            _ => *at.child_mut(key).ok_or(())? = new,
        }
    }
    at.child_mut(key).ok_or(())
}

/// A mapping merged by a plain override may hold only keys that are there.
fn only_known(old: &Node, new: &Node, path: &str) -> Result<()> {
    let (Value::Map(old), Value::Map(new)) = (&old.value, &new.value) else { return Ok(()) };
    for (key, value) in new {
        match old.get(key) {
            Some(old) => only_known(old, value, &format!("{path}.{key}"))?,
            None => {
                let near = did_you_mean(key, old.keys().map(String::as_str));
                return Err(Error::at(&value.origin, format!("{path}.{key}: unknown key{near}")));
            }
        }
    }
    Ok(())
}

fn unknown(one: &Override, keys: &[&str], known_paths: &[String]) -> Error {
    let path = keys.join(".");
    let last = one.key.rsplit('.').next().unwrap_or("");
    Error::at(&one.origin(), format!("{path}: no such mapping{}", elsewhere(last, known_paths)))
}

fn unknown_in(one: &Override, parent: &Node, key: &str, known_paths: &[String], own: Option<&[&str]>) -> Error {
    let message = match &parent.value {
        Value::Seq(items) => format!("{}: the list has {} elements", one.key, items.len()),
        Value::Map(map) => {
            let known = || map.keys().map(String::as_str);
            let hints = [did_you_mean(key, known()), slip_of_a_group(one, own), elsewhere(key, known_paths)];
            let hint = hints.into_iter().find(|hint| !hint.is_empty());
            let hint = hint.unwrap_or_else(|| format!("; known: {}", list(known())));
            // A tool knows its settings, and takes no others.
            let add = if own.is_none() { format!(" (to add it: +{})", one.text) } else { String::new() };
            format!("{}: unknown key{hint}{add}", one.key)
        }
        _ => format!("{}: unknown key", one.key),
    };
    Error::at(&one.origin(), message)
}

/// A hint at the group that the bare key of a tool's setting may be a slip of.
fn slip_of_a_group(one: &Override, own: Option<&[&str]>) -> String {
    let bare = one.text.split_once('=').filter(|(key, _)| !key.contains('.'));
    let near = bare.and_then(|(key, option)| Some((nearest(key, own?.iter().copied())?, option)));
    near.map_or_else(String::new, |(group, option)| format!("; did you mean {group}={option}?"))
}

/// A hint at the paths that end in `key`.
fn elsewhere(key: &str, known_paths: &[String]) -> String {
    let found = known_paths.iter().find(|path| path.rsplit('.').next() == Some(key));
    found.map_or_else(String::new, |path| format!("; did you mean {path}?"))
}

/// The dotted paths of all entries of mappings in the tree.
fn paths(root: &Node) -> Vec<String> {
    fn walk(node: &Node, prefix: &str, paths: &mut Vec<String>) {
        for (key, child) in node.as_map().into_iter().flatten() {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            walk(child, &path, paths);
            paths.push(path);
        }
    }
    let mut found = Vec::new();
    walk(root, "", &mut found);
    found
}

fn delete(root: &mut Node, one: &Override) -> Result<()> {
    let fail = |message: String| Err(Error::at(&one.origin(), message));
    let Some(old) = selected(root, &one.key)?.filter(|old| old.value != Value::Null) else {
        return fail(format!("{}: not there to take away", one.key));
    };
    if one.value.is_some() {
        let wanted = node(one)?;
        if wanted.value != Value::Null && wanted != old {
            return fail(format!("{} is {}, not {}", one.key, old.describe(), wanted.describe()));
        }
    }
    let keys = split_key(&one.key);
    let Some((last, parents)) = keys.split_last() else { return fail("needs a key".into()) };
    let parent = parents.iter().try_fold(root, |node, key| node.child_mut(key));
    match parent.map(|node| &mut node.value) {
        Some(Value::Map(map)) => {
            map.shift_remove(*last);
            Ok(())
        }
        _ => fail(format!("{}: only an entry of a mapping can be taken away", one.key)),
    }
}
