//! The real binary: what it passes on, its files and its errors; and, against a small server of this
//! test that loses answers on purpose, that nothing is lost or doubled. `peer_track.py` has a real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod server;

use common::{END, as_strs, log, onnx, outcome, place, quick, start, step, track};
use serde_json::{Value, json};
use server::{Fault, Server};
use std::{
    fs,
    io::{BufRead, Write},
};
use testkit::Folder;

#[test]
fn lines_are_passed_on_byte_for_byte() {
    let folder = Folder::new();
    let odd = b"not json\r\n\n\xff\xfe\n{\"event\":\"confetti\"}\n{ \"event\" : \"end\" }\nno newline at the end";
    let input = [start("a").as_bytes(), odd].concat();
    let (status, out, error) = outcome(track(&folder, &["--no-mlflow"]), &input);
    assert_eq!((status, out), (0, input));
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(error.starts_with("track: stdin:2: not an event: expected ident"), "{error}");
    assert!(error.ends_with("track: stdin: 4 lines were passed on and not logged\n"), "{error}");
    assert!(!folder.join(".pipegrad").exists());
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let folder = Folder::new();
    folder.write("e.ndjson", log(2));
    let (status, out, _) = outcome(track(&folder, &["--no-mlflow", "e.ndjson"]), "");
    assert_eq!((status, out), (0, log(2).into_bytes()));
}

