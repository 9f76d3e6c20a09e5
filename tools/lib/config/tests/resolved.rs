//! `--config FILE`: a run's settings again, and those of a job.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Folder, TRAIN, recorded, text};

/// A folder with a run whose settings were changed by `overrides`.
fn run(overrides: &[&str]) -> Folder {
    Folder::new(&[("runs/x/config.yaml", &recorded(overrides)), ("runs/x/metrics.json", "{}\n")])
}

#[test]
fn the_settings_of_a_run_are_those_of_the_run_again() {
    let overrides = ["optimizer=sgd", "optimizer.learning_rate=0.02", "model.hidden=[3]", "trainer.max_epochs=7"];
    let folder = run(&overrides);
    let again = folder.tool(&TRAIN, &folder.file("runs/x/config.yaml"), &[]).unwrap();
    assert_eq!(again.without("data").to_yaml(), recorded(&overrides));
    assert_eq!(again.warnings(), [""; 0]);
    let changed = folder.tool(&TRAIN, &folder.file("runs/x/config.yaml"), &["trainer.seed=5"]).unwrap();
    assert_eq!(text(&changed, "trainer.seed"), "5");
}

#[test]
fn every_tool_takes_what_it_reads_and_composes_the_rest() {
    let folder = run(&["trainer.max_epochs=7"]);
    let tools: [&[&str]; 9] = [
        &["data"],
        &["entropy"],
        &["relu"],
        &["dataset", "download"],
        &["export"],
        &["infer", "data"],
        &["score"],
        &["plot"],
        &["tracking"],
    ];
    for own in tools {
        let document = folder.tool(own, &folder.file("runs/x/config.yaml"), &[]).unwrap();
        let plain = config::compose_for(own, &config::Sources::default(), &[]).unwrap();
        assert_eq!(document.to_yaml(), plain.to_yaml(), "{own:?}");
    }
    // What the file lacks has options to choose from, what it has does not.
    let score = folder.tool(&["score"], &folder.file("runs/x/config.yaml"), &["score=classification"]).unwrap();
    assert_eq!(text(&score, "score.task"), "classification");
    let error = folder.tool(&TRAIN, &folder.file("runs/x/config.yaml"), &["optimizer=sgd"]).unwrap_err();
    assert!(error.contains("runs/x/config.yaml is a resolved document"), "{error}");
}

#[test]
fn folders_libraries_and_addresses_are_not_taken_from_a_run() {
    let folder = run(&["trainer.run_dir=/elsewhere/x"]);
    folder.write(
        "runs/x/config.yaml",
        &format!(
            "{}infer:\n  onnxruntime: /tmp/evil.so\n  threads: 3\ntracking:\n  uri: http://evil\n  spool: /evil\n",
            recorded(&["trainer.run_dir=/elsewhere/x"])
        ),
    );
    let file = folder.file("runs/x/config.yaml");
    let train = folder.tool(&TRAIN, &file, &[]).unwrap();
    assert_eq!(text(&train, "trainer.run_dir"), "runs/entropy");
    let [warning] = train.warnings() else { panic!("{:?}", train.warnings()) };
    assert!(
        folder.plain(warning).starts_with("runs/x/config.yaml:")
            && warning.ends_with(
                "trainer.run_dir: \"/elsewhere/x\" is not taken from a run's settings; it is \"runs/entropy\" \
                 (trainer.run_dir=/elsewhere/x sets it)"
            ),
        "{warning}"
    );
    // What is given needs no word, nor what is the same.
    let given = folder.tool(&TRAIN, &file, &["trainer.run_dir=again"]).unwrap();
    assert_eq!((text(&given, "trainer.run_dir"), given.warnings()), ("again".into(), &[][..]));
    let infer = folder.tool(&["infer", "data"], &file, &[]).unwrap();
    assert_eq!((text(&infer, "infer.onnxruntime"), text(&infer, "infer.threads")), ("null".into(), "3".into()));
    assert!(
        infer.warnings().iter().any(|warning| warning.contains("infer.onnxruntime: \"/tmp/evil.so\" is not taken"))
    );
    let given = folder.tool(&["infer", "data"], &file, &["infer.onnxruntime=/usr/lib/x.so"]).unwrap();
    assert_eq!(text(&given, "infer.onnxruntime"), "/usr/lib/x.so");
    let track = folder.tool(&["tracking"], &file, &[]).unwrap();
    assert!(!track.to_yaml().contains("evil"), "{}", track.to_yaml());
}

#[test]
fn a_job_of_ones_own_keeps_its_folders() {
    let folder = run(&[]);
    let whole = config::compose(&config::Sources::default(), &["trainer.run_dir=mine".to_owned()]).unwrap();
    for name in ["params.yaml", "config.yaml"] {
        folder.write(name, &whole.to_yaml());
        assert_eq!(text(&folder.tool(&TRAIN, &folder.file(name), &[]).unwrap(), "trainer.run_dir"), "mine");
    }
}

