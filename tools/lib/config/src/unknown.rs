//! The error of an override with an unknown key, and what is perhaps meant.

use crate::{
    defaults::{Choices, GLOBAL},
    error::{Error, Origin, list},
    node::{Node, Value},
    overrides::{self, Action, Override},
    repository::Repository,
    shadow::{self, Shadow},
    suggest,
};

/// What is known besides the tree that an override is applied to.
#[derive(Default)]
pub(crate) struct Known<'a> {
    /// The groups of the tool; None for the whole job.
    pub own: Option<&'a [&'a str]>,
    /// Whether the settings are for tools, which take no keys but their own.
    pub for_tools: bool,
    /// The configs that groups could be chosen from, and what is chosen.
    pub configs: Option<(&'a Repository, &'a Choices)>,
    /// Files that replace built-in ones of the same name.
    pub shadows: &'a [Shadow],
}

/// The error of a key below `keys`, where the document has no mapping.
pub(crate) fn mapping(root: &Node, one: &Override, keys: &[&str], known: &Known<'_>) -> Error {
    let path = keys.join(".");
    Error::at(&one.origin(), format!("{path}: no such mapping{}", hint(root, one, known)))
}

/// The error of a key that the mapping `parent` does not have.
pub(crate) fn key(root: &Node, parent: &Node, one: &Override, known: &Known<'_>) -> Error {
    let message = match &parent.value {
        Value::Seq(items) => format!("{}: the list has {} elements", one.key, items.len()),
        Value::Map(map) => {
            let hint = match hint(root, one, known) {
                hint if hint.is_empty() => {
                    let shadow = shadow::note(known.shadows, &one.key);
                    format!("; known: {}{shadow}", list(map.keys().map(String::as_str)))
                }
                hint => hint,
            };
            // A tool knows its settings, and takes no others.
            let add = if known.own.is_none() && !known.for_tools {
                format!(" (to add it: +{})", one.text)
            } else {
                String::new()
            };
            format!("{}: unknown key{hint}{add}", one.key)
        }
        _ => format!("{}: unknown key", one.key),
    };
    Error::at(&one.origin(), message)
}

/// The error of a key outside the groups `own` of a tool, of whose settings `root` holds all.
pub(crate) fn stray(root: &Node, one: &Override, own: &[&str], known: &Known<'_>) -> Error {
    let hint = match hint(root, one, known) {
        hint if hint.is_empty() => format!("; its groups are {}", list(own.iter().copied())),
        hint => hint,
    };
    Error::at(&one.origin(), format!("{}: not a setting of this tool{hint}", one.key))
}

/// A hint at what the key of `one` may be meant as, or nothing.
pub(crate) fn hint(root: &Node, one: &Override, known: &Known<'_>) -> String {
    let group = slip_of_a_group(one, known);
    if !group.is_empty() {
        return group;
    }
    let paths = paths(root);
    let paths: Vec<&str> = paths.iter().map(String::as_str).filter(|key| is_read(known.own, key)).collect();
    if let Some((_, value)) = one.text.split_once('=')
        && let Some(hint) = suggest::hint_by_value(&one.key, value, &paths)
    {
        return hint;
    }
    let meant = suggest::meant(&one.key, &paths);
    // A mapping takes no plain value, and a group none but its options, which were looked for.
    let meant: Vec<String> =
        meant.into_iter().filter(|key| takes(root, key, one)).map(|key| instead(root, one, key)).collect();
    if !meant.is_empty() {
        return suggest::ask(meant);
    }
    if let Some(note) = suggest::note(&one.key) {
        return format!("; {note}");
    }
    // A file of another project lacks keys that its group has.
    let is_shadowed = !shadow::note(known.shadows, &one.key).is_empty();
    if is_shadowed { String::new() } else { of_another_option(one, known).unwrap_or_default() }
}

/// Whether a tool with the groups `own` reads the setting `key`: of `data`, which is gen-data's, others read one key.
pub fn is_read(own: Option<&[&str]>, key: &str) -> bool {
    let is_gen_datas = own.is_none_or(|own| own.len() == 1);
    is_gen_datas || !key.starts_with("data.") || key == "data.pull"
}

/// `one` with the right `key`, as it is typed.
fn instead(root: &Node, one: &Override, key: &str) -> String {
    let sign = if one.action == Action::Delete { "~" } else { "" };
    match one.text.split_once('=') {
        None => format!("{sign}{key}"),
        // What is a list here may be a number elsewhere.
        Some((_, value)) if is_list(root, key) && !value.starts_with(['[', '$']) => format!("{sign}{key}=[{value}]"),
        Some((_, value)) => format!("{sign}{key}={value}"),
    }
}

