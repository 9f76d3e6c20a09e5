//! The real binary: its document, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Folder, tool};

/// Runs the tool in `folder`; returns status, standard output and standard error.
fn compose(folder: &Path, args: &[&str]) -> (i32, String, String) {
    tool!("compose").within(folder).args(args).run().parts()
}

#[test]
fn the_example_of_the_help_runs_anywhere() {
    let folder = Folder::new();
    let (status, help, _) = compose(&folder, &["--help"]);
    assert_eq!(status, 0);
    let example = help.lines().find(|line| line.trim().starts_with("compose ")).unwrap();
    let args: Vec<&str> = example.split_whitespace().skip(1).collect();
    let (status, out, _) = compose(&folder, &args);
    assert_eq!(status, 0);
    assert!(out.starts_with("# @package data\nkind: line\nrows: 1000\n"), "{out}");
}

#[test]
fn a_written_document_is_read_again_as_it_is() {
    let folder = Folder::new();
    let (status, out, _) = compose(&folder, &["data=edge", "trainer.seed=3", "-o", "params.yaml"]);
    assert_eq!((status, out.as_str()), (0, ""));
    let written = folder.text("params.yaml");
    assert_eq!(compose(&folder, &["data=edge", "trainer.seed=3"]).1, written);
    assert_eq!(compose(&folder, &["--config", "params.yaml"]).1, written);
    let (_, seed, _) = compose(&folder, &["--config", "params.yaml", "trainer.seed=4", "--package", "trainer.seed"]);
    assert_eq!(seed, "4\n");
}

#[test]
fn json_is_the_same_document() {
    let folder = Folder::new();
    let (_, out, _) = compose(&folder, &["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["optimizer"]["learning_rate"], 1e-3);
    assert_eq!(document["trainer"]["split"], serde_json::json!([0.8, 0.1, 0.1]));
    compose(&folder, &["-o", "params.json"]);
    assert_eq!(folder.text("params.json"), out);
    let (status, _, error) = compose(&folder, &["-o", "params.toml"]);
    let expected = "compose: params.toml: settings are written as .yaml or .json, unless --format says how\n";
    assert_eq!((status, error.as_str()), (2, expected));
    assert_eq!(compose(&folder, &["-o", "params.toml", "--format", "yaml"]).0, 0);
}

#[test]
fn local_configs_come_before_the_builtin_ones() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("configs/data")).unwrap();
    folder.write("configs/data/mine.yaml", "rows: [1, 2\n");
    let (status, _, error) = compose(&folder, &["data=mine"]);
    assert_eq!(status, 2);
    assert!(error.starts_with("compose: configs/data/mine.yaml:"), "{error}");
    folder.write("configs/data/mine.yaml", "rows: 2\n");
    assert_eq!(compose(&folder, &["data=mine", "--package", "data"]).1, "# @package data\nrows: 2\n");
}

