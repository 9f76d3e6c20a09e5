//! The settings in which runs differ, and short names and texts for them.

use crate::Run;
use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use std::collections::HashMap;

/// Last components of keys without an effect on the trained model: output folder, checkpoint to resume from, threads.
const VOLATILE_KEYS: [&str; 3] = ["run_dir", "resume", "threads"];
/// Longest text of a value in a label, in characters.
const MAX_CHARACTERS: usize = 32;
/// Config groups without an effect on the trained model.
const VOLATILE_GROUPS: [&str; 2] = ["tracking", "plot"];

/// Whether a setting has no effect on the trained model: the run folder, the checkpoint to resume from, the number of
/// threads, and the groups `tracking` and `plot`.
pub fn is_volatile(key: &str) -> bool {
    let group = key.split('.').next().unwrap_or_default();
    let last = key.rsplit('.').next().unwrap_or_default();
    VOLATILE_GROUPS.contains(&group) || VOLATILE_KEYS.contains(&last)
}

/// The keys whose values differ between runs, in the order of the settings, without volatile ones (see
/// [`is_volatile`]).
///
/// A key that only some runs have, always with the same value, is omitted if other keys imply it: `optimizer.betas`, if
/// `optimizer.name` is `adam` in some runs and `sgd` in the others.
pub fn differing(runs: &[&Run]) -> Vec<String> {
    let varying = |key: &String| runs.windows(2).any(|pair| value(pair[0], key) != value(pair[1], key));
    let keys = || keys(runs).into_iter().filter(|key| !is_volatile(key)).filter(varying);
    let (implicit, mut kept): (Vec<_>, Vec<_>) = keys().partition(|key| is_constant_where_present(runs, key));
    for key in implicit {
        if !is_determined(runs, &key, &kept) {
            kept.push(key);
        }
    }
    keys().filter(|key| kept.contains(key)).collect()
}

/// The keys of all runs, in order of first occurrence.
fn keys(runs: &[&Run]) -> IndexSet<String> {
    runs.iter().flat_map(|run| run.settings.keys().cloned()).collect()
}

/// The value of a key in the form of [`identity`]; None if the run lacks the key.
fn value(run: &Run, key: &str) -> Option<String> {
    run.settings.get(key).map(identity)
}

fn is_constant_where_present(runs: &[&Run], key: &str) -> bool {
    runs.iter().filter_map(|run| value(run, key)).collect::<IndexSet<_>>().len() == 1
}

/// Whether the values of `others` determine the value of `key`: runs that agree in the former agree in the latter.
pub(crate) fn is_determined(runs: &[&Run], key: &str, others: &[String]) -> bool {
    let mut seen = HashMap::new();
    runs.iter().all(|run| {
        let by: Vec<_> = others.iter().map(|other| value(run, other)).collect();
        let now = value(run, key);
        *seen.entry(by).or_insert_with(|| now.clone()) == now
    })
}

/// The shortest unique suffix of each key of the runs: `seed` for `trainer.seed`. The suffix `.name` is dropped first:
/// `optimizer` for `optimizer.name`.
pub fn short_names(runs: &[&Run]) -> IndexMap<String, String> {
    let keys = keys(runs);
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for suffix in keys.iter().flat_map(|key| suffixes(named(key))) {
        *uses.entry(suffix).or_default() += 1;
    }
    let short = |key: &str| suffixes(named(key)).find(|suffix| uses[suffix] == 1).unwrap_or(key).to_owned();
    keys.iter().map(|key| (key.clone(), short(key))).collect()
}

/// The key without `.name`: the `name` of a group is the option that was chosen for it.
fn named(key: &str) -> &str {
    key.strip_suffix(".name").unwrap_or(key)
}

/// The suffixes of a dotted key, shortest first.
fn suffixes(key: &str) -> impl Iterator<Item = &str> {
    let starts = key.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    starts.map(|start| &key[start..])
}

/// A value for display: text without quotes, anything else as JSON. Control characters become U+FFFD.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        other => other.to_string().replace(char::is_control, "\u{fffd}"),
    }
}

/// [`text`], cut after 32 characters.
pub fn short_text(value: &Value) -> String {
    let text = text(value);
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text,
    }
}

/// A canonical text: equal if and only if the values are, where `1` equals `1.0`.
pub fn identity(value: &Value) -> String {
    match value {
        // From 2^53 on, different integers may round to the same f64.
        Value::Number(number) => match number.as_f64().filter(|number| number.abs() < 2f64.powi(53)) {
            Some(float) => float.to_string(),
            None => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(identity).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}
