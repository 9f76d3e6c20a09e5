//! An entry of a defaults list: its config, group and package.

use crate::{
    error::{Error, Origin, Result},
    node::{Node, Value},
};

/// The package of the document's root.
pub(crate) const GLOBAL: &str = "_global_";
/// The package of the config that holds the list.
const HERE: &str = "_here_";
/// Stands for the group's own package.
const GROUP: &str = "_group_";
/// The config that holds the list.
const SELF: &str = "_self_";

/// An entry of a defaults list.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it names.
    pub target: Target,
    /// The package after `@`.
    pub package: Option<String>,
    /// The package that the chosen config's header declares, absolute.
    pub header: Option<String>,
    /// `optional`: no error where there is no such config.
    pub optional: bool,
    /// `override`: changes the choice of an entry elsewhere.
    pub overrides: bool,
    /// Added by `+group=option`.
    pub appended: bool,
    /// Its file and line, or the override that added it.
    pub origin: Origin,
    /// The group of the config that holds the list.
    base: String,
    /// The package of the config that holds the list.
    parent_package: String,
}

/// What an entry names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// `_self_`
    This,
    /// A config by its path.
    Config(String),
    /// An option of a group.
    Group(String, Choice),
}

/// The options chosen of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// `null`: nothing.
    Nothing,
    /// One option.
    One(String),
    /// Several options, in this order.
    Several(Vec<String>),
}

impl Entry {
    pub fn new(target: Target, package: Option<String>, origin: &Origin) -> Self {
        let package = package.map(|package| if package == HERE { String::new() } else { package });
        Self {
            target,
            package,
            header: None,
            optional: false,
            overrides: false,
            appended: false,
            origin: origin.clone(),
            base: String::new(),
            parent_package: String::new(),
        }
    }

    /// Sets the config that contains the list.
    pub fn place(&mut self, base: &str, parent_package: &str) {
        base.clone_into(&mut self.base);
        parent_package.clone_into(&mut self.parent_package);
        if let Some(package) = &self.package
            && package.contains(GROUP)
        {
            let resolved = package.replace(GROUP, &self.default_package());
            self.package = Some(format!("{GLOBAL}.{resolved}"));
        }
    }

    pub fn set_header(&mut self, header: Option<&str>) {
        self.header = header.map(|package| match package {
            "" => GLOBAL.to_owned(),
            package if package == GLOBAL || package.starts_with("_global_.") => package.to_owned(),
            package => format!("{GLOBAL}.{package}"),
        });
    }

    /// The group below the list's own group, or from the root if it begins with a slash.
    fn below(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None if self.base.is_empty() => path.to_owned(),
            None if path.is_empty() => self.base.clone(),
            None => format!("{}/{path}", self.base),
        }
    }

    /// The folder that the config is in.
    pub fn group_path(&self) -> String {
        match &self.target {
            Target::This => self.base.clone(),
            Target::Group(group, _) => self.below(group),
            Target::Config(path) => match path.rsplit_once('/') {
                // `/name` stands at the root.
                Some(("", _)) => String::new(),
                Some((group, _)) => self.below(group),
                None => self.base.clone(),
            },
        }
    }

    /// The name of the config in its folder; None where nothing, or several, are chosen.
    pub fn name(&self) -> Option<&str> {
        match &self.target {
            Target::This => Some(SELF),
            Target::Config(path) => Some(path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name)),
            Target::Group(_, Choice::One(name)) => Some(name),
            Target::Group(..) => None,
        }
    }

    /// The path of the config, without its extension.
    pub fn config_path(&self) -> String {
        match &self.target {
            Target::Group(..) => format!("{}/{}", self.group_path(), self.name().unwrap_or("null")),
            Target::Config(path) => self.below(path),
            Target::This => self.below(SELF),
        }
    }

    fn default_package(&self) -> String {
        self.group_path().replace('/', ".")
    }

    /// The package that the config's values go to: `@`, then the header, then the group.
    pub fn final_package(&self) -> String {
        self.package_with(self.package.as_ref().or(self.header.as_ref()))
    }

    fn package_with(&self, own: Option<&String>) -> String {
        let own = own.cloned().unwrap_or_else(|| self.relative_group().replace('/', "."));
        let full = match (self.parent_package.as_str(), own.as_str()) {
            ("", own) => own.to_owned(),
            (parent, "") => parent.to_owned(),
            (parent, own) => format!("{parent}.{own}"),
        };
        match full.rfind(GLOBAL) {
            None => full,
            // What stands after the last `_global_`, less its dot.
            Some(at) => full.get(at + GLOBAL.len() + 1..).unwrap_or("").to_owned(),
        }
    }

    fn relative_group(&self) -> &str {
        let path = match &self.target {
            Target::This => "",
            Target::Group(group, _) => group,
            Target::Config(path) => {
                path.strip_prefix('/').unwrap_or(path).rsplit_once('/').map_or("", |(group, _)| group)
            }
        };
        path.strip_prefix('/').unwrap_or(path)
    }

    /// What an override of this entry is called: `group`, or `group@package`.
    pub fn override_key(&self) -> String {
        let group = self.group_path();
        let package = self.package_with(self.package.as_ref());
        if package == self.default_package() {
            return group;
        }
        format!("{group}@{}", if package.is_empty() { GLOBAL } else { &package })
    }

    pub fn is_group(&self) -> bool {
        matches!(self.target, Target::Group(..))
    }

    pub fn is_self(&self) -> bool {
        self.target == Target::This
    }

    /// `${...}`, to be resolved once the other choices are known.
    pub fn is_interpolation(&self) -> bool {
        match &self.target {
            Target::Config(path) => path.contains("${"),
            Target::Group(_, Choice::One(name)) => name.contains("${"),
            _ => false,
        }
    }
}