#[test]
fn bad_usage_and_bad_input_are_one_line() {
    let folder = Folder::new();
    folder.write("file", "");
    for (args, stdin, expected) in [
        (&["uri=sqlite:///x.db"][..], log(1), "tracking.uri: sqlite:///x.db: expected http:// or https://"),
        (&["uri=nowhere"], log(1), "tracking.uri: nowhere: expected http:// or https://"),
        (&["timeout=-1"], log(1), "tracking.timeout: -1; expected seconds, from 0 to 31622400"),
        (&["wait=1e18"], log(1), "tracking.wait: 1000000000000000000; expected seconds"),
        (&["retry_first=1e19"], log(1), "tracking.retry_first: 10000000000000000000; expected seconds"),
        (&["timeout=0"], log(1), "tracking.timeout: 0; expected more than 0 seconds"),
        (&["artifacts=['{']"], log(1), "tracking.artifacts: "),
        (&["group=true", "parent_run=x"], log(1), "tracking.group: a run has one parent"),
        (&["experimemt=x"], log(1), "did you mean"),
        (&["--no-mlflow", "--csv", "file/x"], log(1), "--csv file/x: "),
        (&["--spool", "file/x"], log(1), "file/x: tracking.spool: "),
        (&["--resume", "nothing"], String::new(), "nothing: No such file"),
        (&["--resume", "."], String::new(), ".: no spool in this folder"),
        (&["--resume", ".", "--csv", "x"], String::new(), "--resume: allows only key=value settings"),
        (&["--no-mlflow"], String::new(), "stdin: no start event"),
        (&["--no-mlflow", "none.ndjson"], String::new(), "none.ndjson: No such file"),
    ] {
        let (status, _, error) = outcome(track(&folder, args), stdin);
        assert_eq!((status, error.lines().count()), (2, 1), "{args:?}: {error}");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let left: Vec<_> = fs::read_dir(folder.join(".pipegrad/spool")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn events_before_a_run_are_not_of_it() {
    let folder = Folder::new();
    let input = step(1) + &log(2);
    let (status, _, error) = outcome(track(&folder, &["--no-mlflow", "--dvclive", "d"]), &input);
    assert_eq!(
        (status, error.as_str()),
        (0, "track: stdin:1: an event before the start of a run; passed on, not logged\n")
    );
    let tsv = folder.text("d/plots/metrics/loss.tsv");
    assert_eq!(tsv, "step\tloss\n1\t1.0\n2\t0.5\n");
}

#[test]
fn files_hold_one_run_and_begin_anew() {
    let folder = Folder::new();
    let files = ["--no-mlflow", "--dvclive", "d", "--csv", "c"];
    let old = start("a") + "{\"event\":\"test\",\"epoch\":1,\"step\":9,\"metrics\":{\"old\":1.0},\"time\":1.0}\n";
    assert_eq!(outcome(track(&folder, &files), old).0, 0);
    let (status, out, error) = outcome(track(&folder, &files), log(3) + &log(5));
    assert_eq!((status, out), (2, (log(3) + &log(5)).into_bytes()));
    assert_eq!(error, "track: stdin:6: a second run; the files hold the first\n");
    let csv = folder.text("c/metrics.csv");
    assert_eq!(csv, "epoch,loss,step\n1,1.0,1\n1,0.5,2\n1,0.3333333333333333,3\n");
    assert!(!folder.join("d/plots/metrics/old.tsv").exists());
}

#[test]
fn a_column_that_comes_late_leaves_gaps_above_it() {
    let folder = Folder::new();
    let late = "{\"event\":\"validation\",\"epoch\":1,\"step\":2,\"metrics\":{\"a,b\":null},\"time\":1.0}\n";
    let (status, _, error) = outcome(track(&folder, &["--no-mlflow", "--csv", "c"]), log(2) + late);
    assert_eq!(status, 0, "{error}");
    let csv = folder.text("c/metrics.csv");
    assert_eq!(csv, "\"a,b\",epoch,loss,step\n,1,1.0,1\n,1,0.5,2\nnan,1,,2\n");
    assert_eq!(
        folder.text("c/hparams.yaml"),
        "model:\n  hidden:\n  - 64\n  - 64\noptimizer:\n  learning_rate: 0.001\n"
    );
}

#[test]
fn a_log_that_cannot_be_written_does_not_hold_the_lines_back() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("c/metrics.csv")).unwrap();
    let (status, out, error) = outcome(track(&folder, &["--no-mlflow", "--csv", "c", "--dvclive", "d"]), log(2));
    assert_eq!((status, out), (2, log(2).into_bytes()));
    assert!(error.contains("metrics.csv"), "{error}");
    assert!(folder.join("d/metrics.json").exists());
}

#[test]
fn what_a_server_gets_is_the_run() {
    let (folder, server) = (place(), Server::start(&[]));
    let args = quick(&server);
    let (status, out, error) = outcome(track(&folder, &as_strs(&args)), log(3));
    assert_eq!((status, out, error.as_str()), (0, log(3).into_bytes(), ""));
    let run = server.only_run();
    assert_eq!(run.status, ("FINISHED".into(), 9_000_250));
    assert_eq!(run.params, [("model.hidden", "[64,64]"), ("optimizer.learning_rate", "0.001")].map(owned).into());
    let metric = |step: usize| json!({"key": "loss", "value": 1.0 / step as f64, "step": step, "timestamp": 1_000_500 + 1000 * step});
    assert_eq!(run.metrics, (1..=3).map(metric).collect::<Vec<_>>());
    assert_eq!(run.tags["mlflow.source.git.dirty"], "true");
    let left: Vec<_> = fs::read_dir(folder.join(".pipegrad/spool")).unwrap().collect();
    assert!(left.is_empty(), "what is sent is taken away");
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.into(), value.into())
}

/// Each fault hits one request after another, until none is left that it has not hit.
#[test]
fn whatever_answer_is_lost_nothing_is_lost_or_doubled() {
    for fault in [Fault::BeforeWork, Fault::AfterWork, Fault::TooLate] {
        for hit in 0.. {
            let (folder, server) = (place(), Server::start(&[(hit, fault)]));
            let mut args = quick(&server);
            args.push("registered_model=m".into());
            folder.write("runs/a/config.yaml", "a: 1\n");
            folder.write("runs/a/model.onnx", onnx());
            let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(1500));
            assert_eq!(status, 0, "{error}");
            let run = server.only_run();
            assert_eq!((run.metrics.len(), run.status.0.as_str()), (1500, "FINISHED"), "{fault:?} at {hit}: {error}");
            let (model, plain): (Vec<_>, _) = run.artifacts.iter().partition(|name| name.starts_with("model/"));
            assert_eq!(plain, ["config.yaml", "model.onnx"].iter().collect::<Vec<_>>(), "{fault:?} at {hit}");
            assert_eq!((model.len(), model[0].as_str()), (7, "model/model.onnx"), "{fault:?} at {hit}");
            assert_eq!(server.versions(), 1, "{fault:?} at {hit}");
            if server.requests() <= hit {
                assert!(hit > 8, "the server was asked {hit} times only");
                break;
            }
        }
    }
}

