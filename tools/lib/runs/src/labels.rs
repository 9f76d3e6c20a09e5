//! Labels: what a chart or a table calls a run.

use crate::{
    Run,
    settings::{differing, is_determined, short_names, short_text},
};
use indexmap::IndexSet;
use std::{collections::HashMap, path::Path};

/// Settings that a label shows of those that differ, unless it takes more to tell runs apart.
const MOST_SETTINGS: usize = 4;

/// A label for each run, no two the same: the settings that differ between them, `optimizer=adam, seed=0`, each called by
/// the shortest tail of its key that no other setting has.
///
/// Where more than five settings differ, four, or those that it takes to tell runs apart, and the number of the others:
/// `optimizer=adam, seed=0, … +3`. Where nothing differs, a run is called by its folder; where settings do not tell it from
/// another, the folder is added: `seed=0 (second)`.
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

/// Of the keys that differ, those that a label shows, in their order: those that tell runs apart, and where that leaves
/// room, others. Those that all runs have go before options of a group that some runs did not choose.
fn shown(runs: &[&Run], keys: &[String]) -> Vec<String> {
    if keys.len() <= MOST_SETTINGS {
        return keys.to_vec();
    }
    let mut kept = needed(runs, keys);
    let has_all = |key: &&String| runs.iter().all(|run| run.settings.contains_key(*key));
    let (common, others): (Vec<&String>, Vec<_>) = keys.iter().filter(|key| !kept.contains(key)).partition(has_all);
    let room = MOST_SETTINGS.saturating_sub(kept.len());
    kept.extend(common.into_iter().chain(others).take(room).cloned());
    // The last one tells more than that there is one more.
    if kept.len() + 1 == keys.len() {
        return keys.to_vec();
    }
    keys.iter().filter(|key| kept.contains(key)).cloned().collect()
}

/// The keys that tell apart what the ones before them do not; options of groups come first.
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

/// Adds the folders of runs whose labels are empty or shared.
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

/// The last part of each path, or as many parts as tell it from the others.
pub fn folder_names(paths: &[&Path]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| parts(path)).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let tail = |parts: &[String], count: usize| parts[parts.len().saturating_sub(count)..].join("/");
    let names = |count: usize| parts.iter().map(|parts| tail(parts, count)).collect::<Vec<_>>();
    let differ = |names: &[String]| names.iter().collect::<IndexSet<_>>().len() == names.len();
    let count = (1..longest).find(|&count| differ(&names(count))).unwrap_or(longest.max(1));
    // One folder given twice stays one folder.
    if differ(&names(count)) { names(count) } else { names(1) }
}

fn parts(path: &Path) -> Vec<String> {
    let part = |part: std::path::Component| part.as_os_str().to_string_lossy().replace(char::is_control, "\u{fffd}");
    let parts: Vec<String> = path.components().map(part).collect();
    // "." says nothing; the folder has a name all the same.
    match parts.last().map(String::as_str) {
        None | Some("." | "..") => path.canonicalize().map_or(parts, |path| path.components().map(part).collect()),
        _ => parts,
    }
}

/// Numbers what is still the same: a folder that was given twice.
fn distinct(labels: Vec<String>) -> Vec<String> {
    let mut taken: IndexSet<String> = IndexSet::new();
    for label in labels {
        let numbered = (2..).map(|number| format!("{label} ({number})"));
        let free = [label.clone()].into_iter().chain(numbered).find(|label| !taken.contains(label));
        taken.extend(free);
    }
    taken.into_iter().collect()
}
