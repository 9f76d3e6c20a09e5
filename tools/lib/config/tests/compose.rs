//! Composition from folders: what tools are given, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use config::{Document, Sources, compose, compose_for};
use serde::Deserialize;
use std::{fs, path::Path};
use testkit::Folder;

const TREE: &[(&str, &str)] = &[
    ("job.yaml", "defaults:\n  - data: line\n  - model: mlp\n  - _self_\ndata:\n  seed: 7\n"),
    ("data/line.yaml", "kind: line\nrows: 10\nseed: 0\n"),
    ("data/edge.yaml", "kind: edge\nrows: 20\nseed: 0\n"),
    ("model/mlp.yaml", "name: mlp\nwidth: 64\n"),
    ("relu/default.yaml", "slope: 0.5\n"),
    ("relu/steep.yaml", "slope: 2.0\n"),
];

fn folder(files: &[(&str, &str)]) -> Folder {
    Folder::with(files)
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn sources(folder: &Folder) -> Sources {
    let config_dirs = vec![folder.to_path_buf()];
    Sources { config_name: Some("job".into()), config_dirs, ..Sources::default() }
}

fn strings(overrides: &[&str]) -> Vec<String> {
    overrides.iter().map(ToString::to_string).collect()
}

fn job(folder: &Folder, overrides: &[&str]) -> config::Result<Document> {
    compose(&sources(folder), &strings(overrides))
}

fn tool(folder: &Folder, own: &[&str], overrides: &[&str]) -> config::Result<Document> {
    compose_for(own, &sources(folder), &strings(overrides))
}

/// The message, less the temporary folder.
fn error(folder: &Folder, result: config::Result<Document>) -> String {
    result.unwrap_err().to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_job_is_composed_and_overridden() {
    let folder = folder(TREE);
    let document = job(&folder, &["data=edge", "model.width=32"]).unwrap();
    let expected = "data:\n  kind: edge\n  rows: 20\n  seed: 7\nmodel:\n  name: mlp\n  width: 32\n";
    assert_eq!(document.to_yaml(), expected);
    assert!(document.to_json().unwrap().starts_with("{\n  \"data\": {\n    \"kind\": \"edge\""));
}

#[test]
fn keys_of_a_tool_with_one_group_are_within_it() {
    let folder = folder(TREE);
    for overrides in [["rows=5", "data=edge"], ["data.rows=5", "data=edge"]] {
        let document = tool(&folder, &["data"], &overrides).unwrap();
        assert_eq!(document.to_yaml(), "data:\n  kind: edge\n  rows: 5\n  seed: 7\n");
    }
}

#[test]
fn keys_of_a_tool_with_several_groups_are_whole_paths() {
    let folder = folder(TREE);
    let document = tool(&folder, &["data", "model"], &["model.width=1", "data=edge"]).unwrap();
    assert_eq!(document.section::<u32>("model.width").unwrap(), 1);
    let message = error(&folder, tool(&folder, &["data", "model"], &["modl.width=1"]));
    assert_eq!(
        message,
        "override \"modl.width=1\": modl.width: not a setting of this tool; did you mean model.width=1?"
    );
}

#[test]
fn a_group_that_no_list_names_has_its_default() {
    let folder = folder(TREE);
    let slope = |overrides: &[&str]| tool(&folder, &["relu"], overrides).unwrap().section::<f64>("relu.slope").unwrap();
    assert_eq!(slope(&[]), 0.5);
    assert_eq!(slope(&["relu=steep"]), 2.0);
    assert_eq!(slope(&["slope=3"]), 3.0);
}

#[test]
fn broken_files_of_other_groups_are_not_read() {
    let folder = folder(TREE);
    write(&folder, "model/mlp.yaml", "a: [\n");
    assert!(tool(&folder, &["data"], &[]).is_ok());
    assert!(error(&folder, tool(&folder, &["model"], &[])).starts_with("model/mlp.yaml:"));
}

#[test]
fn a_reference_to_another_group_is_followed() {
    let folder = folder(TREE);
    write(&folder, "data/line.yaml", "rows: ${model.width}\nseed: 0\n");
    let document = tool(&folder, &["data"], &[]).unwrap();
    assert_eq!(document.to_yaml(), "data:\n  rows: 64\n  seed: 7\n");
    let message = error(&folder, tool(&folder, &["data"], &["rows=${model.nope}"]));
    assert!(message.starts_with("override \"rows=${model.nope}\": ${model.nope}: there is no such key"), "{message}");
}

#[test]
fn the_first_folder_wins_and_the_embedded_copy_is_last() {
    let first = folder(&[("data/line.yaml", "kind: first\n")]);
    let second = folder(TREE);
    let config_dirs = vec![first.to_path_buf(), second.to_path_buf()];
    let sources = Sources { config_name: Some("job".into()), config_dirs, ..Sources::default() };
    let document = compose(&sources, &[]).unwrap();
    assert_eq!(document.section::<String>("data.kind").unwrap(), "first");
    let builtin = compose(&sources, &strings(&["+optimizer=adam"])).unwrap();
    assert_eq!(builtin.section::<String>("optimizer.name").unwrap(), "adam");
}

#[test]
fn a_resolved_file_takes_values_and_no_choices() {
    let folder = folder(&[("params.yaml", "data:\n  kind: line\n  rows: 10\n")]);
    let file = Some(folder.join("params.yaml"));
    let from_file = |own: &[&str], overrides: &[&str]| {
        compose_for(own, &Sources { file: file.clone(), ..Sources::default() }, &strings(overrides))
    };
    assert_eq!(from_file(&["data"], &["rows=3"]).unwrap().section::<u32>("data.rows").unwrap(), 3);
    let message = error(&folder, from_file(&["data"], &["data=edge"]));
    assert_eq!(
        message,
        "override \"data=edge\": chooses an option of a group, but params.yaml is a resolved document; \
         change its values, e.g. data.key=value"
    );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "rows")]
    _rows: u64,
    #[serde(rename = "seed")]
    _seed: u64,
}

