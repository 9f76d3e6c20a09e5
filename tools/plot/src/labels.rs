//! Labels of runs in a chart: the settings that differ, or else the paths.

use crate::names;
use cli::printable;
use indexmap::IndexMap;
use serde_json::Value;

/// What a run's label is taken from.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The components of its path, or its name in the log.
    pub path: Vec<String>,
    /// Every setting by its dotted key; empty where they are not known.
    pub settings: IndexMap<String, Value>,
}

/// A label for each run, all different: the settings that differ, `optimizer=adam, seed=0`, or else what differs between
/// the paths.
pub fn of<'a>(identities: impl Iterator<Item = &'a Identity>) -> Vec<String> {
    let identities: Vec<&Identity> = identities.collect();
    let paths: Vec<&[String]> = identities.iter().map(|identity| identity.path.as_slice()).collect();
    let labels = by_settings(&identities).unwrap_or_else(|| names::distinguishing(&paths));
    names::numbered(labels.iter().map(|label| printable(label)).collect())
}

/// `None` where no settings differ, or they are not known of all runs.
fn by_settings(identities: &[&Identity]) -> Option<Vec<String>> {
    if identities.len() < 2 || identities.iter().any(|identity| identity.settings.is_empty()) {
        return None;
    }
    let run = |identity: &&Identity| runs::Run::of_settings(identity.path.iter().collect(), identity.settings.clone());
    let all: Vec<runs::Run> = identities.iter().map(run).collect();
    let all: Vec<&runs::Run> = all.iter().collect();
    (!runs::differing(&all).is_empty()).then(|| runs::labels(&all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity(path: &str, config: Value) -> Identity {
        Identity { path: path.split('/').map(str::to_owned).collect(), settings: runs::settings_of(&config) }
    }

    fn labels(identities: &[Identity]) -> Vec<String> {
        of(identities.iter())
    }

    #[test]
    fn runs_are_called_by_the_settings_that_differ_and_else_by_their_paths() {
        let run = |path: &str, optimizer: &str, seed: u64| {
            identity(path, json!({"optimizer": {"name": optimizer}, "trainer": {"seed": seed, "run_dir": path}}))
        };
        assert_eq!(
            labels(&[run("runs/1", "adam", 0), run("runs/2", "sgd", 0), run("runs/3", "sgd", 1)]),
            ["optimizer=adam, seed=0", "optimizer=sgd, seed=0", "optimizer=sgd, seed=1"]
        );
        assert_eq!(labels(&[run("runs/a", "adam", 0), run("runs/b", "adam", 0)]), ["a", "b"]);
        assert_eq!(labels(&[run("runs/a", "adam", 0)]), ["a"]);
        assert_eq!(labels(&[run("runs/a", "adam", 0), identity("runs/b", json!({}))]), ["a", "b"]);
        let twice = [run("runs/a", "adam", 0), run("runs/a", "adam", 0), run("runs/c", "adam", 1)];
        assert_eq!(labels(&twice)[2], "seed=1");
        assert_ne!(labels(&twice)[0], labels(&twice)[1]);
    }

    #[test]
    fn labels_are_free_of_control_characters_and_stay_apart() {
        let run = |text: &str| identity("a", json!({"model": {"tag": text}}));
        let made = labels(&[run("\u{1b}[31m"), run("\u{1b}[32m"), run("\u{202e}x"), run("\u{202d}x")]);
        assert!(made.iter().all(|label| printable(label) == *label), "{made:?}");
        assert!(made.iter().enumerate().all(|(i, label)| !made[..i].contains(label)), "{made:?}");
        let paths = labels(&[identity("a\u{1b}[31m", json!({})), identity("a\u{1b}[32m", json!({}))]);
        assert_eq!(paths, ["a\\u{1b}[31m", "a\\u{1b}[32m"]);
    }
}