/// Reads a `defaults:` list.
pub(crate) fn parse_list(list: &Node) -> Result<Vec<Entry>> {
    let Value::Seq(items) = &list.value else {
        return Err(Error::at(&list.origin, format!("defaults must be a list, not {}", list.describe())));
    };
    items.iter().map(parse_entry).collect()
}

fn parse_entry(item: &Node) -> Result<Entry> {
    let fail = |message: &str| Err(Error::at(&item.origin, message));
    match &item.value {
        Value::Str(path) => {
            let (path, package) = split_package(path);
            match (path.as_str(), &package) {
                (SELF, Some(_)) => fail("_self_@PACKAGE is not supported"),
                (SELF, None) => Ok(Entry::new(Target::This, None, &item.origin)),
                ("" | "/", _) => fail("an entry of a defaults list must not be empty"),
                _ => Ok(Entry::new(Target::Config(path), package, &item.origin)),
            }
        }
        Value::Map(map) => {
            let mut pairs = map.iter();
            let (Some((key, value)), None) = (pairs.next(), pairs.next()) else {
                return fail("an entry of a defaults list has one key, e.g. - data: line");
            };
            parse_group(key, value, &item.origin)
        }
        _ => fail("an entry of a defaults list is a config, or a group with its option"),
    }
}

fn parse_group(key: &str, value: &Node, origin: &Origin) -> Result<Entry> {
    // Keywords stand before the group; the package may hold anything.
    let (words, package) = split_package(key);
    let mut words: Vec<&str> = words.split(' ').collect();
    let group = words.pop().unwrap_or("").to_owned();
    if group.trim_matches('/').is_empty() {
        return Err(Error::at(origin, "the group of a defaults entry must not be empty"));
    }
    let mut entry = Entry::new(Target::Group(group, parse_choice(value)?), package, origin);
    for word in words {
        match word {
            "optional" => entry.optional = true,
            "override" => entry.overrides = true,
            word => return Err(Error::at(origin, format!("{word:?}: the keywords are optional and override"))),
        }
    }
    Ok(entry)
}

fn parse_choice(value: &Node) -> Result<Choice> {
    let name = |node: &Node| match &node.value {
        Value::Str(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Error::at(&node.origin, format!("an option is a name, not {}", node.describe()))),
    };
    match &value.value {
        Value::Null => Ok(Choice::Nothing),
        Value::Seq(items) => items.iter().map(name).collect::<Result<_>>().map(Choice::Several),
        _ => name(value).map(Choice::One),
    }
}

/// `path@package`; of the old renaming `package:new` only the first counts.
fn split_package(text: &str) -> (String, Option<String>) {
    match text.split_once('@') {
        Some((path, package)) => {
            let package = package.split_once(':').map_or(package, |(old, _)| old);
            (path.to_owned(), Some(package.to_owned()))
        }
        None => (text.to_owned(), None),
    }
}