#[test]
fn typed_errors_name_the_file_or_the_override() {
    let folder = folder(TREE);
    let section = |overrides: &[&str]| {
        let error = tool(&folder, &["data"], overrides).unwrap().section::<Data>("data").unwrap_err().to_string();
        error.replace(&format!("{}/", folder.display()), "")
    };
    assert_eq!(
        section(&["rows=abc"]),
        "override \"rows=abc\": data.rows: expected a non-negative integer, found \"abc\""
    );
    assert_eq!(section(&["+rowz=1"]), "override \"+rowz=1\": data.rowz: unknown key; did you mean data.rows?");
    assert_eq!(section(&["~rows"]), "override \"~rows\": data.rows: is required; change it, or leave it");
    assert_eq!(
        section(&["~rows", "~seed", "+rows=x"]),
        "override \"+rows=x\": data.rows: expected a non-negative integer, found \"x\""
    );
    let other = "data.kind: the other settings are not edge's; to choose it, write data=edge";
    let message = section(&["kind=edge", "++data={low: 1}"]);
    assert!(message.starts_with("override \"++data={low: 1}\": data.low: unknown key"), "{message}");
    write(&folder, "data/line.yaml", "kind: line\nrows: 10\nseed: 0\nslope: 2\n");
    assert_eq!(section(&["kind=edge"]), format!("override \"kind=edge\": {other}"));
    assert_eq!(section(&["rows=???"]), "override \"rows=???\": data.rows: has no value yet (???); give one");
    write(&folder, "data/line.yaml", "kind: line\nrow: 10\nseed: 0\n");
    assert_eq!(
        section(&[]),
        "data/line.yaml:2: data.row: unknown key; did you mean data.rows? (data/line.yaml takes the place of the built-in data/line; --config-path FOLDER looks elsewhere)"
    );
    write(&folder, "data/line.yaml", "kind: line\nseed: 0\n");
    assert_eq!(
        section(&[]),
        "data/line.yaml:1: data.rows: missing; give it as +data.rows=... (data/line.yaml takes the place of the built-in data/line; --config-path FOLDER looks elsewhere)"
    );
}

