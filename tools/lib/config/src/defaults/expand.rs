//! Expanding the primary config's defaults list into the configs to merge.

use super::{
    choices::Choices,
    entry::{Choice, Entry, Target},
    tree::{Branch, Chosen},
};
use crate::{
    error::{Error, Origin, Result, list},
    interpolate,
    node::{MISSING, Value},
    repository::{Config, Repository},
    suggest::did_you_mean,
};
use std::{collections::HashSet, rc::Rc};

/// How deep defaults lists may nest: a config that includes itself would never end.
const MAX_DEPTH: usize = 32;
/// Configs that one document may be made of, so that lists that include each other twice do end.
const MAX_CONFIGS: usize = 10_000;
/// Groups of Hydra's own, which have no meaning here.
const HYDRA: &str = "hydra";

/// An expansion in progress.
pub(crate) struct Expansion<'a> {
    pub repository: &'a Repository,
    pub choices: &'a mut Choices,
    /// The packages that are wanted; None for all.
    pub own: Option<&'a [&'a str]>,
    count: usize,
}

/// What an entry of a list expands to.
enum Slot {
    Done(Vec<Branch>),
    /// Names its option by an interpolation, which waits for the other choices.
    Deferred(Entry),
}

/// The entry that is being expanded, and where in the tree of lists.
struct Parent<'p> {
    entry: &'p Entry,
    depth: usize,
    primary: bool,
    interpolated: bool,
}

impl<'a> Expansion<'a> {
    pub fn new(repository: &'a Repository, choices: &'a mut Choices, own: Option<&'a [&'a str]>) -> Self {
        Self { repository, choices, own, count: 0 }
    }

    /// The tree of configs that make up the primary config `name`.
    pub fn primary(&mut self, name: &str) -> Result<Branch> {
        let origin = Origin::Override(format!("--config-name {name}").into());
        let mut entry = Entry::new(Target::Config(name.to_owned()), None, &origin);
        entry.place("", "");
        if self.repository.load(name)?.is_none() {
            let known = self.repository.search.options("");
            let near = did_you_mean(name, known.iter().map(String::as_str));
            let known = list(known.iter().map(String::as_str));
            let places: Vec<String> = self.repository.search.parts().into_iter().map(|(_, place)| place).collect();
            let message = format!("no primary config {name}{near}; there is {known} (in {})", places.join(", "));
            return Err(Error::new(message));
        }
        let tree =
            self.expand(entry, &Parent { entry: &root(&origin), depth: 0, primary: true, interpolated: false })?;
        let mut seen = HashSet::new();
        for one in tree.chosen() {
            if let Some(key) = &one.override_key
                && !seen.insert(key)
            {
                return Err(Error::at(&one.origin, format!("{key} appears more than once in the defaults list")));
            }
        }
        Ok(tree)
    }

    /// What `entry`, placed, stands for; `at` says where in the tree of lists it is.
    fn expand(&mut self, mut entry: Entry, at: &Parent<'_>) -> Result<Branch> {
        self.count += 1;
        if at.depth > MAX_DEPTH || self.count > MAX_CONFIGS {
            return Err(Error::at(&entry.origin, "defaults lists include each other without end"));
        }
        if self.choices.delete(&entry) {
            return Ok(Branch::nothing(&entry));
        }
        self.choices.note(&entry)?;
        match entry.name() {
            None => return Ok(Branch::nothing(&entry)),
            Some(MISSING) => return Err(self.must_choose(&entry)),
            Some(_) => {}
        }
        match self.repository.load(&entry.config_path())? {
            Some(config) => {
                entry.set_header(config.header.as_deref());
                self.expand_config(&entry, &config, at)
            }
            None if entry.optional => Ok(Branch::nothing(&entry)),
            None => Err(self.not_found(&entry)),
        }
    }

    fn expand_config(&mut self, entry: &Entry, config: &Rc<Config>, at: &Parent<'_>) -> Result<Branch> {
        let parent = Parent { entry, depth: at.depth + 1, primary: at.primary, interpolated: at.interpolated };
        let children = self.children(&parent, config)?;
        if children.is_empty() {
            return Ok(Branch::config(entry, leaf(entry)));
        }
        let mut slots = Vec::with_capacity(children.len());
        // From the last to the first, so that an override is seen before what it overrides.
        for child in children.into_iter().rev() {
            self.child(child, &parent, &mut slots)?;
        }
        let known = self.choices.as_node(&entry.origin);
        let mut branches = Vec::new();
        for slot in slots {
            branches.push(match slot {
                Slot::Done(branches) => branches,
                Slot::Deferred(child) => {
                    let child = resolved(child, &known)?;
                    let interpolated = Parent { interpolated: true, primary: false, ..parent };
                    self.descend(child, &interpolated)?
                }
            });
        }
        Ok(Branch::list(entry, branches.into_iter().rev().flatten().collect()))
    }

    /// The entries of the config's list, placed, with `_self_` among them; empty where the config is all there is.
    fn children(&mut self, parent: &Parent<'_>, config: &Config) -> Result<Vec<Entry>> {
        let mut children = config.defaults.clone();
        let mut appended = Vec::new();
        if parent.primary {
            children.splice(0..0, std::mem::take(&mut self.choices.prepended));
            appended = std::mem::take(&mut self.choices.appended);
        }
        if children.is_empty() && appended.is_empty() {
            return Ok(children);
        }
        add_self(&mut children, parent)?;
        children.extend(appended);
        children.retain(|child| !is_hydras(child));
        let (base, package) = (parent.entry.group_path(), parent.entry.final_package());
        for child in children.iter_mut().filter(|child| !child.is_self()) {
            child.place(&base, &package);
        }
        self.take_overrides(&children, parent)?;
        children.retain(|child| !child.overrides);
        Ok(children)
    }

    /// Takes up the `override` entries, which must be the last of the list.
    fn take_overrides(&mut self, children: &[Entry], parent: &Parent<'_>) -> Result<()> {
        let mut last: Option<&Entry> = None;
        for child in children.iter().filter(|child| !child.is_self()) {
            if child.overrides {
                if parent.interpolated {
                    let message = "an override is not allowed below a config that is chosen by an interpolation";
                    return Err(Error::at(&child.origin, message));
                }
                self.choices.add_override(child);
                last = Some(child);
            } else if let Some(last) = last.filter(|_| !child.appended) {
                let message = format!("override {} must stand at the end of the defaults list", last.override_key());
                return Err(Error::at(&last.origin, message));
            }
        }
        Ok(())
    }

    fn child(&mut self, mut child: Entry, parent: &Parent<'_>, slots: &mut Vec<Slot>) -> Result<()> {
        if child.is_self() {
            slots.push(Slot::Done(vec![Branch::this(Chosen { override_key: None, ..leaf(parent.entry) })]));
            return Ok(());
        }
        self.choices.apply(&mut child);
        if let Target::Group(group, Choice::Several(names)) = &child.target {
            for name in names.iter().rev() {
                if name.contains("${") {
                    return Err(Error::at(&child.origin, "an interpolation cannot stand in a list of options"));
                }
                let mut one = child.clone();
                one.target = Target::Config(format!("{group}/{name}"));
                slots.push(Slot::Done(self.descend(one, parent)?));
            }
        } else if child.is_interpolation() {
            slots.push(Slot::Deferred(child));
        } else {
            slots.push(Slot::Done(self.descend(child, parent)?));
        }
        Ok(())
    }

    /// Expands a child, unless its values go to a package that the tool does not read.
    fn descend(&mut self, mut child: Entry, parent: &Parent<'_>) -> Result<Vec<Branch>> {
        if let Some(own) = self.own {
            // The header alone is read here: a broken file of another group is no concern.
            child.set_header(self.repository.header(&child.config_path()).ok().flatten().as_deref());
            let package = child.final_package();
            let root = package.split('.').next().unwrap_or("");
            if !root.is_empty() && !own.contains(&root) {
                self.choices.note(&child)?;
                return Ok(Vec::new());
            }
        }
        let at = Parent { entry: parent.entry, depth: parent.depth, primary: false, ..*parent };
        Ok(vec![self.expand(child, &at)?])
    }

    fn must_choose(&self, entry: &Entry) -> Error {
        let options = self.repository.search.options(&entry.group_path());
        let options = list(options.iter().map(String::as_str));
        Error::at(&entry.origin, format!("choose an option with {}=OPTION; there are {options}", entry.override_key()))
    }

    fn not_found(&self, entry: &Entry) -> Error {
        let group = entry.group_path();
        let name = entry.name().unwrap_or("null");
        let options = self.repository.search.options(&group);
        let near = did_you_mean(name, options.iter().map(String::as_str));
        let what = if group.is_empty() { format!("no config {name}") } else { format!("{group} has no option {name}") };
        let options = match options.is_empty() {
            true => "none".into(),
            false => list(options.iter().map(String::as_str)),
        };
        Error::at(&entry.origin, format!("{what}{near}; there are {options}"))
    }
}

