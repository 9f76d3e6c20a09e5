//! Composition against Hydra: each document, byte for byte, and each refusal. `fixtures/hydra_goldens.py` wrote them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Folder;
use serde_json::Value;

fn goldens() -> Value {
    serde_json::from_str(include_str!("fixtures/hydra.json")).unwrap()
}

/// The folder of configs that uses everything.
fn tree(goldens: &Value) -> Folder {
    let folder = Folder::new(&[]);
    for (name, text) in goldens["tree"].as_object().unwrap() {
        folder.write(name, text.as_str().unwrap());
    }
    folder
}

fn compose(folder: &Folder, overrides: &[String]) -> Result<String, String> {
    let document = config::compose(&folder.sources(Some("config")), overrides).map_err(|error| error.to_string())?;
    Ok(document.to_yaml())
}

/// The document that differs from `base` by so many lines at the start, at the end, and what is between.
fn changed(base: &str, difference: &Value) -> String {
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let [start, end] = [0, 1].map(|i| difference[i].as_u64().unwrap() as usize);
    lines[..start].concat() + difference[2].as_str().unwrap() + &lines[lines.len() - end..].concat()
}

/// Text that looks like a reference is written escaped, so that it reads back as text; Hydra writes it as a reference
/// (docs/config.md, "Differences from Hydra").
fn same(theirs: Option<&String>, ours: Option<&String>) -> bool {
    theirs == ours || theirs.cloned() == ours.map(|text| text.replace("\\${", "${"))
}

/// Fails with all that differ at once.
fn all_same(cases: impl Iterator<Item = (String, Option<String>, Result<String, String>)>) {
    let differences: Vec<String> = cases
        .filter(|(_, theirs, ours)| !same(theirs.as_ref(), ours.as_ref().ok()))
        .map(|(case, theirs, ours)| format!("{case}\nHydra: {theirs:?}\nours: {ours:?}"))
        .collect();
    assert!(
        differences.is_empty(),
        "{} differ\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
}

#[test]
fn overrides_compose_what_hydra_composes_and_are_refused_where_hydra_refuses() {
    let goldens = goldens();
    let (folder, base) = (tree(&goldens), goldens["base"].as_str().unwrap());
    assert_eq!(compose(&folder, &[]).as_deref(), Ok(base));
    all_same(goldens["overrides"].as_array().unwrap().iter().map(|case| {
        let given: Vec<String> = serde_json::from_value(case[0].clone()).unwrap();
        let theirs = (!case[1].is_null()).then(|| changed(base, &case[1]));
        (format!("{given:?}"), theirs, compose(&folder, &given))
    }));
}

#[test]
fn interpolations_are_resolved_as_omegaconf_resolves_them() {
    let goldens = goldens();
    let (folder, base) = (tree(&goldens), goldens["base"].as_str().unwrap());
    let config = goldens["tree"]["config.yaml"].as_str().unwrap();
    all_same(goldens["interpolations"].as_array().unwrap().iter().map(|case| {
        let text = case[0].as_str().unwrap();
        folder.write("config.yaml", &format!("{config}mine: |-\n  {text}\n"));
        let theirs = (!case[1].is_null()).then(|| changed(base, &case[1]));
        (text.to_owned(), theirs, compose(&folder, &[]))
    }));
}

#[test]
fn plain_scalars_have_the_types_of_omegaconf() {
    let folder = Folder::new(&[]);
    let goldens = goldens();
    all_same(goldens["scalars"].as_array().unwrap().iter().map(|case| {
        let text = case[0].as_str().unwrap();
        folder.write("config.yaml", &format!("key: {text}\n"));
        (text.to_owned(), case[1].as_str().map(str::to_owned), compose(&folder, &[]))
    }));
}
