//! What a server says is no command: no folder, no other host, no answer without an end; and what is no MLflow server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod server;

use common::{END, as_strs, log, onnx, outcome, place, quick, start, step, track};
use server::{Fault, Server};
use std::{fs, process::Stdio};
use testkit::Folder;

#[test]
fn a_server_chooses_no_folder() {
    for uri in ["{}", "{}/../victim", "file://{}", "file:{}", "{}/1/r/artifacts"] {
        let (folder, victim) = (place(), Folder::new());
        let uri = uri.replace("{}", &victim.display().to_string());
        let server = Server::start(&[]).keeps_artifacts_at(&uri);
        folder.write("runs/a/config.yaml", "a: 1\n");
        let root = Folder::new();
        for more in [String::new(), format!("artifact_root={}", &root.display())] {
            let mut args = quick(&server);
            args.extend((!more.is_empty()).then_some(more));
            let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(2));
            assert_eq!((status, server.only_run().metrics.len()), (0, 2), "{error}");
            assert!(error.contains("artifacts not sent") && error.contains("artifact_root="), "{error}");
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{uri}");
        }
    }
}

/// Any log may name any folder as its run folder; that one is known by its own log.
#[test]
fn nothing_is_sent_of_a_folder_that_a_log_only_claims() {
    let mine = r#"{"event":"start"}"#.to_owned() + "\n";
    for (own_log, kept) in [(None, 0), (Some(mine), 0), (Some(start("b")), 0), (Some(start("a") + &step(1)), 1)] {
        let (folder, server) = (place(), Server::start(&[]));
        let path = folder.join("runs/a/events.ndjson");
        match &own_log {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        folder.write("runs/a/config.yaml", "secret: 1\n");
        let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), log(2));
        assert_eq!((status, server.only_run().artifacts.len()), (0, kept), "{own_log:?}: {error}");
        assert_eq!(error.contains("runs/a: not the folder of this run"), kept == 0, "{error}");
    }
}

#[test]
fn a_folder_that_the_user_named_is_written_to() {
    let (folder, root) = (place(), Folder::new());
    let server = Server::start(&[]).keeps_artifacts_at(&format!("file://{}/1/r/artifacts", &root.display()));
    folder.write("runs/a/config.yaml", "a: 1\n");
    let mut args = quick(&server);
    args.push(format!("artifact_root={}", &root.display()));
    let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(2));
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(root.text("1/r/artifacts/config.yaml"), "a: 1\n");
}

#[test]
fn another_host_never_gets_the_login() {
    for (name, value) in [("MLFLOW_TRACKING_TOKEN", "t0ken"), ("MLFLOW_TRACKING_USERNAME", "me")] {
        let (folder, other) = (place(), Server::start(&[]));
        folder.write("runs/a/config.yaml", "a: 1\n");
        let uri = format!("mlflow-artifacts://name:word@127.0.0.1:{}/0/artifacts", other.port());
        let server = Server::start(&[]).keeps_artifacts_at(&uri);
        let command = track(&folder, &as_strs(&quick(&server))).env(name, value);
        let (status, _, error) = outcome(command.env("MLFLOW_TRACKING_PASSWORD", "s3cret"), log(2));
        assert_eq!(status, 0, "{error}");
        assert_eq!(other.other_artifacts(), ["config.yaml"], "{error}");
        assert_eq!(other.logins(), [""; 0]);
        assert!(!server.logins().is_empty());
        // Nor does it by a redirection, whatever is asked for.
        for hit in 0..6 {
            let other = Server::start(&[]);
            let to: &'static str = Box::leak(format!("{}/x", other.uri()).into_boxed_str());
            let server = Server::start(&[(hit, Fault::Redirect(to))]);
            let command = track(&folder, &as_strs(&quick(&server))).env(name, value);
            let (status, _, error) = outcome(command.env("MLFLOW_TRACKING_PASSWORD", "s3cret"), log(2));
            assert_eq!((status, other.requests()), (0, 0), "{hit}: {error}");
            assert!(error.contains("307 Temporary Redirect to http://127.0.0.1:"), "{hit}: {error}");
            assert!(error.contains("track --resume"), "{hit}: {error}");
        }
    }
}

