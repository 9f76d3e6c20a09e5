//! A folder of configs of one's own: groups that it lacks, and files of another project.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Folder, TRAIN, text};

#[test]
fn a_group_that_no_list_names_is_the_built_in_one() {
    let folder = Folder::new(&[
        ("mine.yaml", "defaults:\n  - model: wide\n  - _self_\ntrainer:\n  max_epochs: 2\n"),
        ("model/wide.yaml", "defaults:\n  - mlp\nhidden: [512]\n"),
    ]);
    let sources = folder.sources(Some("mine"));
    let document = folder.tool(&TRAIN, &sources, &[]).unwrap();
    let settings = ["model.hidden", "optimizer.name", "scheduler.name", "trainer.max_epochs", "trainer.batch_size"];
    assert_eq!(settings.map(|key| text(&document, key)), ["- 512", "adam", "constant", "2", "128"]);
    // Another option of such a group can be chosen.
    let chosen = folder.tool(&TRAIN, &sources, &["optimizer=sgd"]).unwrap();
    assert_eq!(text(&chosen, "optimizer.name"), "sgd");
    for own in [&["score"][..], &["plot"], &["infer", "data"], &["tracking"], &["export"], &["data"]] {
        let (mine, builtin) =
            (folder.tool(own, &sources, &[]).unwrap(), folder.tool(own, &Default::default(), &[]).unwrap());
        assert!(own.iter().all(|group| mine.get(group) == builtin.get(group)), "{own:?}");
    }
    // compose is Hydra's: what no list names is not there.
    let whole = config::compose(&sources, &[]).unwrap();
    assert!(whole.get("optimizer").is_none() && whole.get("trainer.batch_size").is_none());
}

#[test]
fn values_in_the_body_have_the_option_of_their_name() {
    let folder = Folder::new(&[("mine.yaml", "optimizer:\n  name: sgd\n  learning_rate: 0.5\nmodel:\n  name: own\n")]);
    let document = folder.tool(&TRAIN, &folder.sources(Some("mine")), &[]).unwrap();
    let settings = ["optimizer.learning_rate", "optimizer.momentum", "optimizer.nesterov"];
    assert_eq!(settings.map(|key| text(&document, key)), ["0.5", "0.9", "false"]);
    assert_eq!(document.package("model").unwrap().to_yaml(), "name: own\n");
}

#[test]
fn a_group_filled_by_a_package_or_chosen_as_null_is_left() {
    let folder = Folder::new(&[
        ("mine.yaml", "defaults:\n  - nets@model: own\n  - optimizer: null\n"),
        ("nets/own.yaml", "name: own\n"),
    ]);
    let document = folder.tool(&TRAIN, &folder.sources(Some("mine")), &[]).unwrap();
    assert_eq!(document.package("model").unwrap().to_yaml(), "name: own\n");
    assert!(document.get("optimizer").is_none());
}

#[test]
fn a_file_of_another_project_is_named() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Scheduler {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "interval")]
        _interval: String,
    }
    let folder = Folder::new(&[("scheduler/constant.yaml", "name: constant\n_target_: lightning.Trainer\n")]);
    let document = folder.tool(&TRAIN, &folder.sources(None), &[]).unwrap();
    let takes = "(scheduler/constant.yaml takes the place of the built-in scheduler/constant; --config-path FOLDER looks elsewhere)";
    let error = folder.plain(&document.section::<Scheduler>("scheduler").unwrap_err().to_string());
    assert!(error.starts_with("scheduler/constant.yaml:2: scheduler._target_: unknown key"), "{error}");
    assert!(error.ends_with(takes), "{error}");
    folder.write("scheduler/constant.yaml", "name: constant\n");
    let document = folder.tool(&TRAIN, &folder.sources(None), &[]).unwrap();
    let error = folder.plain(&document.section::<Scheduler>("scheduler").unwrap_err().to_string());
    assert!(error.contains("scheduler.interval: missing") && error.ends_with(takes), "{error}");
    let error = folder.tool(&TRAIN, &folder.sources(None), &["scheduler.interval=step"]).unwrap_err();
    assert!(error.ends_with(takes), "{error}");
    // A copy of the built-in file is no other project's.
    folder.write("scheduler/constant.yaml", include_str!("../../../../configs/scheduler/constant.yaml"));
    let error = folder.tool(&TRAIN, &folder.sources(None), &["scheduler.zzzz=1"]).unwrap_err();
    assert!(!error.contains("takes the place"), "{error}");
}

#[test]
fn a_key_in_the_wrong_group_of_a_file_is_told() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Relu {
        #[serde(rename = "field")]
        _field: String,
    }
    let error = |key: &str| {
        let folder = Folder::new(&[("mine.yaml", &format!("trainer:\n  field: x\n  {key}: 0.1\n"))]);
        let document = config::compose(&folder.sources(Some("mine")), &[]).unwrap();
        folder.plain(&document.section::<Relu>("trainer").unwrap_err().to_string())
    };
    assert_eq!(error("lr"), "mine.yaml:3: trainer.lr: unknown key; did you mean optimizer.learning_rate?");
    assert_eq!(error("fields"), "mine.yaml:3: trainer.fields: unknown key; did you mean trainer.field?");
}

#[test]
fn a_name_in_the_body_that_contradicts_the_choice_is_at_fault() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sgd {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "learning_rate")]
        _learning_rate: f64,
    }
    let folder = Folder::new(&[("mine.yaml", "trainer:\n  seed: 1\noptimizer:\n  name: sgd\n  learning_rate: 0.5\n")]);
    let document = folder.tool(&TRAIN, &folder.sources(Some("mine")), &["optimizer=adam"]).unwrap();
    let error = folder.plain(&document.section::<Sgd>("optimizer").unwrap_err().to_string());
    assert!(error.starts_with("mine.yaml:4: optimizer.name: is sgd here, which has no betas (builtin:"), "{error}");
    assert!(error.ends_with("; choose optimizer=sgd, or delete the line"), "{error}");
}

#[test]
fn a_job_for_tools_has_the_groups_that_tools_take() {
    let folder =
        Folder::new(&[("mine.yaml", "trainer: {max_epochs: 2}\noptimizer: {name: sgd, learning_rate: 0.5}\n")]);
    let sources = folder.sources(Some("mine"));
    let compose = |text: &str| config::compose_for_tools(&sources, &[text.to_owned()]);
    let document = compose("trainer.seed=7").unwrap();
    let settings =
        ["trainer.seed", "trainer.max_epochs", "optimizer.momentum", "optimizer.learning_rate", "score.task"];
    assert_eq!(settings.map(|key| text(&document, key)), ["7", "2", "0.9", "0.5", "regression"]);
    let tool = folder.tool(&TRAIN, &sources, &["trainer.seed=7"]).unwrap();
    assert!(TRAIN.iter().all(|group| tool.get(group) == document.get(group)));
    assert_eq!(text(&compose("relu.slope=0.5").unwrap(), "relu.slope"), "0.5");
    assert!(document.get("relu").is_none() && document.get("experiment").is_none());
    let error = compose("trainer.sede=7").unwrap_err().to_string();
    assert!(error.ends_with("unknown key; did you mean trainer.seed=7?"), "{error}");
}