/// Two runs come to be of one, and two parents of one: the numbers are in one of each, and no other is left running.
#[test]
fn a_run_that_was_created_too_late_is_taken_away() {
    for (group, created, names) in [(false, 2, vec!["a"]), (true, 3, vec!["a", "runs", "runs"])] {
        // The fourth request creates the run, or its parent: the experiment is looked for and made before.
        let (folder, server) = (Folder::new(), Server::start(&[(3, Fault::TooLate)]));
        let mut args = quick(&server);
        args.push(format!("group={group}"));
        let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(3));
        assert_eq!(status, 0, "{error}");
        let mut runs = server.runs();
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        let ended: Vec<_> = runs.iter().map(|run| (run.name.as_str(), run.status.0.as_str())).collect();
        assert_eq!(ended, names.iter().map(|name| (*name, "FINISHED")).collect::<Vec<_>>());
        assert_eq!((server.created(), runs[0].metrics.len()), (created, 3));
    }
}

/// A model of it would stand beside those that are finished.
#[test]
fn a_run_that_did_not_finish_is_no_version_of_a_model() {
    for (end, versions) in [("FINISHED", 1), ("KILLED", 0), ("FAILED", 0), ("", 0)] {
        let (folder, server) = (place(), Server::start(&[]));
        let mut args = quick(&server);
        args.push("registered_model=m".into());
        folder.write("runs/a/model.onnx", onnx());
        let input = if end.is_empty() { start("a") } else { start("a") + &END.replace("FINISHED", end) };
        assert_eq!(outcome(track(&folder, &as_strs(&args)), input).0, 0);
        assert_eq!(server.versions(), versions, "{end}");
    }
}

#[test]
fn runs_beside_each_other_meet_under_one_parent_whatever_their_folder_is_called() {
    let server = Server::start(&[]);
    for name in ["it's", "say \"it's\"", "plain"] {
        let folder = Folder::new();
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        for run in ["a", "b"] {
            let mut args = quick(&server);
            args.push("group=true".into());
            args.push(format!("experiment={name:?}"));
            let (status, _, error) = outcome(track(&folder, &as_strs(&args)), start(run) + END);
            assert_eq!(status, 0, "{error}");
        }
        let path = folder.canonicalize().unwrap().join("runs").display().to_string();
        let runs = server.runs();
        let parents = runs.iter().filter(|run| run.tags.get("pipegrad.track.folder") == Some(&path)).count();
        assert_eq!(parents, 1, "{path}");
    }
}

#[test]
fn names_that_the_server_does_not_take_stay_different() {
    let (folder, server) = (Folder::new(), Server::start(&[]));
    let mut args = quick(&server);
    args.extend(["--dvclive", "d"].map(str::to_owned));
    let metrics = json!({"top_5": 0.25, "top@5": 0.5, "top#5": 0.75});
    let test = json!({"event": "test", "epoch": 1, "step": 9, "metrics": metrics, "time": 1.0});
    let input = format!("{}{test}\n{END}", start("a"));
    assert_eq!(outcome(track(&folder, &as_strs(&args)), input).0, 0);
    let run = server.only_run();
    let seen: std::collections::BTreeMap<_, _> =
        run.metrics.iter().map(|metric| (metric["key"].as_str().unwrap(), metric["value"].as_f64().unwrap())).collect();
    assert_eq!(seen.values().copied().collect::<Vec<_>>().len(), 3, "{seen:?}");
    assert_eq!(seen["top_5"], 0.25);
    assert_eq!(fs::read_dir(folder.join("d/plots/metrics")).unwrap().count(), 3);
}