/// Of an answer without an end, or one that is no answer of MLflow, there is a line with the status, and all stays.
#[test]
fn what_is_no_mlflow_server_is_told_with_its_status() {
    for (fault, expected) in [
        (Fault::Page(200), "not an MLflow server: 200 OK, and the response is not JSON"),
        (Fault::Page(404), "not an MLflow server: 404 Not Found"),
        (Fault::Page(400), ": 400 Bad Request"),
        (Fault::Page(503), ": 503 Service Unavailable; retrying"),
        (Fault::Endless(200), ": 200 OK, and a response of more than tracking.max_answer, 100000 bytes"),
        (Fault::Endless(404), ": not an MLflow server: 404 Not Found"),
        (Fault::Endless(500), ": 500 Internal Server Error; retrying"),
    ] {
        let folder = place();
        let server = Server::start(&(0..100).map(|at| (at, fault)).collect::<Vec<_>>());
        let mut args = quick(&server);
        args.extend(["max_answer=100000", "wait=0.3"].map(str::to_owned));
        let (status, out, error) = outcome(track(&folder, &as_strs(&args)), log(2));
        assert_eq!((status, out), (0, log(2).into_bytes()));
        assert!(error.contains(expected), "{fault:?}: {error}");
        assert!(error.contains("track --resume"), "{fault:?}: {error}");
        let (status, _, error) = outcome(track(&folder, &["--resume", ".pipegrad/spool"]), "");
        let later = if expected.ends_with("retrying") { 75 } else { 2 };
        assert_eq!((status, error.lines().count()), (later, 1), "{fault:?}: {error}");
    }
}

#[test]
fn no_message_has_a_password() {
    let folder = place();
    for uri in [
        "http://me:s3cret@127.0.0.1:9",
        "http://me:s3cret@127.0.0.1:99999",
        "http://me:s3/cret@127.0.0.1:9",
        "http:/me:s3cret@127.0.0.1:9",
        "ftp://me:s3cret@host/x",
        "postgresql://me:s3cret@host/db",
        "me:s3cret@host:5000",
        "http://s3cret@127.0.0.1:9",
    ] {
        let (_, _, error) = outcome(track(&folder, &[&format!("uri='{uri}'"), "wait=0.2"]), log(1));
        assert!(!error.is_empty() && !error.contains("cret"), "{uri}: {error}");
        let command = track(&folder, &["wait=0.2"]);
        let (_, _, error) = outcome(command.env("MLFLOW_TRACKING_URI", uri), log(1));
        assert!(!error.is_empty() && !error.contains("cret"), "{uri}: {error}");
    }
}

#[test]
fn an_address_without_a_scheme_is_explained() {
    let folder = Folder::new();
    for (uri, expected) in [
        (
            "127.0.0.1:5000",
            "127.0.0.1:5000: expected http:// or https://; for a server there: uri=http://127.0.0.1:5000",
        ),
        (
            "./mlruns",
            "./mlruns: expected http:// or https://; a store is served by: MLFLOW_ALLOW_FILE_STORE=true mlflow server",
        ),
        (
            "file:./mlruns",
            "file:./mlruns: expected http:// or https://; a store is served by: MLFLOW_ALLOW_FILE_STORE=true mlflow server",
        ),
        ("databricks", "databricks: expected http:// or https://; for Databricks: uri=https://"),
    ] {
        let command = track(&folder, &[]);
        let (status, out, error) = outcome(command.env("MLFLOW_TRACKING_URI", uri), log(1));
        assert_eq!((status, out.len(), error.lines().count()), (2, 0, 1), "{error}");
        assert!(error.starts_with(&format!("track: tracking.uri: {expected}")), "{error}");
    }
}

#[test]
fn a_run_folder_is_logged_as_its_log_is_wherever_it_is_now() {
    let (folder, server) = (place(), Server::start(&[]));
    let moved = folder.join("elsewhere/run");
    fs::create_dir_all(moved.join("plots")).unwrap();
    fs::write(moved.join("events.ndjson"), log(3)).unwrap();
    for name in ["config.yaml", "plots/loss.svg", "plots/loss.png", "scores.json", "metrics.json", "notes.txt"] {
        fs::write(moved.join(name), "x").unwrap();
    }
    fs::write(moved.join("model.onnx"), onnx()).unwrap();
    let mut args = quick(&server);
    args.push("elsewhere/run".into());
    for _ in 0..2 {
        let (status, out, error) = outcome(track(&folder, &as_strs(&args)), "");
        assert_eq!((status, out, error.as_str()), (0, log(3).into_bytes(), ""));
    }
    let run = server.only_run();
    let plain: Vec<_> = run.artifacts.iter().filter(|name| !name.starts_with("model/")).map(String::as_str).collect();
    assert_eq!(plain, ["config.yaml", "metrics.json", "model.onnx", "plots/loss.png", "plots/loss.svg", "scores.json"]);
    assert_eq!((run.metrics.len(), server.created()), (3, 1));
    let history = &run.tags["mlflow.log-model.history"];
    assert!(history.contains("\"loader_module\":\"mlflow.onnx\""), "{history}");
}

