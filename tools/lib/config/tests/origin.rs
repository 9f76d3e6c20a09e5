//! `compose --info origin`: which file and line, choice or override each setting is from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Folder, TRAIN, strings};
use config::Sources;

const TREE: &[(&str, &str)] = &[
    ("job.yaml", "defaults:\n  - data: line\n  - model: mlp\n  - _self_\ndata:\n  seed: 7\ntwice: ${data.rows}\n"),
    ("data/line.yaml", "kind: line\nrows: 10\nseed: 0\n"),
    ("data/edge.yaml", "# Edges.\nkind: edge\nrows: 20\nseed: 0\n"),
    ("model/mlp.yaml", "name: mlp\nhidden: [8, 8]\nnote: ${.name}-${data.kind}\nlost: ${oc.env:PIPEGRAD_NO_SUCH}\n"),
    ("experiment/small.yaml", "# @package _global_\ndefaults:\n  - override /data: edge\nmodel:\n  hidden: [2]\n"),
];

/// The rows by key: value and origin.
fn rows(folder: &Folder, overrides: &[&str]) -> Vec<(String, String, String)> {
    let told = config::origins(None, &folder.sources(Some("job")), &strings(overrides), "").unwrap();
    let rows = folder.plain(&told);
    rows.lines()
        .map(|line| {
            let (setting, origin) = line.split_once("   ").unwrap();
            let (key, value) = setting.split_once(" = ").unwrap_or((setting, ""));
            (key.to_owned(), value.to_owned(), origin.trim_start().to_owned())
        })
        .collect()
}

fn row(folder: &Folder, overrides: &[&str], key: &str) -> (String, String) {
    let rows = rows(folder, overrides);
    let found = rows.iter().find(|(other, ..)| other == key);
    found.map(|(_, value, origin)| (value.clone(), origin.clone())).unwrap_or_else(|| panic!("{key}: {rows:?}"))
}

#[test]
fn a_value_of_a_config_names_its_line_and_who_chose_the_config() {
    let folder = Folder::new(TREE);
    let expected = [
        ("data.rows", "10", "data/line.yaml:2 (data=line, from job.yaml:2)"),
        ("data.seed", "7", "job.yaml:6 (--config-name job)"),
        ("model.name", "mlp", "model/mlp.yaml:1 (model=mlp, from job.yaml:3)"),
        ("model.hidden", "[8, 8]", "model/mlp.yaml:2 (model=mlp, from job.yaml:3)"),
    ];
    for (key, value, origin) in expected {
        assert_eq!(row(&folder, &[], key), (value.into(), origin.into()), "{key}");
    }
}

#[test]
fn overrides_and_choices_of_the_command_line_are_told() {
    let folder = Folder::new(TREE);
    assert_eq!(row(&folder, &["data.rows=3"], "data.rows"), ("3".into(), "command line: data.rows=3".into()));
    let chosen = row(&folder, &["data=edge"], "data.rows");
    assert_eq!(chosen, ("20".into(), "data/edge.yaml:3 (data=edge, command line: data=edge)".into()));
    let added = row(&folder, &["+data.more=[1,2]"], "data.more");
    assert_eq!(added, ("[1, 2]".into(), "command line: +data.more=[1,2]".into()));
    let element = rows(&folder, &["model.hidden.1=4"]);
    let element: Vec<_> = element.iter().filter(|(key, ..)| key.starts_with("model.hidden")).collect();
    assert_eq!(
        element.iter().map(|(key, value, origin)| (key.as_str(), value.as_str(), origin.as_str())).collect::<Vec<_>>(),
        [
            ("model.hidden.0", "8", "model/mlp.yaml:2 (model=mlp, from job.yaml:3)"),
            ("model.hidden.1", "4", "command line: model.hidden.1=4")
        ]
    );
}

