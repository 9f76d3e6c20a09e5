//! Applying overrides of values to a composed tree, in which only known keys may change.

use crate::{
    error::{Error, Result, list},
    interpolate,
    merge::merge,
    node::{Map, Node, Value, split_key},
    overrides::{Action, Override},
    suggest,
    unknown::{self, Known},
};

/// Applies an override; an error says what of the `known` a wrong key may be meant as.
///
/// # Errors
/// An unknown key, a key to add that is there already, one to delete that is not.
pub(crate) fn apply(root: &mut Node, one: &Override, known: &Known<'_>) -> Result<()> {
    if let Some(package) = &one.package {
        let message = format!("{}@{package} looks like a group, but there is no group {0}", one.key);
        return Err(Error::at(&one.origin(), message));
    }
    if one.key.contains('/') {
        let groups = root.as_map().map_or_else(String::new, |map| list(map.keys().map(String::as_str)));
        return Err(Error::at(&one.origin(), format!("there is no group {}; known: {groups}", one.key)));
    }
    match one.action {
        Action::Delete => delete(root, one, known),
        Action::Change => set(root, one, Add::Refused, known),
        Action::Force => set(root, one, Add::Allowed, known),
        Action::Add => {
            let new = node(one)?;
            let free = selected(root, &one.key)?.is_none_or(|old| old.value == Value::Null);
            if free || new.is_container() {
                return set(root, one, Add::Allowed, known);
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

fn set(root: &mut Node, one: &Override, add: Add, known: &Known<'_>) -> Result<()> {
    let new = node(one)?;
    new.check_depth(split_key(&one.key).len())?;
    let keys = split_key(&one.key);
    let Some((last, parents)) = keys.split_last() else { return Err(Error::at(&one.origin(), "needs a key")) };
    if let Some(error) = unknown_key(root, one, &keys, add, known) {
        return Err(error);
    }
    let mut at = root;
    for key in parents {
        at = container(at, key, one).ok_or_else(|| Error::at(&one.origin(), format!("{key}: no such mapping")))?;
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

/// The error of a key that is not there and may not be added: a tool knows its keys, a list its length.
fn unknown_key(root: &Node, one: &Override, keys: &[&str], add: Add, known: &Known<'_>) -> Option<Error> {
    let (last, parents) = keys.split_last()?;
    let mut at = root;
    for (depth, key) in parents.iter().enumerate() {
        match at.child(key).filter(|child| child.is_container()) {
            Some(child) => at = child,
            None if add == Add::Refused => return Some(unknown::mapping(root, one, &keys[..=depth], known)),
            None => return None,
        }
    }
    let is_free = add == Add::Allowed && !matches!(at.value, Value::Seq(_));
    (at.child(last).is_none() && !is_free).then(|| unknown::key(root, at, one, known))
}

/// The container at `key`; where there is none it is made, in place of a value if need be.
fn container<'n>(at: &'n mut Node, key: &str, one: &Override) -> Option<&'n mut Node> {
    let exists = at.child(key).is_some_and(Node::is_container);
    if !exists {
        let new = Node::new(Value::Map(Map::new()), &one.origin());
        match &mut at.value {
            Value::Map(map) => {
                map.insert(key.to_owned(), new);
            }
            _ => *at.child_mut(key)? = new,
        }
    }
    at.child_mut(key)
}

/// A mapping merged by a plain override may hold only keys that are there.
fn only_known(old: &Node, new: &Node, path: &str) -> Result<()> {
    let (Value::Map(old), Value::Map(new)) = (&old.value, &new.value) else { return Ok(()) };
    for (key, value) in new {
        match old.get(key) {
            Some(old) => only_known(old, value, &format!("{path}.{key}"))?,
            None => {
                let wrong = format!("{path}.{key}");
                let known: Vec<String> = old.keys().map(|key| format!("{path}.{key}")).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(Error::at(
                    &value.origin,
                    format!("{wrong}: unknown key{}", suggest::hint(&wrong, &known, "")),
                ));
            }
        }
    }
    Ok(())
}

fn delete(root: &mut Node, one: &Override, known: &Known<'_>) -> Result<()> {
    let fail = |message: String| Err(Error::at(&one.origin(), message));
    let Some(old) = selected(root, &one.key)?.filter(|old| old.value != Value::Null) else {
        return fail(format!("{}: no such key to delete{}", one.key, unknown::hint(root, one, known)));
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
        _ => fail(format!("{}: only an entry of a mapping can be deleted", one.key)),
    }
}