/// Who made the folder cannot have any file of the user's sent by naming it; links within the folder are followed.
#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_run_folder_is_not_sent() {
    use std::os::unix::fs::symlink;
    let (folder, server) = (place(), Server::start(&[]));
    let run = folder.join("evil");
    fs::create_dir_all(run.join("plots")).unwrap();
    fs::write(run.join("events.ndjson"), log(2)).unwrap();
    folder.write("secret", "s3cret");
    folder.write("evil-twin", "s3cret");
    folder.write("net", onnx());
    fs::write(run.join("plots/loss.svg"), "<svg/>").unwrap();
    let links = [
        ("score.json", folder.join("secret")),
        ("metrics.json", "../secret".into()),
        ("scores.json", "../evil-twin".into()),
        ("score_chain.json", "score.json".into()),
        ("plots/roc.svg", "../../secret".into()),
        ("model.onnx", "../net".into()),
        ("plots/same.svg", "loss.svg".into()),
        ("plots/up.svg", "../plots/../plots/loss.svg".into()),
    ];
    for (name, target) in &links {
        symlink(target, run.join(name)).unwrap();
    }
    // The folder that the user names may be a link itself.
    symlink("evil", folder.join("alias")).unwrap();
    let mut args = quick(&server);
    args.push("alias".into());
    let (status, out, error) = outcome(track(&folder, &as_strs(&args)), "");
    assert_eq!((status, out), (0, log(2).into_bytes()));
    assert_eq!(server.only_run().artifacts, ["plots/loss.svg", "plots/same.svg", "plots/up.svg"], "{error}");
    let told = " and 5 more: not sent: a link out of the run folder";
    assert!(error.lines().count() == 1 && error.contains("metrics.json") && error.contains(told), "{error}");
}

/// What was sent in part, from another spool, is not sent anew as another run.
#[test]
fn a_log_that_is_sent_again_doubles_nothing() {
    let (folder, server) = (place(), Server::start(&[]));
    for input in [start("a") + &step(1), log(3), log(3), log(3) + &log(3), log(3) + &log(3)] {
        let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), input);
        assert_eq!((status, error.as_str()), (0, ""));
    }
    // The log that holds two runs of the same start has a second.
    let seen: Vec<_> = server.runs().iter().map(|run| (run.status.0.clone(), run.metrics.len())).collect();
    assert_eq!(seen, vec![("FINISHED".to_owned(), 3); 2]);
}

#[test]
fn the_model_that_is_to_be_registered_has_to_be_there() {
    let (folder, server) = (place(), Server::start(&[]));
    let mut args = quick(&server);
    args.push("registered_model=m".into());
    let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(2));
    assert_eq!((status, server.versions()), (0, 0));
    assert!(error.contains("runs/a/model.onnx: not logged as a model, and \"m\" got no version of it"), "{error}");
    // As the line says: it is written, and the rest sent.
    folder.write("runs/a/model.onnx", onnx());
    let spool = error.trim().split_once("track --resume ").unwrap().1;
    let (status, _, error) = outcome(track(&folder, &["--resume", spool]), "");
    assert_eq!((status, error.as_str(), server.versions()), (0, "", 1));
    assert_eq!(server.only_run().status.0, "FINISHED");
    // What is no ONNX file is no model.
    folder.write("runs/a/model.onnx", "hello");
    let (status, _, error) = outcome(track(&folder, &as_strs(&args)), log(2));
    assert_eq!((status, server.versions()), (0, 1));
    assert!(error.contains("runs/a/model.onnx"), "{error}");
}

#[test]
fn who_logs_is_known_without_a_variable() {
    let (folder, server) = (place(), Server::start(&[]));
    let command = track(&folder, &as_strs(&quick(&server))).without_env(["USER", "LOGNAME", "LNAME", "USERNAME"]);
    assert_eq!(outcome(command, log(1)).0, 0);
    let run = server.only_run();
    assert!(!run.tags["mlflow.user"].is_empty() && !run.tags["pipegrad.host"].is_empty(), "{:?}", run.tags);
}

/// What its reader does says nothing of the logging.
#[cfg(unix)]
#[test]
fn a_reader_that_closes_the_pipe_changes_no_exit_status() {
    for (input, expected, metrics) in [(log(5000), 0, Some(5000)), (step(1).repeat(5000), 2, None)] {
        let (folder, server) = (place(), Server::start(&[]));
        let log = folder.join("log");
        fs::write(&log, &input).unwrap();
        let mut command = track(&folder, &as_strs(&quick(&server))).command();
        let log = fs::File::open(&log).unwrap();
        let mut child = command.stdin(log).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(server.runs().first().map(|run| run.metrics.len()), metrics);
    }
    let _ = END;
}