#[test]
fn what_is_taken_away_comes_last() {
    let folder = Folder::new(TREE);
    let rows = rows(&folder, &["~data.seed", "~model"]);
    assert!(rows.iter().all(|(key, ..)| key != "data.seed" && key != "model.name"));
    assert_eq!(
        rows[rows.len() - 2..].iter().map(|(key, _, origin)| (key.as_str(), origin.as_str())).collect::<Vec<_>>(),
        [("~data.seed", "command line: ~data.seed"), ("~model", "command line: ~model")]
    );
}

#[test]
fn an_experiment_is_named_for_its_values_and_its_choices() {
    let folder = Folder::new(TREE);
    let overrides = ["+experiment=small"];
    assert_eq!(
        row(&folder, &overrides, "model.hidden"),
        ("[2]".into(), "experiment/small.yaml:5 (experiment=small, command line: +experiment=small)".into())
    );
    assert_eq!(
        row(&folder, &overrides, "data.rows"),
        ("20".into(), "data/edge.yaml:3 (data=edge, from experiment/small.yaml:3)".into())
    );
    assert_eq!(row(&folder, &overrides, "data.seed").1, "job.yaml:6 (--config-name job)");
}

#[test]
fn an_interpolation_names_its_own_line_and_has_its_value() {
    let folder = Folder::new(TREE);
    assert_eq!(row(&folder, &[], "twice"), ("10".into(), "job.yaml:7 (--config-name job): ${data.rows}".into()));
    assert_eq!(row(&folder, &["data.rows=3"], "twice").0, "3");
    let (value, origin) = row(&folder, &[], "model.note");
    assert_eq!(value, "mlp-line");
    assert_eq!(origin, "model/mlp.yaml:3 (model=mlp, from job.yaml:3): ${.name}-${data.kind}");
    let (value, origin) = row(&folder, &[], "model.lost");
    assert!(value == "???" && origin.contains("(cannot be resolved: "), "{value} {origin}");
    let (value, origin) = row(&folder, &["model.name='${data.kind}'"], "model.name");
    assert_eq!((value.as_str(), origin.as_str()), ("line", "command line: model.name='${data.kind}': ${data.kind}"));
}

#[test]
fn rows_are_aligned_and_complete() {
    let folder = Folder::new(TREE);
    let told = config::origins(None, &folder.sources(Some("job")), &[], "").unwrap();
    let column = told.lines().next().unwrap().find("   ").map(|at| {
        let line = told.lines().next().unwrap();
        at + line[at..].len() - line[at..].trim_start().len()
    });
    let column = column.unwrap();
    assert!(told.lines().all(|line| !line[column..].starts_with(' ') && line[..column].ends_with("   ")), "{told}");
    let part = config::origins(None, &folder.sources(Some("job")), &[], "data").unwrap();
    assert_eq!(part.lines().count(), 3);
}

#[test]
fn built_in_configs_files_and_tools_are_told_too() {
    let folder = Folder::new(TREE);
    let told = config::origins(None, &Sources::default(), &strings(&["trainer.max_epochs=3"]), "trainer").unwrap();
    assert!(
        told.lines().any(|line| line.starts_with("trainer.max_epochs = 3 ")
            && line.ends_with("   command line: trainer.max_epochs=3"))
    );
    assert!(told.lines().any(|line| line.starts_with("trainer.loss = mse ")
        && line.contains("   builtin:trainer/default.yaml:")
        && line.contains(" (trainer=default, from builtin:entropy.yaml:")));
    let told = config::origins(Some(&["relu"]), &Sources::default(), &strings(&["slope=1"]), "").unwrap();
    assert!(told.contains("relu.field = values") && told.contains("(relu=default, which no defaults list names)"));
    assert!(told.contains("command line: slope=1"), "{told}");
    folder.write("params.yaml", "trainer:\n  seed: 3\n");
    let told = folder.plain(&config::origins(None, &folder.file("params.yaml"), &[], "").unwrap());
    assert_eq!(told, "trainer.seed = 3   params.yaml:2\n");
    assert!(config::origins(Some(&TRAIN), &Sources::default(), &[], "").unwrap().lines().count() > 50);
    assert!(config::origins(None, &Sources::default(), &strings(&["nope=1"]), "").is_err());
}
