//! What tells runs apart: the settings that differ, and short names for them.

use crate::Run;
use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use std::collections::HashMap;

/// Last parts of keys that say where a run is kept, where it goes on from or what computes it, and not what is trained.
const VOLATILE_KEYS: [&str; 3] = ["run_dir", "resume", "threads"];
/// Characters of a value, such as a list of layers, in a label.
const MOST_CHARACTERS: usize = 32;
/// Groups that say where a run is shown.
const VOLATILE_GROUPS: [&str; 2] = ["tracking", "plot"];

/// Whether a setting has no part in the model that comes out: the run folder, where a run is resumed from, threads,
/// addresses of trackers.
pub fn is_volatile(key: &str) -> bool {
    let group = key.split('.').next().unwrap_or_default();
    let last = key.rsplit('.').next().unwrap_or_default();
    VOLATILE_GROUPS.contains(&group) || VOLATILE_KEYS.contains(&last)
}

/// The keys whose values are not the same in all runs, in the order of the settings, without volatile ones.
///
/// A key that only some runs have, with one value, is left out where others tell that already: `optimizer.betas`, when
/// `optimizer.name` is `adam` in some and `sgd` in others.
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

/// All keys of all runs, those of the first in front.
fn keys(runs: &[&Run]) -> IndexSet<String> {
    runs.iter().flat_map(|run| run.settings.keys().cloned()).collect()
}

/// The identity of a value; None where the run has no such key.
fn value(run: &Run, key: &str) -> Option<String> {
    run.settings.get(key).map(identity)
}

fn is_constant_where_present(runs: &[&Run], key: &str) -> bool {
    runs.iter().filter_map(|run| value(run, key)).collect::<IndexSet<_>>().len() == 1
}

/// Whether runs that agree in the values of `others` agree in that of `key`.
pub(crate) fn is_determined(runs: &[&Run], key: &str, others: &[String]) -> bool {
    let mut seen = HashMap::new();
    runs.iter().all(|run| {
        let by: Vec<_> = others.iter().map(|other| value(run, other)).collect();
        let now = value(run, key);
        *seen.entry(by).or_insert_with(|| now.clone()) == now
    })
}

/// For each key of the runs, the shortest tail of it that is no tail of another: `seed` for `trainer.seed`, and
/// `optimizer` for `optimizer.name`, as the option of a group is chosen.
pub fn short_names(runs: &[&Run]) -> IndexMap<String, String> {
    let keys = keys(runs);
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for tail in keys.iter().flat_map(|key| tails(named(key))) {
        *uses.entry(tail).or_default() += 1;
    }
    let short = |key: &str| tails(named(key)).find(|tail| uses[tail] == 1).unwrap_or(key).to_owned();
    keys.iter().map(|key| (key.clone(), short(key))).collect()
}

/// What a key names: a group's `name` is the option chosen for the group.
fn named(key: &str) -> &str {
    key.strip_suffix(".name").unwrap_or(key)
}

/// The tails of a dotted key, the shortest first.
fn tails(key: &str) -> impl Iterator<Item = &str> {
    let starts = key.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    starts.map(|start| &key[start..])
}

/// A value as a person writes it: text without quotes, lists as JSON.
pub fn text(value: &Value) -> String {
    match value {
        // A line break would end a label, and a terminal obeys other control characters.
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        other => other.to_string().replace(char::is_control, "\u{fffd}"),
    }
}

/// [`text`], of which a label or a cell shows no more than 32 characters.
pub fn short_text(value: &Value) -> String {
    let text = text(value);
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text,
    }
}

/// A text that two values share if they are the same: `1` and `1.0` are.
pub fn identity(value: &Value) -> String {
    match value {
        // Beyond 2^53, two integers may share their nearest f64.
        Value::Number(number) => match number.as_f64().filter(|number| number.abs() < 2f64.powi(53)) {
            Some(float) => float.to_string(),
            None => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(identity).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}
