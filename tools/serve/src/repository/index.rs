//! What is in the repository, and in what state.

use super::{Entry, Repository, State};
use std::collections::{BTreeMap, BTreeSet};

/// A version of a model, or a model without a version that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    pub name: String,
    pub version: Option<u64>,
    /// None for a model that was never loaded.
    pub state: Option<State>,
    /// Why it is not ready, or why another file has not replaced it; may be empty.
    pub reason: String,
}

impl Repository {
    /// Every model of the repository, by name and version; only those that are ready if `ready_only`. Reads folders.
    pub fn index(&self, ready_only: bool) -> Vec<Indexed> {
        let on_disk = self.scan().map(|found| found.into_keys().collect()).unwrap_or_default();
        let mut index = indexed(&self.entries(), on_disk);
        index.retain(|it| !ready_only || it.state == Some(State::Ready));
        index
    }
}

fn indexed(entries: &BTreeMap<String, Entry>, on_disk: BTreeSet<String>) -> Vec<Indexed> {
    let names: BTreeSet<&String> = on_disk.iter().chain(entries.keys()).collect();
    names
        .into_iter()
        .flat_map(|name| entries.get(name).map_or_else(|| vec![unknown(name)], |it| versions(name, it)))
        .collect()
}

fn unknown(name: &str) -> Indexed {
    Indexed { name: name.into(), version: None, state: None, reason: String::new() }
}

fn versions(name: &str, entry: &Entry) -> Vec<Indexed> {
    let versions = entry.versions.iter().map(|(version, it)| {
        let (state, reason) = (Some(it.state()), it.reason.clone());
        Indexed { name: name.into(), version: Some(*version), state, reason }
    });
    let mut versions: Vec<_> = versions.collect();
    if versions.is_empty() {
        let state = entry.problem.as_ref().map(|_| State::Unavailable);
        versions.push(Indexed { state, reason: entry.problem.clone().unwrap_or_default(), ..unknown(name) });
    }
    versions
}
