//! The tree of configs that a document is made of.

use super::entry::{Choice, Entry, Target};
use crate::error::Origin;
use std::fmt;

/// A config to merge.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub config_path: String,
    pub package: String,
    pub origin: Origin,
    /// The key of an override that would change it (`group`, `group@package`); none for a config that is not an option.
    pub override_key: Option<String>,
}

/// An entry of a defaults list, and what it brought in.
#[derive(Debug)]
pub(crate) struct Branch {
    kind: Kind,
    /// As Hydra's `--info defaults-tree` shows it.
    label: String,
    config_path: String,
}

#[derive(Debug)]
enum Kind {
    /// Nothing was chosen, or an optional config is not there.
    Nothing,
    /// A config without a list.
    Config(Chosen),
    /// The body of the config that holds the list.
    This(Chosen),
    /// A config with a list.
    List(Vec<Branch>),
}

impl Branch {
    pub fn nothing(entry: &Entry) -> Self {
        Self::new(entry, Kind::Nothing)
    }

    pub fn config(entry: &Entry, chosen: Chosen) -> Self {
        Self::new(entry, Kind::Config(chosen))
    }

    pub fn list(entry: &Entry, children: Vec<Self>) -> Self {
        Self::new(entry, Kind::List(children))
    }

    /// The body of the config that holds the list.
    pub fn this(chosen: Chosen) -> Self {
        Self { label: "_self_".into(), config_path: chosen.config_path.clone(), kind: Kind::This(chosen) }
    }

    fn new(entry: &Entry, kind: Kind) -> Self {
        let config_path = entry.config_path();
        let label = match &entry.target {
            Target::Group(_, Choice::Nothing) => format!("{}: null", entry.override_key()),
            Target::Group(..) => format!("{}: {}", entry.override_key(), entry.name().unwrap_or_default()),
            Target::Config(_) | Target::This => config_path.clone(),
        };
        Self { kind, label, config_path }
    }

    /// The configs in the order of merging.
    pub fn chosen(&self) -> Vec<&Chosen> {
        self.rows().into_iter().map(|row| row.chosen).collect()
    }

    /// The configs in the order of merging, each with where it stands.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        self.collect(ROOT, ROOT, &mut rows);
        rows
    }

    fn collect<'b>(&'b self, parent: &'b str, grandparent: &'b str, rows: &mut Vec<Row<'b>>) {
        match &self.kind {
            Kind::Nothing => {}
            Kind::Config(chosen) => rows.push(Row { chosen, is_self: false, parent }),
            Kind::This(chosen) => rows.push(Row { chosen, is_self: true, parent: grandparent }),
            Kind::List(children) => {
                children.iter().for_each(|child| child.collect(&self.config_path, parent, rows));
            }
        }
    }

    fn write(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = 2 * depth;
        match &self.kind {
            Kind::List(children) => {
                writeln!(f, "{:indent$}{}:", "", self.label)?;
                children.iter().try_for_each(|child| child.write(depth + 1, f))
            }
            _ => writeln!(f, "{:indent$}{}", "", self.label),
        }
    }
}

/// What holds the primary config.
const ROOT: &str = "<root>";

/// A config of the defaults list.
pub(crate) struct Row<'b> {
    pub chosen: &'b Chosen,
    /// Whether it holds a list of its own, in which `_self_` stands for it.
    pub is_self: bool,
    /// The config whose list brought it in.
    pub parent: &'b str,
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{ROOT}:")?;
        self.write(1, f)
    }
}