/// What holds the primary config.
fn root(origin: &Origin) -> Entry {
    Entry::new(Target::This, None, origin)
}

fn leaf(entry: &Entry) -> Chosen {
    Chosen {
        config_path: entry.config_path(),
        package: entry.final_package(),
        origin: entry.origin.clone(),
        override_key: entry.is_group().then(|| entry.override_key()),
    }
}

/// A list without `_self_` has it at the end, unless the list only overrides.
fn add_self(children: &mut Vec<Entry>, parent: &Parent<'_>) -> Result<()> {
    let mut selves = children.iter().filter(|child| child.is_self());
    let has_self = selves.next().is_some();
    if let Some(second) = selves.next() {
        return Err(Error::at(&second.origin, "_self_ is in the defaults list twice"));
    }
    let only_overrides = children.iter().all(|child| child.overrides);
    if !has_self && (!only_overrides || children.is_empty()) {
        children.push(Entry::new(Target::This, None, &parent.entry.origin));
    }
    Ok(())
}

/// Hydra's launchers, sweepers and logging configure Hydra itself.
fn is_hydras(entry: &Entry) -> bool {
    let path = match &entry.target {
        Target::This => return false,
        Target::Config(path) | Target::Group(path, _) => path.trim_start_matches('/'),
    };
    path == HYDRA || path.starts_with("hydra/")
}

/// Fills in the choices that the entry's name refers to.
fn resolved(mut child: Entry, known: &crate::node::Node) -> Result<Entry> {
    let origin = child.origin.clone();
    let text = match &mut child.target {
        Target::Config(text) | Target::Group(_, Choice::One(text)) => text,
        _ => return Ok(child),
    };
    let node = interpolate::text(known, text, &origin)?;
    match node.value {
        Value::Str(name) => *text = name,
        _ => return Err(Error::at(&origin, format!("{text} must be a name, not {}", node.describe()))),
    }
    Ok(child)
}
