//! Run folders as `train` writes them, and damaged ones.

use runs::{Direction, Error, Run, Status};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const METRICS: &str = r#"{"train":{"loss":0.5},"val":{"loss":0.25,"r2":null},"test":{"loss":0.125,"epoch":3}}"#;

fn folder(parent: &TempDir, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = parent.path().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    files.iter().for_each(|(file, text)| fs::write(folder.join(file), text).expect("a file"));
    folder
}

fn finished(parent: &TempDir, name: &str, settings: &str) -> Run {
    let folder = folder(parent, name, &[("config.yaml", settings), ("metrics.json", METRICS)]);
    Run::read(&folder).expect("a run")
}

fn labels(runs: &[Run]) -> Vec<String> {
    runs::labels(&runs.iter().collect::<Vec<_>>())
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_finished_run_has_settings_and_metrics() {
    let parent = temporary();
    let run = finished(&parent, "a", "model:\n  name: mlp\n  hidden: [64, 64]\ntrainer: {seed: 1, clip_norm: null}\n");
    assert_eq!(
        run.settings.keys().collect::<Vec<_>>(),
        ["model.name", "model.hidden", "trainer.seed", "trainer.clip_norm"]
    );
    assert_eq!(run.settings["model.hidden"], serde_json::json!([64, 64]));
    assert_eq!(run.status, Status::Finished);
    assert_eq!(
        (run.metrics["val.loss"], run.metric("val_loss"), run.metric("val.loss")),
        (0.25, Some(0.25), Some(0.25))
    );
    assert!(run.metric("val_r2").is_some_and(f64::is_nan));
    assert_eq!(run.metric("val_mae"), None);
    assert_eq!((run.monitor.metric.as_str(), run.monitor.direction), ("val_loss", Direction::Minimize));
}

#[test]
fn the_monitor_is_that_of_the_callbacks() {
    let parent = temporary();
    let monitor = |name: &str, settings: &str| finished(&parent, name, settings).monitor;
    let of = |checkpoint: &str, stopping: &str| {
        format!("callbacks:\n  checkpoint: {checkpoint}\n  early_stopping: {stopping}\n")
    };
    for (i, (checkpoint, stopping, metric, direction)) in [
        ("{monitor: null, mode: auto}", "{monitor: null, mode: auto}", "val_loss", Direction::Minimize),
        ("{monitor: val_r2, mode: auto}", "{monitor: val_mae}", "val_r2", Direction::Maximize),
        ("{monitor: null, mode: auto}", "{monitor: val_accuracy, mode: auto}", "val_accuracy", Direction::Maximize),
        ("{monitor: val_mae, mode: max}", "{}", "val_mae", Direction::Maximize),
        ("{monitor: [1], mode: {}}", "3", "val_loss", Direction::Minimize),
    ]
    .into_iter()
    .enumerate()
    {
        let monitor = monitor(&i.to_string(), &of(checkpoint, stopping));
        assert_eq!((monitor.metric.as_str(), monitor.direction), (metric, direction), "{checkpoint} {stopping}");
    }
    let folder = folder(&parent, "x", &[("config.yaml", "a: 1"), ("metrics.json", r#"{"train":{"loss":1}}"#)]);
    assert_eq!(Run::read(&folder).expect("a run").monitor.metric, "train_loss");
}

fn end(status: &str, reason: &str) -> String {
    format!("{{\"event\":\"end\",\"status\":\"{status}\",\"reason\":\"{reason}\",\"time\":1.0}}\n")
}

#[test]
fn metrics_json_marks_a_finished_run_and_the_log_tells_of_others() {
    let parent = temporary();
    let step = "{\"event\":\"step\",\"epoch\":1,\"step\":1,\"metrics\":{},\"time\":1.0}\n";
    let reason = "the loss or a gradient is not finite in epoch 1";
    for (i, (log, status)) in [
        (String::new(), Status::Unfinished),
        (step.to_owned(), Status::Unfinished),
        (end("FINISHED", "max_epochs"), Status::Unfinished),
        (end("KILLED", "SIGTERM"), Status::Stopped("SIGTERM".into())),
        (end("FAILED", reason), Status::Diverged(reason.into())),
        (end("FAILED", "no space"), Status::Failed("no space".into())),
        (end("KILLED", "SIGTERM") + step, Status::Unfinished),
        (end("KILLED", "SIGTERM") + "{\"event\":\"st", Status::Unfinished),
        ("x".repeat(3 << 20) + "\n" + &end("KILLED", "SIGINT"), Status::Stopped("SIGINT".into())),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = folder(&parent, &i.to_string(), &[("config.yaml", "a: 1"), ("events.ndjson", &log)]);
        let run = Run::read(&folder).expect("a run");
        assert_eq!(run.status, status, "{i}");
        assert!(run.metrics.is_empty());
        fs::write(folder.join("metrics.json"), "{}").expect("a file");
        assert!(Run::read(&folder).expect("a run").is_finished());
    }
}

#[test]
fn damage_is_an_error_of_one_line_with_the_file() {
    let parent = temporary();
    let deep = "[".repeat(100_000);
    for (i, (files, expected)) in [
        (vec![("metrics.json", "{}")], "not a run folder: there is no config.yaml"),
        (vec![("config.yaml", "a: 1")], "not a run folder: there is no metrics.json and no events.ndjson"),
        (vec![("config.yaml", "a: [1"), ("metrics.json", "{}")], "config.yaml:2: not YAML"),
        (vec![("config.yaml", "- 1"), ("metrics.json", "{}")], "config.yaml:1: a document is a mapping"),
        (vec![("config.yaml", "\u{1}"), ("metrics.json", "{}")], "config.yaml:1: "),
        (vec![("config.yaml", &deep), ("metrics.json", "{}")], "config.yaml:1: not YAML: recursion limit"),
        (vec![("config.yaml", "a: 1"), ("metrics.json", "")], "metrics.json:1: not metrics: EOF"),
        (vec![("config.yaml", "a: 1"), ("metrics.json", "{\n1}")], "metrics.json:2: not metrics: "),
        (vec![("config.yaml", "a: 1"), ("metrics.json", "[1]")], "metrics.json:1: not metrics: expected a JSON object"),
        (vec![("config.yaml", "a: 1"), ("metrics.json", &deep)], "metrics.json:1: not metrics: recursion limit"),
        (vec![("config.yaml", "a: 1"), ("metrics.json", "{\"a\":1e999}")], "metrics.json:1: not metrics: number out"),
        (vec![("config.yaml", "a: 1"), ("events.ndjson", "garbage\n")], "events.ndjson: last line: not an event"),
        (
            vec![("config.yaml", "a: 1"), ("events.ndjson", "{\"event\":\"end\"}\n")],
            "last line: event \"end\": missing",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = folder(&parent, &i.to_string(), &files);
        let error = Run::read(&folder).expect_err(expected).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        assert!(error.contains(&folder.display().to_string()), "{error}");
    }
    assert!(matches!(Run::read(&parent.path().join("none")), Err(Error::NotARun { .. })));
}

#[test]
fn only_regular_text_files_of_bounded_size_are_read() {
    let parent = temporary();
    let folder = folder(&parent, "a", &[("config.yaml", "a: 1")]);
    let metrics = folder.join("metrics.json");
    let problem = || Run::read(&folder).expect_err("garbage").to_string();
    fs::write(&metrics, b"\xff\xfe{").expect("a file");
    assert!(problem().ends_with("metrics.json: not UTF-8 text"), "{}", problem());
    let file = fs::File::create(&metrics).expect("a file");
    file.set_len(1 << 40).expect("a sparse file");
    assert!(problem().contains("metrics.json: more than 16777216 bytes"), "{}", problem());
    fs::remove_file(&metrics).expect("a file");
    fs::create_dir(&metrics).expect("a folder");
    assert!(problem().ends_with("metrics.json: not a regular file"), "{}", problem());
    fs::remove_dir(&metrics).expect("a folder");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", &metrics).expect("a link");
        assert!(problem().ends_with("metrics.json: not a regular file"), "{}", problem());
    }
}

#[test]
fn run_folders_are_found_below_a_folder() {
    let parent = temporary();
    let run = [("config.yaml", "a: 1"), ("metrics.json", "{}")];
    for name in ["s/b", "s/a", "s/a/previous", "s/a/checkpoints", "s/c/previous", "s/.hidden", "s/a/nested"] {
        folder(&parent, name, &run);
    }
    folder(&parent, "s/d", &[("config.yaml", "a: 1"), ("events.ndjson", "")]);
    folder(&parent, "s/e", &[("config.yaml", "a: 1")]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(parent.path(), parent.path().join("s/link")).expect("a link");
    let found = |name: &str| {
        let found = runs::find(&parent.path().join(name)).expect("a folder");
        let name = |path: &Path| path.strip_prefix(parent.path()).expect("below").display().to_string();
        found.iter().map(|path| name(path)).collect::<Vec<_>>()
    };
    assert_eq!(found("s"), ["s/a", "s/a/nested", "s/b", "s/c/previous", "s/d"]);
    assert_eq!(found("s/b"), ["s/b"]);
    assert_eq!(found("s/a/previous"), ["s/a/previous"]);
    assert!(runs::find(&parent.path().join("none")).is_err());
}

#[test]
fn labels_are_the_settings_that_differ() {
    let parent = temporary();
    let run = |name: &str, settings: &str| finished(&parent, name, settings);
    let of = |optimizer: &str, seed: u32, folder: &str| {
        let more = if optimizer == "adam" { "betas: [0.9, 0.999]" } else { "momentum: 0.9" };
        format!(
            "model: {{name: mlp}}\noptimizer: {{name: {optimizer}, {more}}}\n\
             trainer: {{seed: {seed}, run_dir: {folder}, resume: null, batch_size: 128}}\n"
        )
    };
    let two = [run("a", &of("adam", 0, "a")), run("b", &of("adam", 1, "b"))];
    assert_eq!(labels(&two), ["seed=0", "seed=1"]);
    let grid = [run("a", &of("adam", 0, "a")), run("b", &of("adam", 1, "b")), run("c", &of("sgd", 0, "c"))];
    assert_eq!(labels(&grid), ["optimizer=adam, seed=0", "optimizer=adam, seed=1", "optimizer=sgd, seed=0"]);
}

#[test]
fn labels_show_four_settings_and_count_the_others() {
    let parent = temporary();
    let run = |name: &str, settings: &str| finished(&parent, name, settings);
    let of = |name: &str, rate: f64, scheduler: &str, seed: u32| {
        let text = format!(
            "optimizer: {{learning_rate: {rate}}}\nscheduler: {{name: {scheduler}}}\n\
             trainer: {{seed: {seed}, ema_decay: {rate}, epochs: {seed}, patience: {seed}}}\n"
        );
        run(name, &text)
    };
    let runs = [of("a", 0.1, "constant", 1), of("b", 0.01, "cosine, warmup: 5, cycles: 2", 2)];
    assert_eq!(
        labels(&runs),
        [
            "learning_rate=0.1, scheduler=constant, seed=1, ema_decay=0.1, \u{2026} +2",
            "learning_rate=0.01, scheduler=cosine, seed=2, ema_decay=0.01, \u{2026} +2"
        ]
    );
    let of = |name: &str, n: u32| run(name, &(0..5).map(|i| format!("k{i}: {n}\n")).collect::<String>());
    assert_eq!(labels(&[of("a", 1), of("b", 2)])[0], "k0=1, k1=1, k2=1, k3=1, k4=1");
    // More than four that it takes to tell runs apart are all shown.
    let one = |at: usize| (0..8).map(|i| format!("k{i}: {}\n", u8::from(i % 6 == at))).collect::<String>();
    let runs: Vec<Run> = (0..6).map(|at| run(&format!("o{at}"), &one(at))).collect();
    let made = labels(&runs);
    assert!(made.iter().enumerate().all(|(i, label)| !made[..i].contains(label) && !label.contains('(')), "{made:?}");
    assert_eq!(made[1], "k0=0, k1=1, k2=0, k3=0, k4=0, \u{2026} +3");
}

#[test]
fn labels_take_as_much_of_a_key_as_is_needed() {
    let parent = temporary();
    let run = |name: &str, a: u32, b: u32| {
        finished(&parent, name, &format!("a: {{rate: {a}, x: {b}}}\nb: {{rate: {b}, name: n{b}}}\n"))
    };
    let runs = [run("1", 1, 2), run("2", 1, 3)];
    assert_eq!(labels(&runs), ["x=2, b.rate=2, b=n2", "x=3, b.rate=3, b=n3"]);
}

#[test]
fn labels_fall_back_on_folders() {
    let parent = temporary();
    let run = |name: &str, settings: &str| finished(&parent, name, settings);
    assert_eq!(labels(&[]), [""; 0]);
    assert_eq!(labels(&[run("s/x", "a: 1")]), ["x"]);
    assert_eq!(labels(&[run("s/x", "a: 1"), run("t/x", "a: 1.0")]), ["s/x", "t/x"]);
    assert_eq!(labels(&[run("x", "a: 1"), run("y", "a: 1"), run("z", "a: 2")]), ["a=1 (x)", "a=1 (y)", "a=2"]);
    assert_eq!(labels(&[run("x", "a: 1"), run("x", "a: 1")]), ["x", "x (2)"]);
    assert_eq!(labels(&[run("x", "a: 1"), run("y", "b: 2")]), ["a=1", "y"]);
}

#[test]
fn labels_stay_short_and_on_one_line() {
    let parent = temporary();
    let many = |n: u32| (0..20).map(|i| format!("k{i}: {n}\n")).collect::<String>();
    let run = |name: &str, settings: &str| finished(&parent, name, settings);
    assert_eq!(
        labels(&[run("a", &many(1)), run("b", &many(2))]),
        ["k0=1, k1=1, k2=1, k3=1, \u{2026} +16", "k0=2, k1=2, k2=2, k3=2, \u{2026} +16"]
    );
    let long = "x".repeat(100);
    let runs = [run("a", &format!("k: {long}a")), run("b", &format!("k: {long}b"))];
    let shortened = format!("k={}\u{2026}", "x".repeat(32));
    assert_eq!(labels(&runs), [format!("{shortened} (a)"), format!("{shortened} (b)")]);
    let runs = [run("a", "k: \"a\\n\\e[31m\""), run("b", "k: \"b\"")];
    assert_eq!(labels(&runs), ["k=a\u{fffd}\u{fffd}[31m", "k=b"]);
}

proptest::proptest! {
    #[test]
    fn no_two_labels_are_the_same_and_nothing_panics(documents in proptest::collection::vec("[ab]: ([12]|\\{[ab]: [12]\\}|x, [ab]=1)", 0..6)) {
        let parent = temporary();
        let runs: Vec<Run> = documents.iter().enumerate().map(|(i, text)| finished(&parent, &i.to_string(), text)).collect();
        let labels = labels(&runs);
        let distinct: std::collections::HashSet<_> = labels.iter().collect();
        proptest::prop_assert_eq!(distinct.len(), runs.len());
    }

    #[test]
    fn no_file_panics(settings in ".*", metrics in ".*", log in ".*") {
        let parent = temporary();
        for files in [[("config.yaml", settings.as_str()), ("metrics.json", "{}"), ("events.ndjson", "")],
            [("config.yaml", "a: 1"), ("metrics.json", &metrics), ("events.ndjson", "")]] {
            let _ = Run::read(&folder(&parent, "a", &files));
        }
        let _ = Run::read(&folder(&parent, "b", &[("config.yaml", "a: 1"), ("events.ndjson", &log)]));
    }
}
