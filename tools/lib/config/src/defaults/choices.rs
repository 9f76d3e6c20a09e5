//! The option that is chosen of each group, and the override or defaults list that chooses it.

use super::entry::{Choice, Entry, Target};
use crate::{
    error::{Error, Origin, Result, list},
    node::{Map, Node, Value as NodeValue},
    overrides::{self, Action, Override, Sweep, Value},
    search::SearchPath,
};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// The choices that overrides make, and those that are found while lists are expanded.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    overridden: IndexMap<String, Overridden>,
    deleted: IndexMap<String, Deleted>,
    /// Entries that `+group=option` adds to the primary config's list.
    pub appended: Vec<Entry>,
    /// Entries that stand before the primary config's list.
    pub prepended: Vec<Entry>,
    /// The overrides that concern values.
    pub values: Vec<Override>,
    known: IndexMap<String, Option<String>>,
    known_of_group: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Overridden {
    choice: Choice,
    origin: Origin,
    used: bool,
}

#[derive(Debug)]
struct Deleted {
    name: Option<String>,
    origin: Origin,
    used: bool,
}

impl Choices {
    /// Sorts overrides into choices of groups and changes of values.
    pub fn new(search: &SearchPath, overrides: &[Override]) -> Result<Self> {
        let mut choices = Self::default();
        for one in overrides {
            if let Some(Value::Sweep(sweep)) = &one.value {
                let to_mean_one = match sweep {
                    Sweep::Choice(overrides::Choice { simple: true, .. }) => one.as_one_value(),
                    _ => String::new(),
                };
                let message = format!("several values are a sweep, of which `sweep` makes jobs{to_mean_one}");
                return Err(Error::at(&one.origin(), message));
            }
            if matches!(one.value, Some(Value::Dict(_))) || !search.has_group(&one.key) {
                choices.values.push(one.clone());
            } else {
                choices.add_group(one, &search.options(&one.key))?;
            }
        }
        Ok(choices)
    }

    fn add_group(&mut self, one: &Override, options: &BTreeSet<String>) -> Result<()> {
        let origin = one.origin();
        match one.action {
            Action::Force => return Err(Error::at(&origin, "a group is added with one +, or changed without")),
            Action::Delete => {
                let name = match &one.value {
                    None | Some(Value::Null) => None,
                    Some(value) => match value.as_str() {
                        Some(name) => Some(name.to_owned()),
                        None => return Err(Error::at(&origin, "the option of a group is a name")),
                    },
                };
                self.deleted.insert(one.group_key(), Deleted { name, origin, used: false });
            }
            Action::Add => {
                let target = Target::Group(one.key.clone(), choice(one, options)?);
                let mut entry = Entry::new(target, one.package.clone(), &origin);
                entry.appended = true;
                self.appended.push(entry);
            }
            Action::Change => {
                let choice = choice(one, options)?;
                self.overridden.insert(one.group_key(), Overridden { choice, origin, used: false });
            }
        }
        Ok(())
    }

    /// Adds an `override` entry of a defaults list; earlier ones take precedence.
    pub fn add_override(&mut self, entry: &Entry) {
        if let Target::Group(_, choice) = &entry.target {
            self.overridden.entry(entry.override_key()).or_insert_with(|| Overridden {
                choice: choice.clone(),
                origin: entry.origin.clone(),
                used: false,
            });
        }
    }

    /// Changes the entry's choice if an override says so.
    pub fn apply(&mut self, entry: &mut Entry) {
        let key = entry.override_key();
        if let Target::Group(_, choice) = &mut entry.target
            && let Some(overridden) = self.overridden.get_mut(&key)
        {
            *choice = overridden.choice.clone();
            entry.origin = overridden.origin.clone();
            overridden.used = true;
        }
    }

    /// Whether `~group` deletes the entry.
    pub fn delete(&mut self, entry: &Entry) -> bool {
        if !entry.is_group() {
            return false;
        }
        let Some(deleted) = self.deleted.get_mut(&entry.override_key()) else { return false };
        let matches = deleted.name.is_none() || deleted.name.as_deref() == entry.name();
        deleted.used |= matches;
        matches
    }

    /// Records the option chosen by `entry`.
    pub fn note(&mut self, entry: &Entry) -> Result<()> {
        if !entry.is_group() {
            return Ok(());
        }
        let key = entry.override_key();
        let name = entry.name().map(str::to_owned);
        self.known_of_group.entry(entry.group_path()).or_default().insert(key.clone());
        match self.known.get(&key) {
            Some(first) if *first != name => {
                let (first, name) = (first.as_deref().unwrap_or("null"), name.as_deref().unwrap_or("null"));
                let message = format!("{key} is chosen twice, as {first} and {name}; write `override {key}: {name}`");
                Err(Error::at(&entry.origin, message))
            }
            Some(_) => Ok(()),
            None => {
                self.known.insert(key, name);
                Ok(())
            }
        }
    }

    /// Whether a list chooses an option of `group`.
    pub fn is_known(&self, group: &str) -> bool {
        self.known_of_group.contains_key(group)
    }

    /// The choices that defaults lists make, by the names that overrides call them.
    pub fn known(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.known.iter().map(|(key, name)| (key.as_str(), name.as_deref()))
    }

    /// The choices so far, for `${group}` in a defaults list.
    pub fn as_node(&self, origin: &Origin) -> Node {
        let entries = self.known.iter().map(|(key, name)| {
            let value = name.clone().map_or(NodeValue::Null, NodeValue::Str);
            (key.clone(), Node::new(value, origin))
        });
        Node::new(NodeValue::Map(entries.collect::<Map>()), origin)
    }

    /// # Errors
    /// Where an override or a deletion found nothing to act on.
    pub fn ensure_used(&self) -> Result<()> {
        if let Some((key, overridden)) = self.overridden.iter().find(|(_, overridden)| !overridden.used) {
            let group = key.split('@').next().unwrap_or(key);
            let hint = match self.known_of_group.get(group) {
                Some(known) => format!("; there is {}", list(known.iter().map(String::as_str))),
                None => format!("; write +{key}=... to add it"),
            };
            let message = format!("no defaults list chooses an option of {key}{hint}");
            return Err(Error::at(&overridden.origin, message));
        }
        match self.deleted.iter().find(|(_, deleted)| !deleted.used) {
            Some((key, deleted)) => {
                Err(Error::at(&deleted.origin, format!("no defaults list has {key} with that option to delete")))
            }
            None => Ok(()),
        }
    }
}

/// The option, or options, that `one` chooses of a group that has `options`.
fn choice(one: &Override, options: &BTreeSet<String>) -> Result<Choice> {
    let fail = || {
        let known = list(options.iter().map(String::as_str));
        let message = format!("expected the name of an option ({known}) or a list of names; ~{} chooses none", one.key);
        Err(Error::at(&one.origin(), format!("{}: {message}", one.key)))
    };
    match &one.value {
        Some(Value::Str(name) | Value::Quoted(name, _)) if !name.is_empty() => Ok(Choice::One(name.clone())),
        Some(Value::List(items)) => {
            let name = |item: &Value| item.as_str().map(str::to_owned);
            items.iter().map(name).collect::<Option<_>>().map_or_else(fail, |names| Ok(Choice::Several(names)))
        }
        _ => fail(),
    }
}
