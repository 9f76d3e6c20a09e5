//! A resolved document in place of composed settings: `--config FILE`.
//!
//! The file may be a whole job's (`params.yaml`) or a run's (`runs/x/config.yaml`), which has the groups of `train`
//! alone and may come from another machine.

use crate::{
    apply,
    compose::{self, Plan, Sources},
    document::Document,
    error::{Error, Result, list},
    fallback,
    node::{Map, Node, Value, split_key},
    overrides::{self, Action, Override},
    search, searchpath, sections,
    settings::{History, selector},
    suggest,
    unknown::Known,
};
use std::path::Path;

/// The name that a run's settings have in its folder.
const RUN_CONFIG: &str = "config.yaml";
/// Files of which a run's folder has at least one.
const RUN_FILES: [&str; 5] = ["events.ndjson", "model.safetensors", "metrics.json", "history.csv", "checkpoints"];
/// A group of every job that is no part of a run's settings.
const GROUP_NOT_IN_A_RUN: &str = "data";
/// Settings of the machine: libraries to load, addresses to connect to, folders to write to. A run's `config.yaml` may
/// come from another machine, or from someone else; these keys are never taken from it.
const MACHINE_SETTINGS: [&str; 11] = [
    "trainer.run_dir",
    "trainer.resume",
    "infer.onnxruntime",
    "export.onnxruntime",
    "tracking.uri",
    "tracking.spool",
    "tracking.artifact_root",
    "plot.out",
    "download.cache",
    "dataset.files",
    "data.pull",
];

/// A machine setting in a run's `config.yaml`, whose value is ignored.
pub(crate) struct Ignored {
    key: &'static str,
    node: Node,
    is_given: bool,
}

impl Ignored {
    /// A warning, if the value in its place differs and was not given by the user.
    pub fn warning(&self, root: &Node) -> Option<String> {
        let now = root.get(self.key)?;
        let differs = !self.is_given && self.node.value != Value::Null && *now != self.node;
        let (was, is) = (self.node.describe(), now.describe());
        let to_give = suggest::shell_word(&format!("{}={}", self.key, self.node.as_str().unwrap_or("...")));
        differs.then(|| {
            format!(
                "{}: {}: {was} is not taken from a run's settings; it is {is} ({to_give} sets it)",
                self.node.origin, self.key
            )
        })
    }
}

/// The document in the file at `path`, with overrides applied. The groups of `own` that it lacks are composed.
pub(crate) fn document(
    path: &Path,
    sources: &Sources,
    overrides: &[Override],
    own: Option<&[&str]>,
) -> Result<(Document, Vec<Ignored>)> {
    let Some(source) = search::read_file(path)? else {
        return Err(Error::new(format!("{}: no such file", path.display())));
    };
    let mut document = Document::from_yaml(&source.name, &source.text)?;
    let mut ignored = Vec::new();
    let mut shadows = Vec::new();
    if let Some(own) = own {
        sections::check(&document.root, &source, sources, own)?;
        let is_run = is_of_a_run(path, &document.root);
        let lacking: Vec<&str> = own.iter().copied().filter(|group| document.root.get(group).is_none()).collect();
        let groups = if is_run { own } else { &lacking };
        if !groups.is_empty() {
            let defaults = defaults(sources, overrides, groups, &lacking, &document.root)?;
            if is_run {
                ignored = use_defaults_of_machine_settings(&mut document.root, &defaults.root, overrides);
                document.warnings.extend(complete(&mut document.root, &defaults.root, &lacking, path));
            }
            take(&mut document.root, defaults.root, &lacking);
            shadows = defaults.history.shadows;
        }
        let known = Known { own: Some(own), ..Known::default() };
        // A group that was composed has its overrides already.
        let of_the_file = overrides.iter().filter(|one| !lacking.contains(&compose::first(&one.key)));
        let mut of_the_file: Vec<Override> = of_the_file.cloned().collect();
        let root = &document.root;
        if of_the_file.iter().any(|one| is_left_out(root, one)) {
            let defaults = defaults(sources, overrides, own, &lacking, root)?.root;
            add_left_out(&mut of_the_file, root, &defaults);
        }
        change(&mut document.root, of_the_file.iter(), path, &known)?;
    } else {
        change(&mut document.root, overrides.iter(), path, &Known::default())?;
    }
    document.history = History { deletions: compose::deletions(overrides), shadows };
    Ok((document, ignored))
}

/// Whether an override changes a key that the group in the file has not.
fn is_left_out(root: &Node, one: &Override) -> bool {
    let has_group = root.get(compose::first(&one.key)).is_some_and(|group| group.as_map().is_some());
    one.action == Action::Change && has_group && root.get(&one.key).is_none()
}

/// Overrides of settings that the file has left out, but that its option has, add them.
fn add_left_out(overrides: &mut [Override], root: &Node, defaults: &Node) {
    for one in overrides {
        if is_left_out(root, one) && defaults.get(&one.key).is_some() {
            one.action = Action::Force;
        }
    }
}