#[test]
fn half_a_line_in_the_spool_is_passed_over() {
    let (folder, server) = (Folder::new(), Server::start(&[]));
    let (_, _, error) = outcome(track(&folder, &["uri=http://127.0.0.1:9", "wait=0"]), log(5));
    let (_, spool) = error.trim().split_once("track --resume ").unwrap();
    // What a full disk leaves of the fourth step.
    let events = folder.join(spool).join("events.ndjson");
    let whole = (start("a") + &step(1) + &step(2) + &step(3)).len() as u64;
    fs::File::options().write(true).open(&events).unwrap().set_len(whole + 20).unwrap();
    let uri = format!("uri={}", server.uri());
    let (status, _, error) = outcome(track(&folder, &["--resume", spool, &uri]), "");
    assert_eq!(status, 0, "{error}");
    assert_eq!((server.only_run().metrics.len(), server.only_run().status.0.as_str()), (3, "FAILED"));
}

/// The summary is the only file that is written anew: a version for each of many events would hold them back.
#[test]
fn the_summary_is_not_written_for_each_event() {
    let folder = Folder::new();
    // Of a day, so that only the first and the last version are written.
    let args = ["--no-mlflow", "--dvclive", "d", "interval=86400"];
    let mut running = track(&folder, &args).spawn();
    let summary = || -> Value { serde_json::from_slice(&folder.bytes("d/metrics.json")).unwrap() };
    let mut stdin = running.stdin();
    let mut passed = running.stdout().lines();
    for line in [start("a"), step(1), step(2), step(3), step(4)] {
        stdin.write_all(line.as_bytes()).unwrap();
        assert_eq!(passed.next().unwrap().unwrap(), line.trim_end());
    }
    // A line is logged before the next is passed on.
    assert_eq!(summary()["step"], 1);
    stdin.write_all(END.as_bytes()).unwrap();
    drop(stdin);
    assert!(running.wait().success());
    assert_eq!(summary()["step"], 4);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let trouble: Vec<_> = (0..12).map(|at| (at, Fault::Trouble)).collect();
    let (folder, server) = (Folder::new(), Server::start(&trouble));
    let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), log(1500));
    assert_eq!((status, server.only_run().metrics.len()), (0, 1500), "{error}");
    assert!(error.contains("503 Service Unavailable; retrying, and training continues"), "{error}");
}

#[test]
fn what_a_server_that_is_away_did_not_get_is_sent_later() {
    let (folder, server) = (place(), Server::start(&[]));
    let away = ["uri=http://127.0.0.1:9", "wait=0.2", "retry_first=0.05"];
    let (status, out, error) = outcome(track(&folder, &away), log(1500));
    assert_eq!((status, out), (0, log(1500).into_bytes()));
    let lines: Vec<_> = error.lines().collect();
    let [trouble, rest] = lines[..] else { panic!("{error}") };
    assert!(trouble.starts_with("track: http://127.0.0.1:9: Connection refused"), "{error}");
    let (_, spool) = rest.split_once("track --resume ").unwrap();

    let (status, _, error) = outcome(track(&folder, &["--resume", spool]), "");
    assert_eq!((status, error.contains("not all events were sent")), (75, true), "{error}");
    let uri = format!("uri={}", server.uri());
    for long in ["wait=1e19", "retry_first=1e19", "retry_max=1e19", "stop_wait=1e19"] {
        let (status, _, error) = outcome(track(&folder, &["--resume", spool, &uri, long]), "");
        assert_eq!((status, error.lines().count()), (2, 1), "{error}");
        assert!(error.contains("expected seconds, from 0 to "), "{error}");
    }
    let (status, out, error) = outcome(track(&folder, &["--resume", spool, &uri]), "");
    assert_eq!((status, out.len(), error.as_str()), (0, 0, ""));
    assert_eq!(server.only_run().metrics.len(), 1500);
    let (status, ..) = outcome(track(&folder, &["--resume", spool, &uri]), "");
    assert_eq!((status, server.only_run().metrics.len()), (2, 1500), "nothing is left to send");
}