/// Whether the setting `key` can have the value that `one` gives.
fn takes(root: &Node, key: &str, one: &Override) -> bool {
    let is_mapping = root.get(key).is_some_and(|node| matches!(node.value, Value::Map(_)));
    !is_mapping || one.value.as_ref().is_none_or(|value| !is_plain(value))
}

fn is_plain(value: &overrides::Value) -> bool {
    let node = value.to_node(&Origin::Override("".into()));
    node.is_some_and(|node| !matches!(node.value, Value::Map(_) | Value::Null))
}

/// Whether `one` gives a value of the kind that `node` has.
fn is_alike(node: &Node, one: &Override) -> bool {
    let Some(given) = one.value.as_ref().and_then(|value| value.to_node(&one.origin())) else { return true };
    match (&node.value, &given.value) {
        (Value::Null, _) | (_, Value::Null) | (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            true
        }
        (node, given) => std::mem::discriminant(node) == std::mem::discriminant(given),
    }
}

fn is_list(root: &Node, key: &str) -> bool {
    root.get(key).is_some_and(|node| matches!(node.value, Value::Seq(_)))
}

/// A hint at the group that a key without a dot is a misspelling of: its value is one of the group's options.
fn slip_of_a_group(one: &Override, known: &Known<'_>) -> String {
    let Some(((key, option), (repository, choices))) = one.text.split_once('=').zip(known.configs) else {
        return String::new();
    };
    if key.contains(['.', '@']) || one.action != Action::Change {
        return String::new();
    }
    let groups: Vec<&str> = match known.own {
        Some(own) => own.to_vec(),
        None => choices.known().map(|(key, _)| key).collect(),
    };
    let of_option = groups.iter().copied().filter(|group| repository.search.options(group).contains(option));
    let meant = suggest::meant(key, &of_option.collect::<Vec<_>>());
    if let [group, ..] = meant.as_slice() {
        return suggest::ask([format!("{group}={option}")]);
    }
    let is_addable = repository.search.options(key).contains(option) && !choices.is_known(key);
    if is_addable && adds_to(known.own, repository, key, option) {
        return suggest::ask([format!("+{key}={option}")]);
    }
    match suggest::meant(key, &groups).first() {
        Some(group) if *group != key && repository.search.has_group(group) => {
            format!("; the group {group} has the options {}", options_of(repository, group))
        }
        _ => String::new(),
    }
}

/// Whether a tool that reads `own` reads what the option adds: its own group's settings, or those of any.
fn adds_to(own: Option<&[&str]>, repository: &Repository, group: &str, option: &str) -> bool {
    let is_global =
        || matches!(repository.header(&format!("{group}/{option}")), Ok(Some(package)) if package == GLOBAL);
    own.is_none_or(|own| own.contains(&group) || (own.len() > 1 && is_global()))
}

fn options_of(repository: &Repository, group: &str) -> String {
    let options = repository.search.options(group);
    list(options.iter().map(String::as_str))
}

/// A hint at the options of a group that have the key, where the chosen one has not.
fn of_another_option(one: &Override, known: &Known<'_>) -> Option<String> {
    let (repository, choices) = known.configs?;
    let (_, value) = one.text.split_once('=')?;
    for (group, chosen) in choices.known().filter(|(group, _)| !group.contains(['@', '/'])) {
        if known.own.is_some_and(|own| !own.contains(&group)) || group == GLOBAL {
            continue;
        }
        let options = repository.search.options(group);
        let has = |option: &&String| {
            let config = repository.load(&format!("{group}/{option}")).ok().flatten()?;
            let paths = paths(&config.body);
            let paths: Vec<String> = paths.iter().map(|path| format!("{group}.{path}")).collect();
            let same = paths.iter().find(|path| is_same(path, &one.key))?;
            let node = config.body.get(same.strip_prefix(group)?.strip_prefix('.')?)?;
            is_alike(node, one).then(|| same.clone())
        };
        let mut found: Vec<(&String, String)> =
            options.iter().filter_map(|option| Some((option, has(&option)?))).collect();
        // The plainest of several is named.
        found.sort_by_key(|(option, _)| (option.len(), *option));
        if let Some((option, key)) = found.first() {
            let chosen = chosen.unwrap_or("null");
            let words = [format!("{group}={option}"), format!("{key}={value}")];
            let words = words.map(|word| suggest::shell_word(&word)).join(" ");
            return Some(format!("; {group}={chosen} has no such key, but {group}={option}: write {words}"));
        }
    }
    None
}

/// Whether `wrong` names the setting `path`, with its groups or without, or is another program's word for it.
fn is_same(path: &str, wrong: &str) -> bool {
    let is_suffix = path.strip_suffix(wrong).is_some_and(|before| before.ends_with('.') && !wrong.contains('.'));
    path == wrong || is_suffix || suggest::is_synonym(wrong, path)
}

/// The dotted paths of all entries of mappings in the tree.
pub(crate) fn paths(root: &Node) -> Vec<String> {
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