#[test]
fn mistakes_are_one_line_with_what_to_do() {
    let folder = folder(TREE);
    let cases: &[(&[&str], &str)] = &[
        (&["data=lime"], "override \"data=lime\": data has no option lime; did you mean line?; there are "),
        (
            &["data.rwos=1"],
            "override \"data.rwos=1\": data.rwos: unknown key; did you mean data.rows=1? (to add it: +data.rwos=1)",
        ),
        (&["width=1"], "override \"width=1\": width: unknown key; did you mean model.width=1? (to add it: +width=1)"),
        (&["data=null"], "override \"data=null\": data: expected the name of an option ("),
        (
            &["data.rows=1,2"],
            "override \"data.rows=1,2\": several values are a sweep, of which `sweep` makes jobs; where the setting is a list, write 'data.rows=[1,2]', where it is a text \"data.rows='1,2'\"",
        ),
        (&["data=choice(line,edge)"], "override \"data=choice(line,edge)\": several values are a sweep, of which"),
        (
            &["relu=steep"],
            "override \"relu=steep\": no defaults list chooses an option of relu; write +relu=... to add it",
        ),
        (&["~relu"], "override \"~relu\": no defaults list has relu"),
        (&["+data.rows=1"], "override \"+data.rows=1\": data.rows is there already"),
        (&["data.rows=[1"], "override \"data.rows=[1\": ] is missing at the end"),
        (&["data.rows.x=1"], "override \"data.rows.x=1\": data.rows: no such mapping"),
        (
            &["model.name={a}-{b:d}"],
            "override \"model.name={a}-{b:d}\": : is missing before \"}\"; for a text, write \"model.name='{a}-{b:d}'\"",
        ),
        (
            &["++model.name=a-{b}"],
            "override \"++model.name=a-{b}\": unexpected \"{\"; for a text, write \"++model.name='a-{b}'\"",
        ),
        (
            &["hydra.run.dir=x"],
            "override \"hydra.run.dir=x\": hydra.run.dir: Hydra's own settings have no meaning here; a run's folder is \
             a setting of the job, as trainer.run_dir=...",
        ),
        (&["+hydra.job.name=x"], "override \"+hydra.job.name=x\": hydra.job.name: Hydra's own settings have no"),
        (&["hydra/launcher=x"], "override \"hydra/launcher=x\": hydra/launcher: Hydra's own settings have no"),
        (&["data.rows='a\nb", "x=1"], "override \"data.rows='a\\nb\": quote ' is not closed"),
    ];
    for (overrides, expected) in cases {
        let message = error(&folder, job(&folder, overrides));
        assert!(message.starts_with(expected), "{overrides:?}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let sources = Sources { config_name: Some("jbo".into()), ..sources(&folder) };
    let message = compose(&sources, &[]).unwrap_err().to_string().replace(&folder.display().to_string(), "FOLDER");
    let expected =
        "no primary config jbo; did you mean job?; there is cifar10, entropy, images, job (in FOLDER, builtin:)";
    assert_eq!(message, expected);
    let message = job(&folder, &[]).unwrap().package("data.rwos").unwrap_err().to_string();
    assert_eq!(message, "no section data.rwos; did you mean data.rows?");
    let message = job(&folder, &[]).unwrap().package("width").unwrap_err().to_string();
    assert_eq!(message, "no section width; there are data, model");
}

#[test]
fn a_tool_is_told_what_it_can_do_itself() {
    let folder = folder(TREE);
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&["data"], &["dta=edge"], "data.dta: unknown key; did you mean data=edge?"),
        (&["data"], &["rwos=1"], "data.rwos: unknown key; did you mean data.rows=1?"),
        (
            &["data"],
            &["colour=red"],
            "data.colour: unknown key; known: kind, rows, seed (data/line.yaml takes the place of the built-in data/line; --config-path FOLDER looks elsewhere)",
        ),
        (
            &["data", "model"],
            &["data.colour=red"],
            "data.colour: unknown key; known: kind, rows, seed (data/line.yaml takes the place of the built-in data/line; --config-path FOLDER looks elsewhere)",
        ),
        (
            &["data"],
            &["hydra.sweep.dir=x"],
            "hydra.sweep.dir: Hydra's own settings have no meaning here; sweep --run-dir gives each job a folder",
        ),
    ];
    for (own, overrides, expected) in cases {
        let message = error(&folder, tool(&folder, own, overrides));
        assert_eq!(message, format!("override \"{}\": {expected}", overrides[0]));
    }
    let more = format!("hydra.searchpath=[{}/more]", folder.display());
    write(&folder, "more/data/far.yaml", "kind: far\n");
    for own in [&["data"][..], &["data", "model"]] {
        let document = tool(&folder, own, &[&more, "data=far"]).unwrap();
        assert_eq!(document.section::<String>("data.kind").unwrap(), "far");
        assert!(document.warnings().is_empty(), "{:?}", document.warnings());
    }
}

#[test]
fn bad_files_are_refused_with_their_line() {
    let cases = [
        ("defaults: line\n", "job.yaml:1: defaults must be a list, not \"line\""),
        ("defaults:\n  - data: line\n    model: mlp\n", "job.yaml:2: an entry of a defaults list has one key"),
        ("defaults:\n  - data: lime\n", "job.yaml:2: data has no option lime"),
        ("defaults:\n  - data: ???\n", "job.yaml:2: choose an option with data=OPTION; there are "),
        ("defaults:\n  - data: 3\n", "job.yaml:2: an option is a name, not 3"),
        ("defaults:\n  - _self_\n  - _self_\n", "job.yaml:3: _self_ is in the defaults list twice"),
        ("defaults:\n  - job\n", "job.yaml:2: defaults lists include each other without end"),
        ("defaults:\n  - override data: line\n  - model: mlp\n", "job.yaml:2: override data must stand at the end"),
        ("- 1\n", "job.yaml:1: a config is a mapping, not a list"),
        ("x: ${nope}\n", "job.yaml:1: ${nope}: there is no such key"),
        ("x: 1\nx: 2\n", "job.yaml:2: key \"x\" is here a second time"),
        ("# @package a b\nx: 1\n", "job.yaml:1: header \"# @package a b\": write it as # @package NAME"),
    ];
    for (text, expected) in cases {
        let folder = folder(TREE);
        write(&folder, "job.yaml", text);
        let message = error(&folder, job(&folder, &[]));
        assert!(message.starts_with(expected), "{text}: {message}");
    }
}

#[test]
fn lists_that_double_are_stopped() {
    let folder = folder(&[("job.yaml", "defaults: [c0]\n")]);
    for level in 0..40 {
        let next = level + 1;
        let text = format!("defaults:\n  - c{next}@a\n  - c{next}@b\n");
        write(&folder, &format!("c{level}.yaml"), &text);
    }
    assert!(error(&folder, job(&folder, &[])).contains("without end"));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let sources = Sources { config_dirs: vec!["/no/such/folder".into()], ..Sources::default() };
    assert_eq!(compose(&sources, &[]).unwrap_err().to_string(), "/no/such/folder: no such folder of configs");
}