#[test]
fn a_failure_is_one_line_and_leaves_no_file() {
    let folder = Folder::new();
    for args in [
        &["data=lime", "-o", "out.yaml"][..],
        &["nope=1", "-o", "out.yaml"],
        &["--package", "nope", "-o", "out.yaml"],
        &["--config", "absent.yaml", "-o", "out.yaml"],
        &["--format", "xml", "-o", "out.yaml"],
        &["trainer.max_epochs=.inf", "optimizer.eps=inf", "--format", "json", "-o", "out.yaml"],
        &["input.npy", "-o", "out.yaml"],
    ] {
        let (status, out, error) = compose(&folder, args);
        assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{args:?}: {error}");
        assert!(error.starts_with("compose: "), "{error}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn a_deprecated_key_is_told_on_standard_error() {
    let folder = Folder::new();
    let (status, _, error) = compose(&folder, &["--resolve", "+old=${oc.deprecated:trainer.seed}"]);
    assert_eq!(status, 0);
    assert!(error.contains("'old' is deprecated"), "{error}");
}

/// A primary config with interpolations, and a group in a second folder.
fn two_folders() -> Folder {
    let folder = Folder::new();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("main/job.yaml", "defaults: [net: small, _self_]\nname: job-${net.width}\n");
    write("main/net/small.yaml", "width: 1\n");
    write("more/net/small.yaml", "width: 2\n");
    write("more/net/large.yaml", "width: 3\n");
    folder
}

#[test]
fn interpolations_stay_unless_they_are_resolved() {
    let folder = two_folders();
    let job = ["-cp", "main", "--config-name=job", "--cfg", "job"];
    assert_eq!(compose(&folder, &job).1, "net:\n  width: 1\nname: job-${net.width}\n");
    let resolved = [&job[..], &["--resolve", "-p", "name"]].concat();
    assert_eq!(compose(&folder, &resolved).1, "job-1\n");
}

#[test]
fn folders_are_searched_in_hydras_order() {
    let folder = two_folders();
    let width = |args: &[&str]| {
        let args = [&["-cp", "main", "-cn", "job", "-p", "net.width"], args].concat();
        compose(&folder, &args)
    };
    assert_eq!(width(&["-cd", "more"]).1, "1\n", "the main folder comes first");
    assert_eq!(width(&["-cd", "more", "net=large"]).1, "3\n");
    assert_eq!(width(&["hydra.searchpath=[file://more]", "net=large"]).1, "3\n");
    let (status, _, error) = width(&["net=large"]);
    assert_eq!((status, error.contains("net has no option large; there are small")), (2, true), "{error}");
    let (status, _, error) = width(&["hydra.searchpath=[nowhere]"]);
    assert_eq!((status, error.contains("hydra.searchpath: nowhere: no such folder")), (0, true), "{error}");
    for bad in ["hydra.searchpath=more", "hydra.searchpath=[1]", "hydra.searchpath=[pkg://x]"] {
        assert_eq!(width(&[bad]).0, 2, "{bad}");
    }
    let (_, table, _) = compose(&folder, &["-cp", "main", "-cn", "job", "-cd", "more", "--info", "searchpath"]);
    let places: Vec<_> = table.lines().skip(2).map(|line| line.split('|').nth(2).unwrap().trim()).collect();
    assert_eq!(places, ["main", "more", "builtin:"]);
}

#[test]
fn a_search_path_below_the_primary_config_comes_too_late() {
    let folder = two_folders();
    folder.write("main/net/late.yaml", "# @package _global_\nhydra: {searchpath: [more]}\n");
    let (status, _, error) = compose(&folder, &["-cp", "main", "-cn", "job", "net=late"]);
    assert_eq!(status, 2);
    assert!(error.contains("late.yaml:2: hydra.searchpath stands in the primary config only"), "{error}");
    folder.write("main/net/late.yaml", "width: 1\n");
    let primary = "defaults: [net: large]\nhydra: {searchpath: ['${oc.env:PWD}/more']}\n";
    folder.write("main/job.yaml", primary);
    let command = tool!("compose").within(&folder).env("PWD", &*folder).args(["-cp", "main", "-cn", "job"]);
    let (status, out, error) = command.run().parts();
    assert_eq!((status, out.as_str()), (0, "net:\n  width: 3\n"), "{error}");
}

#[cfg(unix)]
#[test]
fn output_that_goes_nowhere_is_an_error() {
    let folder = Folder::new();
    for (args, expected) in [("", 2), ("--cfg", 2), ("--help", 2), ("--info defaults", 2), ("-o a.yaml", 0)] {
        let (status, _, error) = tool!("compose").within(&folder).shell(&format!("\"$0\" {args} >&-")).run().parts();
        assert_eq!(status, expected, "{args}: {error}");
        assert_eq!(error.contains("standard output is closed"), expected == 2, "{args}: {error}");
    }
}

#[test]
fn the_origin_of_each_setting_is_told() {
    let folder = Folder::new();
    let origins = |args: &[&str]| {
        let (status, out, error) = compose(&folder, &[&["--info", "origin"], args].concat());
        assert_eq!((status, error.as_str()), (0, ""), "{args:?}");
        out
    };
    let told = origins(&["trainer.max_epochs=3", "optimizer=sgd", "~trainer.huber_delta"]);
    let line = |key: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap_or_else(|| panic!("{key}"));
        let (setting, origin) = line.split_once("   ").unwrap();
        (setting.to_owned(), origin.trim_start().to_owned())
    };
    assert_eq!(
        line("trainer.max_epochs"),
        ("trainer.max_epochs = 3".into(), "command line: trainer.max_epochs=3".into())
    );
    let (setting, origin) = line("optimizer.name");
    assert_eq!(setting, "optimizer.name = sgd");
    assert_eq!(origin, "builtin:optimizer/sgd.yaml:2 (optimizer=sgd, command line: optimizer=sgd)");
    let (setting, origin) = line("tracking.uri");
    assert!(setting.starts_with("tracking.uri = ") && origin.contains("builtin:tracking/mlflow.yaml:3"), "{origin}");
    assert!(origin.ends_with(": ${oc.env:MLFLOW_TRACKING_URI,http://127.0.0.1:8080}"), "{origin}");
    assert!(told.ends_with("   command line: ~trainer.huber_delta\n"), "{told}");
    let experiment = origins(&["--config-name", "cifar10", "+experiment=speednet", "-p", "optimizer"]);
    assert!(experiment.contains("optimizer.momentum = 0.85"), "{experiment}");
    assert!(
        experiment.contains("(experiment=speednet, command line: +experiment=speednet)")
            && experiment.contains("(optimizer=sgd_nesterov, from builtin:experiment/speednet.yaml:"),
        "{experiment}"
    );
    assert!(experiment.lines().all(|line| line.starts_with("optimizer.")));
}