#[test]
fn a_server_that_never_answers_holds_nothing_back() {
    let folder = Folder::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("uri=http://{}", silent.local_addr().unwrap());
    let (status, out, error) = outcome(track(&folder, &[&uri, "wait=0.2", "timeout=60"]), log(20_000));
    assert_eq!((status, out), (0, log(20_000).into_bytes()));
    assert!(error.contains("track --resume"), "{error}");
}

#[test]
fn a_refusal_is_told_and_the_events_stay() {
    let (folder, server) = (Folder::new(), Server::start(&[(0, Fault::Forbidden)]));
    let args = quick(&server);
    let (status, out, error) = outcome(track(&folder, &as_strs(&args)), log(2));
    assert_eq!((status, out), (0, log(2).into_bytes()));
    assert!(error.contains("MLFLOW_TRACKING_TOKEN") && error.contains("track --resume"), "{error}");
    let (status, _, error) = outcome(track(&folder, &["--resume", ".pipegrad/spool"]), "");
    assert_eq!(status, 0, "{error}");
    assert_eq!(server.only_run().metrics.len(), 2);
}

/// The real server refuses one of two runs that name the same data first, and takes it the next time.
#[test]
fn a_dataset_that_is_refused_does_not_take_the_run_with_it() {
    for refusals in [1, 2] {
        // Of the requests before: the experiment and the run are looked for and made, params and tags logged.
        let faults: Vec<_> = (0..refusals).map(|at| (6 + at, Fault::Forbidden)).collect();
        let (folder, server) = (Folder::new(), Server::start(&faults));
        let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), log(2));
        let run = server.only_run();
        assert_eq!((status, run.metrics.len(), run.status.0.as_str()), (0, 2, "FINISHED"), "{error}");
        assert_eq!(error.contains("track: dataset: not logged: "), refusals == 2, "{error}");
    }
}

#[test]
fn a_log_that_was_cut_off_is_that_of_a_failed_run_and_each_start_is_a_run() {
    let (folder, server) = (Folder::new(), Server::start(&[]));
    let args = quick(&server);
    let input = start("a")
        + &step(1)
        + &log(2)
        + "{\"event\":\"end\",\"status\":\"KILLED\",\"reason\":\"SIGINT\",\"time\":1.0}\n";
    assert_eq!(outcome(track(&folder, &as_strs(&args)), input).0, 0);
    let runs = server.runs();
    let seen: Vec<_> = runs.iter().map(|run| (run.status.0.as_str(), run.metrics.len())).collect();
    assert_eq!(seen, [("FAILED", 1), ("KILLED", 2)]);
}

#[test]
fn one_metric_that_is_refused_does_not_take_the_others_with_it() {
    let (folder, server) = (place(), Server::start(&[]));
    let mut args = quick(&server);
    args.push("run_name=mine".into());
    let bad = "{\"event\":\"test\",\"epoch\":1,\"step\":9,\"metrics\":{\"a\":1.0,\"refuse me\":2.0,\"b\":null},\"time\":1.0}\n";
    let (status, _, error) = outcome(track(&folder, &as_strs(&args)), start("a") + bad + END);
    assert_eq!(status, 0);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("track: metrics \"refuse me\": not logged: "), "{error}");
    let run = server.only_run();
    let names: Vec<_> = run.metrics.iter().map(|metric| metric["key"].as_str().unwrap()).collect();
    assert_eq!((run.name.as_str(), names), ("mine", vec!["a", "b"]));
    assert_eq!(run.metrics[1]["value"], Value::from("NaN"));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_run_as_killed() {
    let (folder, server) = (Folder::new(), Server::start(&[]));
    let mut running = track(&folder, &as_strs(&quick(&server))).args(["stop_wait=2"]).spawn();
    let mut stdin = running.stdin();
    stdin.write_all((start("a") + &step(1)).as_bytes()).unwrap();
    while server.runs().first().is_none_or(|run| run.metrics.is_empty()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(143));
    assert_eq!(server.only_run().status.0, "KILLED");
}
