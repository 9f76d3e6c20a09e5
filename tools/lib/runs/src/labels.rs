//! Labels of runs, for charts and tables.

use crate::{
    Run,
    settings::{differing, is_determined, short_names, short_text},
};
use indexmap::IndexSet;
use std::{collections::HashMap, path::Path};

/// Number of settings in a label, unless more are needed to distinguish the runs.
const MAX_SETTINGS: usize = 4;

/// A unique label for each run: the settings that differ between the runs, under the shortest unique suffix of their
/// keys, for example `optimizer=adam, seed=0`.
///
/// If more than five settings differ, the label has four of them, or as many as distinguish the runs, and the number of
/// the others: `optimizer=adam, seed=0, … +3`. If no setting differs, the label is the folder; if the settings do not
/// distinguish two runs, the folder is added: `seed=0 (second)`.
pub fn labels(runs: &[&Run]) -> Vec<String> {
    let names = short_names(runs);
    let differing = differing(runs);
    let keys = shown(runs, &differing);
    let others = differing.len() - keys.len();
    let label = |run: &Run| {
        let setting = |key: &String| Some(format!("{}={}", names[key], short_text(run.settings.get(key)?)));
        let mut settings: Vec<String> = keys.iter().filter_map(setting).collect();
        if others > 0 && !settings.is_empty() {
            settings.push(format!("\u{2026} +{others}"));
        }
        settings.join(", ")
    };
    let labels: Vec<String> = runs.iter().map(|run| label(run)).collect();
    distinct(with_folders(labels, runs))
}

/// The keys in the labels, in the order of `keys`: those that distinguish the runs, then, up to [`MAX_SETTINGS`], keys
/// that all runs have, then the rest.
fn shown(runs: &[&Run], keys: &[String]) -> Vec<String> {
    if keys.len() <= MAX_SETTINGS {
        return keys.to_vec();
    }
    let mut kept = needed(runs, keys);
    let has_all = |key: &&String| runs.iter().all(|run| run.settings.contains_key(*key));
    let (common, others): (Vec<&String>, Vec<_>) = keys.iter().filter(|key| !kept.contains(key)).partition(has_all);
    let room = MAX_SETTINGS.saturating_sub(kept.len());
    kept.extend(common.into_iter().chain(others).take(room).cloned());
    // A single omitted key takes as much room as the count of omitted keys.
    if kept.len() + 1 == keys.len() {
        return keys.to_vec();
    }
    keys.iter().filter(|key| kept.contains(key)).cloned().collect()
}

/// A set of keys that distinguishes the runs as well as all keys do, chosen greedily; options of groups come first.
fn needed(runs: &[&Run], keys: &[String]) -> Vec<String> {
    let (options, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.ends_with(".name"));
    let mut kept: Vec<String> = Vec::new();
    for key in options.into_iter().chain(others) {
        if !is_determined(runs, key, &kept) {
            kept.push(key.clone());
        }
    }
    kept
}

/// Adds the folder to labels that are empty or not unique.
fn with_folders(labels: Vec<String>, runs: &[&Run]) -> Vec<String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    labels.iter().for_each(|label| *uses.entry(label).or_default() += 1);
    let shared: Vec<usize> =
        (0..labels.len()).filter(|&i| labels[i].is_empty() || uses[labels[i].as_str()] > 1).collect();
    let folders: Vec<&Path> = shared.iter().map(|&i| runs[i].folder.as_path()).collect();
    let folders: HashMap<usize, String> = shared.into_iter().zip(folder_names(&folders)).collect();
    let label = |(i, label): (usize, String)| match folders.get(&i) {
        Some(folder) if label.is_empty() => folder.clone(),
        Some(folder) => format!("{label} ({folder})"),
        None => label,
    };
    labels.into_iter().enumerate().map(label).collect()
}

/// The last component of each path, or as many trailing components as make the names unique. Names repeat only if paths
/// do.
pub fn folder_names(paths: &[&Path]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| components(path)).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let last = |parts: &[String], count: usize| parts[parts.len().saturating_sub(count)..].join("/");
    let names = |count: usize| parts.iter().map(|parts| last(parts, count)).collect::<Vec<_>>();
    let differ = |names: &[String]| names.iter().collect::<IndexSet<_>>().len() == names.len();
    let count = (1..longest).find(|&count| differ(&names(count))).unwrap_or(longest.max(1));
    // Two equal paths have equal names.
    if differ(&names(count)) { names(count) } else { names(1) }
}

fn components(path: &Path) -> Vec<String> {
    let text =
        |component: std::path::Component| component.as_os_str().to_string_lossy().replace(char::is_control, "\u{fffd}");
    let components: Vec<String> = path.components().map(text).collect();
    // "." and ".." are not names.
    match components.last().map(String::as_str) {
        None | Some("." | "..") => path.canonicalize().map_or(components, |path| path.components().map(text).collect()),
        _ => components,
    }
}

/// Numbers repeated labels: `a`, `a (2)`.
fn distinct(labels: Vec<String>) -> Vec<String> {
    let mut taken: IndexSet<String> = IndexSet::new();
    for label in labels {
        let numbered = (2..).map(|number| format!("{label} ({number})"));
        let free = [label.clone()].into_iter().chain(numbered).find(|label| !taken.contains(label));
        taken.extend(free);
    }
    taken.into_iter().collect()
}