#[test]
fn keys_that_an_older_version_did_not_know_have_their_defaults() {
    let folder = run(&["optimizer=sgd_nesterov"]);
    let older: String = recorded(&["optimizer=sgd_nesterov"])
        .lines()
        .filter(|line| !line.contains("weight_field") && !line.contains("nesterov"))
        .flat_map(|line| [line, "\n"])
        .collect();
    folder.write("runs/x/config.yaml", &older);
    let again = folder.tool(&TRAIN, &folder.file("runs/x/config.yaml"), &[]).unwrap();
    assert_eq!(text(&again, "trainer.weight_field"), "null");
    assert_eq!(text(&again, "optimizer.nesterov"), "false");
    let warnings: Vec<String> = again.warnings().iter().map(|warning| folder.plain(warning)).collect();
    assert_eq!(warnings, ["runs/x/config.yaml has no optimizer.nesterov, trainer.weight_field; the default is taken"]);
}

#[test]
fn slips_beside_a_file_are_told() {
    let folder = run(&[]);
    let file = folder.file("runs/x/config.yaml");
    let error = folder.tool(&TRAIN, &file, &["lr=0.1"]).unwrap_err();
    assert!(error.ends_with("did you mean optimizer.learning_rate=0.1?"), "{error}");
    let error = folder.tool(&TRAIN, &file, &["trainer.sed=1"]).unwrap_err();
    assert!(error.ends_with("did you mean trainer.seed=1?"), "{error}");
}

#[test]
fn a_section_that_is_a_slip_of_a_group_is_an_error() {
    let error = |text: &str| {
        let folder = Folder::new(&[("job.yaml", text)]);
        folder.tool(&TRAIN, &folder.file("job.yaml"), &[]).unwrap_err()
    };
    let trainer = "job.yaml:1: trainr: no group of settings; did you mean trainer?";
    assert_eq!(error("trainr: {max_epochs: 1}\nlr: 3\n"), trainer);
    assert_eq!(error("trainr: {max_epochs: 1}\nmodel: {name: mlp}\n"), trainer);
    assert_eq!(
        error("model: {name: mlp}\n\noptimiser:\n  name: adam\n"),
        "job.yaml:3: optimiser: no group of settings; did you mean optimizer?"
    );
    assert_eq!(
        error("trainer: {max_epochs: 1}\nlr: 3\n"),
        "job.yaml:2: lr: not a setting at the top level; did you mean optimizer.learning_rate?"
    );
    // Another tool's group is no slip, but its near miss is.
    assert!(error("trainer: {max_epochs: 1}\ntrackin: {}\n").ends_with("did you mean tracking?"));
    for text in ["test_loss: 0.5\nepoch: 3\n", "qqqq: {x: 1}\n", "{}\n"] {
        assert!(error(text).contains("job.yaml"), "{text}");
    }
    assert!(error("{\"metrics\": {\"wert\": 1}}\n").contains("it has none of the groups model, optimizer"));
}

#[test]
fn sections_of_other_tools_and_programs_are_left_alone() {
    let job = config::compose(&config::Sources::default(), &[]).unwrap().to_yaml();
    let texts = [
        format!("{job}prepare: {{share: 1}}\n"),
        format!("{job}lr: 0.001\n"),
        job.replace("learning_rate: 0.001", "learning_rate: ${lr}") + "lr: 0.5\n",
        "score: {task: regression}\n".to_owned(),
    ];
    for text in texts {
        let folder = Folder::new(&[("params.yaml", &text)]);
        folder.tool(&TRAIN, &folder.file("params.yaml"), &[]).unwrap();
    }
}

#[test]
fn a_setting_that_the_file_has_left_out_can_be_given() {
    let file: String = recorded(&[])
        .lines()
        .filter(|line| !line.starts_with("  learning_rate:"))
        .fold(String::new(), |text, line| text + line + "\n");
    let folder = Folder::new(&[("job.yaml", &file)]);
    for given in ["optimizer.learning_rate=0.25", "+optimizer.learning_rate=0.25"] {
        let document = folder.tool(&TRAIN, &folder.file("job.yaml"), &[given]).unwrap();
        assert_eq!(text(&document, "optimizer.learning_rate"), "0.25");
    }
    // One that its option has not either stays an error.
    let error = folder.tool(&TRAIN, &folder.file("job.yaml"), &["optimizer.zzzz=1"]).unwrap_err();
    assert!(error.contains("optimizer.zzzz: unknown key"), "{error}");
}