fn change<'o>(
    root: &mut Node,
    overrides: impl Iterator<Item = &'o Override>,
    path: &Path,
    known: &Known<'_>,
) -> Result<()> {
    for one in overrides.filter(|one| !searchpath::is_override(one)) {
        refuse_choice(root, one, path)?;
        apply::apply(root, one, known)?;
    }
    Ok(())
}

/// Whether `root`, which `path` holds, is what `train` wrote to a run's folder.
fn is_of_a_run(path: &Path, root: &Node) -> bool {
    let folder = path.parent().unwrap_or(Path::new(""));
    path.file_name().is_some_and(|name| name == RUN_CONFIG)
        && (root.get(GROUP_NOT_IN_A_RUN).is_none() || RUN_FILES.iter().any(|name| folder.join(name).exists()))
}

/// What `groups` are composed to; overrides count of those that are `lacking` in the file, whose `root` says which
/// option the others are of.
fn defaults(
    sources: &Sources,
    overrides: &[Override],
    groups: &[&str],
    lacking: &[&str],
    root: &Node,
) -> Result<Document> {
    let sources = Sources { file: None, ..sources.clone() };
    let is_lacking = |one: &&Override| lacking.contains(&compose::first(&one.key)) || searchpath::is_override(one);
    let mut overrides: Vec<Override> = overrides.iter().filter(is_lacking).cloned().collect();
    let plan = Plan::new(&sources, &overrides, Some(groups))?;
    for group in groups.iter().filter(|group| !lacking.contains(group)) {
        let chosen = plan.choices.known().any(|(key, option)| key == *group && option.is_some());
        if chosen && let Some(option) = fallback::option(&plan.repository, group, root.get(group))? {
            overrides.push(Override::typed(group, overrides::Value::Str(option)));
        }
    }
    Plan::new(&sources, &overrides, Some(groups))?.build(Some(groups))
}

/// Gives the settings of the machine their default values, and returns what they were.
fn use_defaults_of_machine_settings(root: &mut Node, defaults: &Node, overrides: &[Override]) -> Vec<Ignored> {
    let mut found = Vec::new();
    for key in MACHINE_SETTINGS {
        let keys = split_key(key);
        let node = keys.iter().try_fold(&mut *root, |node, key| node.child_mut(key));
        if let (Some(node), Some(default)) = (node, defaults.get(key)) {
            let is_given = overrides.iter().any(|one| one.key == key);
            found.push(Ignored { key, node: std::mem::replace(node, default.clone()), is_given });
        }
    }
    found
}

/// Adds the keys that an older version did not know, with their defaults; returns a line that names them.
fn complete(root: &mut Node, defaults: &Node, lacking: &[&str], path: &Path) -> Option<String> {
    let mut added = Vec::new();
    let groups = defaults.as_map().into_iter().flatten().filter(|(group, _)| !lacking.contains(&group.as_str()));
    for (group, default) in groups {
        if let Some(node) = root.child_mut(group) {
            fill(node, default, group, &mut added);
        }
    }
    let added = list(added.iter().map(String::as_str));
    (!added.is_empty()).then(|| format!("{} has no {added}; the default is taken", path.display()))
}

fn fill(node: &mut Node, default: &Node, at: &str, added: &mut Vec<String>) {
    let is_same = match (selector(node), selector(default)) {
        (Some(one), Some(other)) => one == other,
        (one, other) => one.is_none() && other.is_none(),
    };
    let (Value::Map(map), Some(default)) = (&mut node.value, default.as_map().filter(|_| is_same)) else { return };
    for (key, default) in default {
        let at = format!("{at}.{key}");
        match map.get_mut(key) {
            Some(node) => fill(node, default, &at, added),
            None => {
                map.insert(key.clone(), default.clone());
                added.push(at);
            }
        }
    }
}

/// Moves the `lacking` groups from `defaults` to `root`.
fn take(root: &mut Node, defaults: Node, lacking: &[&str]) {
    let (Value::Map(map), Value::Map(groups)) = (&mut root.value, defaults.value) else { return };
    let groups: Map = groups.into_iter().filter(|(group, _)| lacking.contains(&group.as_str())).collect();
    map.extend(groups);
}

/// A resolved document has no groups to choose from.
fn refuse_choice(root: &Node, one: &Override, path: &Path) -> Result<()> {
    let names_option =
        one.value.as_ref().is_some_and(|value| value.as_str().is_some() || matches!(value, overrides::Value::List(_)));
    let on_mapping = root.get(&one.key).is_some_and(|node| node.as_map().is_some());
    if one.key.contains('/') || one.package.is_some() || (names_option && on_mapping) {
        let message = format!(
            "chooses an option of a group, but {} is a resolved document; change its values, e.g. {}.key=value",
            path.display(),
            one.key
        );
        return Err(Error::at(&one.origin(), message));
    }
    Ok(())
}
