//! The real binary on run folders as `train` leaves them: what it prints, what it says of bad input, how it exits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use std::{fs, path::Path};
use testkit::{Done, Folder, log, run_folder as run, tool};

/// The lines of the table, their cells without the spaces between.
trait Table {
    fn rows(&self) -> Vec<String>;
}

impl Table for Done {
    fn rows(&self) -> Vec<String> {
        self.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}

fn compare(folder: &Folder, args: &[&str]) -> Done {
    compare_stdin(folder, args, "")
}

fn compare_stdin(folder: &Folder, args: &[&str], stdin: &str) -> Done {
    tool!("compare").within(folder).args(args).stdin(stdin).run()
}

/// Fails with one line that has `expected` in it, and prints nothing.
fn fails(folder: &Folder, args: &[&str], status: i32, expected: &str) {
    let done = compare(folder, args);
    assert_eq!(done.status, status, "{args:?}: {}", done.error);
    assert!(done.error.contains(expected), "{args:?}: {}", done.error);
    assert_eq!(done.error.lines().count(), 1, "{args:?}: {}", done.error);
    assert!(status == 1 || done.out.is_empty(), "{args:?}: {}", done.out);
}

/// A finished run with a seed and a validation loss.
fn seed(folder: &Folder, name: &str, optimizer: &str, seed: u32, loss: f64) {
    let settings = format!(
        "optimizer: {{name: {optimizer}}}\ntrainer: {{seed: {seed}, batch_size: 32, run_dir: '{name}', resume: null}}\n"
    );
    run(folder, name, &settings, &format!(r#"{{"train":{{"loss":9}},"val":{{"loss":{loss}}}}}"#));
}

fn end(status: &str, reason: &str) -> String {
    log::lines(&[log::end(status, reason)])
}

#[test]
fn runs_are_rows_best_first_with_the_settings_that_differ() {
    let folder = Folder::new();
    seed(&folder, "runs/a", "adam", 0, 0.5);
    seed(&folder, "runs/b", "sgd", 0, 0.25);
    seed(&folder, "runs/c", "rmsprop", 0, 0.125);
    let done = compare(&folder, &["runs"]);
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    let expected = [
        "run optimizer val_loss train_loss",
        "c rmsprop 0.12500 9.0000",
        "b sgd 0.25000 9.0000",
        "a adam 0.50000 9.0000",
    ];
    assert_eq!(done.rows(), expected);
    assert_eq!(compare(&folder, &["runs/a", "runs/b", "runs/c", "runs/a/../a"]).rows(), expected);
    assert_eq!(compare_stdin(&folder, &[], "runs/a\nruns/b\n\nruns/c\n").rows(), expected);
}

#[test]
fn columns_are_aligned() {
    let folder = Folder::new();
    seed(&folder, "runs/a", "adam", 0, 0.5);
    seed(&folder, "runs/long", "rmsprop", 0, 1000.0);
    let done = compare(&folder, &["runs", "--metrics", "val_loss"]);
    assert_eq!(done.out, "run   optimizer  val_loss\na     adam        0.50000\nlong  rmsprop      1000.0\n");
    let done = compare(&folder, &["runs", "--metrics", "val_loss", "--to", "md"]);
    let expected = "| run  | optimizer | val_loss |\n|------|-----------|----------|\n| a    | adam      |  0.50000 |\n| long | rmsprop   |   1000.0 |\n";
    assert_eq!(done.out, expected);
}

#[test]
fn seeds_are_one_row_with_the_interval_of_its_mean() {
    let folder = Folder::new();
    for (i, loss) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        seed(&folder, &format!("runs/adam,seed={i}"), "adam", i as u32, loss);
    }
    seed(&folder, "runs/sgd,seed=0", "sgd", 0, 1.5);
    // By hand: t(0.975; 2) = 4.3027, s = 1, 4.3027 / sqrt(3) = 2.4841.
    let rows = compare(&folder, &["runs", "--metrics", "val_loss"]).rows();
    assert_eq!(rows, ["run optimizer n val_loss", "sgd,seed=0 sgd 1 1.5000", "adam,seed=* adam 3 2.0 ± 2.5"]);
    let csv = compare(&folder, &["runs", "--metrics", "val_loss", "--to", "csv"]);
    let line = csv.out.lines().nth(2).unwrap();
    assert!(line.starts_with("\"runs/adam,seed=0\",finished,false,3,adam,2,2.4841377117"), "{line}");
    // t(0.75; 2) = 0.81650.
    let narrow = compare(&folder, &["runs", "confidence=0.5", "--metrics", "val_loss"]).rows();
    assert_eq!(narrow[2], "adam,seed=* adam 3 2.00 ± 0.47");
    let apart = compare(&folder, &["runs", "seeds=[]", "--metrics", "val_loss"]).rows();
    assert_eq!(apart[..3], ["run optimizer seed val_loss", "adam,seed=0 adam 0 1.0000", "sgd,seed=0 sgd 0 1.5000"]);
}

#[test]
fn runs_that_repeat_a_seed_are_not_independent() {
    let folder = Folder::new();
    for i in 0..2 {
        seed(&folder, &format!("before/{i}"), "adam", i, 1.0 + f64::from(i));
        seed(&folder, &format!("after/{i}"), "adam", i, 2.0 + f64::from(i));
    }
    let rows = compare(&folder, &["before", "after", "--metrics", "val_loss"]).rows();
    assert_eq!(rows, ["run n val_loss", "before/* 2 1.5 ± 6.4", "after/* 2 2.5 ± 6.4"]);
    seed(&folder, "same/x", "sgd", 0, 1.0);
    seed(&folder, "same/y", "sgd", 0, 2.0);
    assert_eq!(compare(&folder, &["same", "--metrics", "val_loss"]).rows(), ["run val_loss", "x 1.0000", "y 2.0000"]);
}

#[test]
fn the_monitor_of_the_runs_ranks_them_in_its_direction() {
    let folder = Folder::new();
    let settings = |x: u32, monitor: &str, mode: &str| {
        format!("x: {x}\ncallbacks: {{checkpoint: {{monitor: {monitor}, mode: {mode}}}}}\n")
    };
    let metrics = |accuracy: f64| {
        format!(
            r#"{{"val":{{"loss":{accuracy},"accuracy":{accuracy}}},"test":{{"accuracy":0.5,"epoch":3,"step":30}}}}"#
        )
    };
    run(&folder, "runs/a", &settings(1, "val_accuracy", "auto"), &metrics(0.5));
    run(&folder, "runs/b", &settings(2, "val_accuracy", "auto"), &metrics(0.75));
    let expected = ["run x val_accuracy test_accuracy", "b 2 0.75000 0.50000", "a 1 0.50000 0.50000"];
    assert_eq!(compare(&folder, &["runs"]).rows(), expected);
    assert_eq!(compare(&folder, &["runs", "mode=min"]).rows()[1], expected[2]);
    assert_eq!(compare(&folder, &["runs", "metric=val_loss", "--best"]).out, "runs/a\n");
    assert_eq!(compare(&folder, &["runs", "metric=val.loss", "--best"]).out, "runs/a\n");
    assert_eq!(compare(&folder, &["runs", "compare.metric=val_accuracy", "--best"]).out, "runs/b\n");
    run(&folder, "runs/c", &settings(3, "val_loss", "auto"), &metrics(0.9));
    let problem =
        "the runs monitored different metrics, or in different directions: val_accuracy in runs/a, val_loss in runs/c";
    fails(&folder, &["runs"], 2, problem);
    assert_eq!(compare(&folder, &["runs", "metric=val_accuracy", "--best"]).out, "runs/c\n");
}

#[test]
fn the_best_of_a_row_is_its_best_run() {
    let folder = Folder::new();
    for (i, loss) in [0.3, 0.1, 0.2].into_iter().enumerate() {
        seed(&folder, &format!("runs/a b/{i}"), "adam", i as u32, loss);
        seed(&folder, &format!("runs/sgd/{i}"), "sgd", i as u32, if i == 0 { 0.01 } else { 0.9 });
    }
    let done = compare(&folder, &["runs", "--best"]);
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (0, "runs/a b/1\n", ""));
    fails(&folder, &["runs", "--best", "--to", "md"], 2, "--best prints a path: no --to");
    fails(&folder, &["runs", "--best", "--metrics", "val_loss"], 2, "no --metrics");
}

#[test]
fn unfinished_runs_come_last_and_are_never_best() {
    let folder = Folder::new();
    let settings = |x: u32| format!("x: {x}\n");
    run(&folder, "runs/finished", &settings(0), r#"{"val":{"loss":0.5}}"#);
    run(&folder, "runs/nan", &settings(1), r#"{"val":{"loss":null}}"#);
    run(&folder, "runs/other", &settings(2), r#"{"val":{"mae":0.25}}"#);
    let logs = [
        ("cut", "{\"event\":\"st".to_owned()),
        ("diverged", end("FAILED", "the loss or a gradient is not finite in epoch 2, step 3")),
        ("failed", end("FAILED", "disk full")),
        ("stopped", end("KILLED", "SIGTERM")),
    ];
    for (i, (name, log)) in logs.iter().enumerate() {
        folder.write(format!("runs/{name}/config.yaml"), settings(3 + i as u32));
        folder.write(format!("runs/{name}/events.ndjson"), log);
    }
    let rows = compare(&folder, &["runs"]).rows();
    let expected = [
        "run x val_loss val_mae status",
        "finished 0 0.50000 - finished",
        "nan 1 NaN - finished",
        "other 2 - 0.25000 finished",
        "cut 3 - - unfinished",
        "diverged 4 - - diverged",
        "failed 5 - - failed",
        "stopped 6 - - stopped",
    ];
    assert_eq!(rows, expected);
    assert_eq!(compare(&folder, &["runs", "mode=max", "--best"]).out, "runs/finished\n");
    fails(&folder, &["runs/cut", "runs/stopped", "--best"], 2, "no finished run; runs/cut is unfinished");
    fails(&folder, &["runs/nan", "--best"], 2, "no finished run has a number for val_loss");
    assert_eq!(compare(&folder, &["runs/cut", "runs/stopped"]).status, 0);
    let json: serde_json::Value = serde_json::from_str(&compare(&folder, &["runs", "--to", "json"]).out).unwrap();
    assert_eq!(json["rows"][1]["metrics"]["val_loss"]["mean"], serde_json::Value::Null);
    assert_eq!(json["rows"][6]["reason"], "SIGTERM");
    assert!(json["rows"][4]["reason"].as_str().unwrap().contains("not finite"));
}

#[test]
fn a_run_that_is_being_written_is_unfinished() {
    let folder = Folder::new();
    seed(&folder, "runs/a", "adam", 0, 0.5);
    folder.write("runs/b/config.yaml", "optimizer: {name: adam}\ntrainer: {seed: 1, batch_size: 32}\n");
    folder.write("runs/b/events.ndjson", log::lines(&[log::epoch(1, 1, json!({}))]));
    // The finished run that was there before is no run of its own.
    seed(&folder, "runs/b/previous", "adam", 1, 0.125);
    folder.write("runs/b/.tmp123", "half a file");
    let rows = compare(&folder, &["runs", "--metrics", "val_loss"]).rows();
    assert_eq!(rows, ["run seed val_loss status", "a 0 0.50000 finished", "b 1 - unfinished"]);
    assert_eq!(compare(&folder, &["runs", "--best"]).out, "runs/a\n");
    assert_eq!(compare(&folder, &["runs/b/previous", "--best"]).out, "runs/b/previous\n");
}

/// Three runs of `new`, with a mean of 1, and three of `old`, with a mean of 0.5.
fn two_groups() -> Folder {
    let folder = Folder::new();
    for i in 0..3 {
        let spread = 0.01 * (f64::from(i) - 1.0);
        seed(&folder, &format!("new/{i}"), "sgd", i, 1.0 + spread);
        seed(&folder, &format!("old/{i}"), "adam", i, 0.5 + spread);
    }
    folder
}

#[test]
fn a_gate_fails_only_where_the_interval_leaves_no_doubt() {
    let folder = two_groups();
    let gate = |condition: &str| compare(&folder, &["new", "--baseline", "old", "--fail-if", condition]);
    // By hand: each mean has the error 0.01 / sqrt(3), and 4 degrees of freedom where the factor is 1: half the width is
    // 2.7764 * 0.01 * sqrt(2 / 3) = 0.02267.
    for (condition, status) in [
        ("val_loss>baseline", 1),
        ("val_loss > baseline + 0.477", 1),
        ("val_loss>baseline+0.478", 0),
        ("val_loss>=baseline+0.477", 1),
        ("val_loss<baseline+0.522", 0),
        ("val_loss<baseline+0.523", 1),
        ("val_loss<=baseline+0.523", 1),
        ("val.loss>1.01*baseline", 1),
        ("val_loss>2*baseline", 0),
        ("val_loss<2*baseline", 0),
        ("val_loss>0.97", 1),
        ("val_loss>0.98", 0),
    ] {
        let done = gate(condition);
        assert_eq!(done.status, status, "{condition}: {}", done.error);
        assert!(done.out.contains("old/* (baseline)"), "{}", done.out);
    }
    let failed = gate("val_loss>1.01*baseline").error;
    let expected =
        "compare: val_loss>1.01*baseline: 1.0000 in new/0, mean of 3; bound 0.50500, difference 0.495 ± 0.023\n";
    assert_eq!(failed, expected);
    let doubtful = gate("val_loss>baseline+0.49").error;
    assert!(doubtful.ends_with("difference 0.010 ± 0.023: passes, the interval includes 0\n"), "{doubtful}");
    assert_eq!(gate("val_loss>3*baseline").error, "");
    let both =
        compare(&folder, &["new", "--baseline", "old", "--fail-if", "val_loss>baseline", "--fail-if", "val_loss>0.9"]);
    assert!(both.status == 1 && both.error.contains("; val_loss>0.9: "), "{}", both.error);
}

#[test]
fn a_single_run_is_compared_plainly_and_that_is_said() {
    let folder = two_groups();
    for (args, status) in [
        (["new/0", "--baseline", "old", "--fail-if", "val_loss>baseline"], 1),
        (["new", "--baseline", "old/0", "--fail-if", "val_loss>baseline"], 1),
        (["new/0", "--baseline", "old/0", "--fail-if", "val_loss>2.03*baseline"], 0),
    ] {
        let done = compare(&folder, &args);
        assert_eq!(done.status, status, "{}", done.error);
        assert!(done.error.contains("a single run on one side: compared without an interval"), "{}", done.error);
    }
}

#[test]
fn a_gate_is_about_the_best_row_that_is_not_the_baselines() {
    let folder = two_groups();
    seed(&folder, "more/0", "rmsprop", 0, 0.25);
    let args = ["new", "more", "old", "--baseline", "old", "--fail-if", "val_loss>baseline"];
    assert_eq!(compare(&folder, &args).status, 0);
    assert_eq!(compare(&folder, &["new", "old", "--baseline", "old", "--fail-if", "val_loss>baseline"]).status, 1);
    assert_eq!(compare(&folder, &["new", "old", "--baseline", "old", "--best"]).out, "new/0\n");
    fails(&folder, &["old", "--baseline", "old", "--fail-if", "val_loss>baseline"], 2, "no run but the baseline's");
}

#[test]
fn what_no_gate_can_be_judged_by_is_an_error() {
    let folder = two_groups();
    run(&folder, "nan", "x: 1", r#"{"val":{"loss":0.1,"mae":null}}"#);
    folder.write("cut/config.yaml", "x: 1");
    folder.write("cut/events.ndjson", "");
    let gate = |args: &[&str], condition: &str, problem: &str| {
        fails(&folder, &[args, &["--fail-if", condition]].concat(), 2, problem);
    };
    let base = ["new", "--baseline", "old"];
    gate(&["new"], "val_loss>baseline", "--fail-if: which baseline? Name its folder with --baseline");
    gate(
        &base,
        "val_los>baseline",
        "no run has a metric \"val_los\"; did you mean val_loss?; there are train_loss, val_loss",
    );
    gate(&base, "val_loss", "no comparison; expected metric>bound");
    gate(&base, "val_loss=1", "no comparison");
    gate(&base, ">1", "no metric");
    gate(&base, "val_loss>", "expected a number or baseline at the end");
    gate(&base, "val_loss>>1", "expected a number or baseline at \">1\"");
    gate(&base, "val_loss>baseline*baseline", "baseline times baseline");
    gate(&["nan"], "val_mae>1", "--fail-if: val_mae is not a number in nan");
    gate(&["cut"], "val_loss>1", "no finished run; cut is unfinished");
    gate(&["new", "--baseline", "cut"], "val_loss>baseline", "--baseline: no finished run");
    gate(&["nan", "--baseline", "."], "val_loss>baseline", "no run but the baseline's");
    gate(
        &["new/0", "--baseline", "old", "--baseline", "nan"],
        "val_loss>baseline",
        "--baseline: runs of different settings, such as",
    );
    gate(&["new", "--baseline", "none"], "val_loss>baseline", "--baseline: none: ");
}

#[cfg(unix)]
#[test]
fn the_answer_survives_a_reader_that_closed_the_pipe() {
    let folder = two_groups();
    let status = |condition: &str| {
        let command = tool!("compare").within(&folder).args(["new", "--baseline", "old", "--fail-if", condition]);
        let done = command.shell("{ \"$0\" \"$@\"; echo $? >&2; } | true").run();
        done.error.lines().last().unwrap().to_owned()
    };
    for _ in 0..5 {
        assert_eq!((status("val_loss>baseline"), status("val_loss>3*baseline")), ("1".into(), "0".into()));
    }
}

#[test]
fn bad_input_is_one_line() {
    let folder = Folder::new();
    seed(&folder, "runs/a", "adam", 0, 0.5);
    fs::create_dir(folder.join("empty")).unwrap();
    folder.write("file", "x");
    run(&folder, "yaml", "a: [", "{}");
    run(&folder, "json", "a: 1", "{\"val\":\n");
    run(&folder, "list", "a: 1", "[1]");
    run(&folder, "none", "a: 1", "{}");
    run(&folder, "text", "a: 1", r#"{"val":{"loss":"low"}}"#);
    folder.write("log/config.yaml", "a: 1");
    folder.write("log/events.ndjson", "\u{0}\u{1}garbage\n");
    for (args, problem) in [
        (vec!["missing"], "compare: missing: No such file or directory"),
        (vec!["empty"], "compare: empty: no run folders there; a run folder holds config.yaml, and metrics.json or"),
        (vec!["file"], "compare: file: no run folders there"),
        (vec![], "compare: stdin: empty; name run folders"),
        (vec!["yaml"], "compare: yaml/config.yaml:"),
        (vec!["json"], "compare: json/metrics.json:2: not metrics: EOF"),
        (vec!["list"], "compare: list/metrics.json:1: not metrics: expected a JSON object"),
        (vec!["log"], "compare: log/events.ndjson: last line: not an event"),
        (vec!["none"], "no metrics.json has val_loss, which the runs monitored; there are none, to choose"),
        (vec!["text"], "no metrics.json has val_loss"),
        (
            vec!["runs", "metric=val_mae"],
            "compare.metric: no run has a metric \"val_mae\"; there are train_loss, val_loss",
        ),
        (vec!["runs", "--metrics", "val_los"], "--metrics: no run has a metric \"val_los\"; did you mean val_loss?"),
        (vec!["runs", "--metrics", "val_loss,"], "--metrics \"val_loss,\": expected names"),
        (
            vec!["runs", "columns=[lr]"],
            "compare.columns: no run has a metric \"lr\"; there are train_loss, val_loss; and no setting",
        ),
        (vec!["runs", "columns=[seed]", "--metrics", "val_loss"], "--metrics or compare.columns"),
        (vec!["runs", "confidence=1"], "compare.confidence: 1; expected above 0 and below 1"),
        (vec!["runs", "confidence=0"], "compare.confidence: 0; expected"),
        (vec!["runs", "mode=up"], "compare.mode"),
        (vec!["runs", "metrc=x"], "did you mean compare.metric"),
        (vec!["runs", "--to", "xml"], "unknown encoding \"xml\"; expected table, md, csv or json"),
    ] {
        fails(&folder, &args, 2, problem);
    }
}

#[test]
fn columns_are_chosen_by_name_or_by_number() {
    let folder = Folder::new();
    for i in 0..2 {
        let settings = |i: u32| (0..12).map(|k| format!("k{k}: {i}\n")).collect::<String>() + "same: {name: x}\n";
        let metrics = r#"{"val":{"loss":1,"mae":2},"test":{"loss":3,"mae":4,"epoch":5,"step":6},"extra":7}"#;
        run(&folder, &format!("runs/{i}"), &settings(i), metrics);
    }
    let done = compare(&folder, &["runs"]);
    assert_eq!(done.rows()[0], "run k0 k1 k2 k3 k4 k5 k6 k7 val_loss test_loss test_mae");
    assert_eq!(done.error, "compare: 4 more settings differ; compare.max_settings= or compare.columns= shows them\n");
    let done = compare(&folder, &["runs", "max_settings=1", "max_metrics=2"]);
    assert_eq!(done.rows()[0], "run k0 val_loss test_loss");
    let done = compare(&folder, &["runs", "columns=[test_epoch,same,k11,val.mae,extra]"]);
    assert_eq!(done.rows()[..2], ["run same k11 test_epoch val_mae extra", "0 x 0 5.0000 2.0000 7.0000"]);
    let csv = compare(&folder, &["runs", "--to", "csv"]);
    let expected = "run,status,baseline,n,k0,k1,k2,k3,k4,k5,k6,k7,k8,k9,k10,k11,val_loss,test_loss,test_mae,val_mae,extra,test_epoch,test_step";
    assert_eq!((csv.out.lines().next(), csv.error.as_str()), (Some(expected), ""));
}

#[test]
fn the_output_file_has_the_encoding_of_its_name() {
    let folder = Folder::new();
    seed(&folder, "runs/a", "adam", 0, 0.5);
    for (file, begins) in [("t.md", "| run"), ("t.csv", "run,"), ("t.json", "{"), ("t.txt", "run "), ("t", "run ")] {
        let done = compare(&folder, &["runs", "-o", file]);
        assert_eq!((done.status, done.out.as_str()), (0, ""), "{}", done.error);
        assert!(fs::read_to_string(folder.join(file)).unwrap().starts_with(begins), "{file}");
    }
    assert!(compare(&folder, &["runs", "-o", "-", "--to", "csv"]).out.starts_with("run,"));
    assert_eq!(compare(&folder, &["runs", "-o", "no/such/t.md"]).status, 2);
    let misnamed = compare(&folder, &["runs", "-o", "t.parquet"]);
    let expected = "compare: t.parquet: a table is written as .txt, .md, .csv or .json, unless --to says how\n";
    assert_eq!((misnamed.status, misnamed.error.as_str()), (2, expected));
    assert_eq!(compare(&folder, &["runs", "-o", "t.parquet", "--to", "csv"]).status, 0);
}

#[test]
fn cells_hold_what_they_hold() {
    let folder = Folder::new();
    run(&folder, "a", "k: \"a|b\\\\\\n\\e[31m,\\\"\"\n", r#"{"val":{"loss":1}}"#);
    run(&folder, "b", "k: [1, {x: 2}]\n", r#"{"val":{"loss":2}}"#);
    let markdown = compare(&folder, &["a", "b", "--to", "md"]).out;
    assert!(markdown.contains("| a\\|b\\\\\u{fffd}\u{fffd}[31m,\" | "), "{markdown}");
    let csv = compare(&folder, &["a", "b", "--to", "csv"]).out;
    assert!(
        csv.contains(",\"a|b\\\u{fffd}\u{fffd}[31m,\"\"\",1\n") && csv.contains(",\"[1,{\"\"x\"\":2}]\",2\n"),
        "{csv}"
    );
    let layers = format!("k: [{}]\n", ["conv"; 100].join(", "));
    run(&folder, "c", &layers, r#"{"val":{"loss":3}}"#);
    let shortened = "c [\"conv\",\"conv\",\"conv\",\"conv\",\"co\u{2026} 3.0000";
    assert_eq!(compare(&folder, &["a", "c"]).rows()[2], shortened);
    let json: serde_json::Value = serde_json::from_str(&compare(&folder, &["a", "b", "--to", "json"]).out).unwrap();
    assert_eq!(json["rows"][0]["settings"]["k"], "a|b\\\n\u{1b}[31m,\"");
}

#[test]
fn runs_of_other_rows_are_told() {
    let folder = Folder::new();
    let start = |name: &str, sha: &str| {
        let path = format!("{name}/events.ndjson");
        let mut event = log::start("r");
        event["data_sha256"] = sha.into();
        folder.write(path, log::lines(&[event]));
    };
    for (i, sha) in ["aa", "aa", "bb"].iter().enumerate() {
        seed(&folder, &format!("runs/{i}"), "adam", i as u32, 1.0);
        start(&format!("runs/{i}"), sha);
    }
    assert_eq!(compare(&folder, &["runs/0", "runs/1"]).error, "");
    let note = "compare: the runs were not all trained on the same rows, as their logs tell\n";
    assert_eq!(compare(&folder, &["runs"]).error, note);
}

#[test]
fn help_and_settings_are_shown() {
    let folder = Folder::new();
    let help = compare(&folder, &["--help"]);
    assert!(help.status == 0 && help.out.contains("--fail-if"), "{}", help.out);
    let settings = compare(&folder, &["--cfg", "confidence=0.9"]);
    assert!(settings.out.contains("confidence: 0.9 #"), "{}", settings.out);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/compare/default.yaml").is_file());
}
