//! Which file and line, choice or override each setting is from: `compose --info origin`.

use crate::{
    compose::{self, Plan, Sources},
    defaults::Chosen,
    emit,
    error::{Origin, Result},
    interpolate,
    node::{Node, Value},
    overrides::{Action, Override},
};
use std::collections::HashMap;

/// Columns of a setting and its value beyond which its origin is not aligned with the others'.
const WIDEST: usize = 60;
/// Between a value and its origin.
const GAP: usize = 3;

/// One line for each setting below the dotted `path`: `key = value`, and where it is from. `own` are the groups of a
/// tool, None those of the whole job. Keys that overrides deleted come last.
///
/// # Errors
/// As composing has them; an interpolation that cannot be resolved is no error.
pub fn origins(own: Option<&[&str]>, sources: &Sources, overrides: &[String], path: &str) -> Result<String> {
    let document = match own {
        Some(own) => compose::compose_for_raw(own, sources, overrides)?,
        None => compose::compose_raw(sources, overrides)?,
    };
    let mut part = document.package(path)?;
    if let (Some(own), Value::Map(map), true) = (own, &mut part.root.value, path.is_empty()) {
        map.retain(|group, _| own.contains(&group.as_str()));
    }
    let given = compose::given(own, sources, overrides)?;
    let origins = Origins { root: &document.root, choices: choices(own, sources, &given)?, sources, given: &given };
    let mut rows = Vec::new();
    origins.add_rows(&part.root, path, &mut rows);
    let is_below = |one: &&Override| {
        one.action == Action::Delete
            && (path.is_empty() || one.key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    };
    rows.extend(
        given.iter().filter(is_below).map(|one| (format!("~{}", one.group_key()), origins.origin(&one.origin(), ""))),
    );
    Ok(aligned(&rows))
}

fn aligned(rows: &[(String, String)]) -> String {
    let widths = rows.iter().map(|(setting, _)| setting.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    rows.iter().map(|(setting, origin)| format!("{setting:width$}{:GAP$}{origin}\n", "")).collect()
}

/// A config that was chosen, and by what.
struct Choice {
    package: String,
    /// `optimizer=adam`, or the path of a config that is no group's option.
    name: String,
    by: Origin,
    is_primary: bool,
}

/// The configs that were chosen, by the names of their files.
fn choices(own: Option<&[&str]>, sources: &Sources, overrides: &[Override]) -> Result<HashMap<String, Vec<Choice>>> {
    let mut found: HashMap<String, Vec<Choice>> = HashMap::new();
    if sources.file.is_some() {
        return Ok(found);
    }
    let plan = Plan::new(sources, overrides, own)?;
    for one in plan.defaults.chosen() {
        if let Some(source) = plan.repository.search.read(&one.config_path)? {
            found.entry(source.name.to_string()).or_default().push(Choice {
                package: one.package.clone(),
                name: name(one),
                by: one.origin.clone(),
                is_primary: one.config_path == plan.primary,
            });
        }
    }
    Ok(found)
}

fn name(one: &Chosen) -> String {
    match &one.override_key {
        Some(key) => format!("{key}={}", one.config_path.rsplit('/').next().unwrap_or_default()),
        None => one.config_path.clone(),
    }
}

struct Origins<'a> {
    root: &'a Node,
    choices: HashMap<String, Vec<Choice>>,
    sources: &'a Sources,
    given: &'a [Override],
}

impl Origins<'_> {
    /// A row for each value in `node`, which stands at `path`.
    fn add_rows(&self, node: &Node, path: &str, rows: &mut Vec<(String, String)>) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match &node.value {
            Value::Map(map) if !map.is_empty() => {
                map.iter().for_each(|(key, child)| self.add_rows(child, &below(key), rows))
            }
            // A list is one value, unless its elements are from several places or are settings themselves.
            Value::Seq(items) if !items.is_empty() && !is_one(node, items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, child)| self.add_rows(child, &below(&index.to_string()), rows));
            }
            _ if node.is_interpolation() => {
                let text = node.as_str().unwrap_or_default();
                let keys: Vec<String> = crate::node::split_key(path).into_iter().map(str::to_owned).collect();
                let (value, why) = match interpolate::at(self.root, &keys, node) {
                    Ok(value) => (flow(&value), String::new()),
                    Err(error) => ("???".to_owned(), format!(" (cannot be resolved: {error})")),
                };
                rows.push((format!("{path} = {value}"), format!("{}: {text}{why}", self.origin(&node.origin, path))));
            }
            _ => rows.push((format!("{path} = {}", flow(node)), self.origin(&node.origin, path))),
        }
    }

    /// Where a value at the key `path` is from.
    fn origin(&self, origin: &Origin, path: &str) -> String {
        let Origin::File { file, .. } = origin else { return self.given(origin) };
        let is_at = |one: &&Choice| {
            one.package.is_empty() || path == one.package || path.starts_with(&format!("{}.", one.package))
        };
        match self.choices.get(&**file).and_then(|choices| choices.iter().rev().find(is_at)) {
            Some(choice) => format!("{origin} ({})", self.choice(choice)),
            None => origin.to_string(),
        }
    }

    fn choice(&self, choice: &Choice) -> String {
        if choice.is_primary {
            return match &self.sources.config_name {
                Some(name) => format!("--config-name {name}"),
                None => "the primary config".to_owned(),
            };
        }
        match &choice.by {
            by @ Origin::File { .. } => format!("{}, from {by}", choice.name),
            Origin::Override(text) if self.is_given(text) => format!("{}, {}", choice.name, self.given(&choice.by)),
            Origin::Override(_) => format!("{}, which no defaults list names", choice.name),
        }
    }

    fn is_given(&self, text: &str) -> bool {
        self.given.iter().any(|one| &*one.text == text)
    }

    fn given(&self, origin: &Origin) -> String {
        match origin {
            Origin::Override(text) => format!("command line: {text}"),
            file => file.to_string(),
        }
    }
}

/// Whether a list is plain values from one place.
fn is_one(list: &Node, items: &[Node]) -> bool {
    let same = |origin: &Origin| match (origin, &list.origin) {
        (Origin::File { file, .. }, Origin::File { file: other, .. }) => file == other,
        (one, other) => one == other,
    };
    items.iter().all(|item| !item.is_container() && !item.is_interpolation() && same(&item.origin))
}

/// A value on one line.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Seq(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, child)| format!("{key}: {}", flow(child)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Str(text) => match emit::yaml(node) {
            written if written.trim_end().contains('\n') => format!("{text:?}"),
            written => written.trim_end().to_owned(),
        },
        _ => emit::yaml(node).trim_end().to_owned(),
    }
}
