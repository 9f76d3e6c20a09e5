//! Spools that are damaged, torn, half gone, or none: they are repaired, or told and kept, and never taken for sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod server;

use common::{END, as_strs, log, outcome, place, quick, resumed, start, step, track};
use server::Server;
use std::{
    fs,
    path::{Path, PathBuf},
};
use testkit::{Folder, contents, system};

/// What a server that is away leaves of `input`: the folder of the spool.
fn left(folder: &Path, input: &str) -> PathBuf {
    let (status, _, error) = outcome(track(folder, &["uri=http://127.0.0.1:9", "wait=0"]), input);
    assert_eq!(status, 0, "{error}");
    folder.join(error.trim().split_once("track --resume ").unwrap().1)
}

/// Sends it from another working folder: exit status and standard error.
fn send(server: &Server, spool: &Path, more: &[&str]) -> (i32, String) {
    let elsewhere = Folder::new();
    let mut args = quick(server);
    args.extend(["--resume".to_owned(), spool.display().to_string()]);
    args.extend(more.iter().map(|&it| it.to_owned()));
    let (status, out, error) = outcome(track(&elsewhere, &as_strs(&args)), "");
    assert!(out.is_empty());
    (status, error)
}

#[test]
fn artifacts_are_found_from_any_working_folder() {
    let (folder, server) = (place(), Server::start(&[]));
    folder.write("runs/a/config.yaml", "a: 1\n");
    let spool = left(&folder, &log(3));
    assert_eq!(send(&server, &spool, &[]), (0, String::new()));
    let run = server.only_run();
    assert_eq!((run.metrics.len(), run.artifacts), (3, vec!["config.yaml".to_owned()]));
    assert!(!spool.exists());
}

#[test]
fn a_run_folder_that_has_gone_is_missed() {
    let (folder, server) = (place(), Server::start(&[]));
    let spool = left(&folder, &log(3));
    fs::rename(folder.join("runs/a"), folder.join("runs/moved")).unwrap();
    let (status, error) = send(&server, &spool, &[]);
    assert_eq!((status, error.lines().count()), (2, 1), "{error}");
    assert!(error.contains("runs/a: the run folder is missing, and its artifacts are not sent"), "{error}");
    assert!(spool.join("events.ndjson").exists());
    assert_eq!(send(&server, &spool, &["artifacts=[]"]), (0, String::new()));
    assert_eq!((server.only_run().metrics.len(), spool.exists()), (3, false));
}

#[test]
fn a_log_whose_run_folder_was_never_here_has_no_artifacts() {
    let (folder, server) = (Folder::new(), Server::start(&[]));
    let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), log(2));
    assert_eq!((status, error.lines().count()), (0, 1), "{error}");
    assert!(error.ends_with("runs/a: no such run folder; no artifacts are sent\n"), "{error}");
    assert_eq!(server.only_run().metrics.len(), 2);
}

/// Without a state, all is sent from the beginning, and the server knows it.
#[test]
fn a_state_that_is_damaged_is_made_anew() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 5] = [
        ("removed", |state| fs::remove_file(state).unwrap()),
        ("torn", |state| fs::write(state, &fs::read(state).unwrap()[..20]).unwrap()),
        ("emptied", |state| fs::write(state, "").unwrap()),
        ("zeros", |state| fs::write(state, vec![0; 300]).unwrap()),
        ("elsewhere", |state| {
            let text = fs::read_to_string(state).unwrap();
            fs::write(state, text.replace("\"position\":", "\"position\":1")).unwrap();
        }),
    ];
    for (what, harm) in damage {
        let (folder, server) = (place(), Server::start(&[]));
        // The server has the run already.
        assert_eq!(outcome(track(&folder, &as_strs(&quick(&server))), start("a") + &step(1)).0, 0);
        let spool = left(&folder, &log(5));
        harm(&spool.join("state.json"));
        let (status, error) = send(&server, &spool, &[]);
        assert_eq!((status, error.lines().count()), (0, 1), "{what}: {error}");
        assert!(error.contains("state.json: damaged: ") && error.contains("sending all events again"), "{error}");
        let run = server.only_run();
        assert_eq!((run.metrics.len(), run.status.0.as_str(), spool.exists()), (5, "FINISHED", false), "{what}");
    }
}

#[test]
fn events_that_are_damaged_are_told_and_kept() {
    type Damage = fn(&mut Vec<u8>);
    let damage: [(&str, Damage); 7] = [
        ("its start is gone", |events| drop(events.drain(..start("a").len()))),
        ("half of its start is gone", |events| drop(events.drain(..20))),
        ("all is gone", Vec::clear),
        ("zeros within", |events| events[start("a").len() + 5..][..30].fill(0)),
        ("a line within is torn", |events| drop(events.drain(start("a").len() + 20..start("a").len() + 40))),
        ("text within", |events| drop(events.splice(start("a").len()..start("a").len(), *b"hello\n"))),
        ("all is zeros", |events| events.fill(0)),
    ];
    for (what, harm) in damage {
        let (folder, server) = (place(), Server::start(&[]));
        let spool = left(&folder, &log(5));
        let path = spool.join("events.ndjson");
        let mut events = fs::read(&path).unwrap();
        harm(&mut events);
        fs::write(&path, &events).unwrap();
        let before = contents(&spool);
        let (status, error) = send(&server, &spool, &[]);
        assert_eq!(status, 2, "{what}: {error}");
        assert!(error.contains("events.ndjson") || error.contains("it has no run"), "{what}: {error}");
        let after = contents(&spool);
        assert_eq!(after["events.ndjson"], before["events.ndjson"], "{what}");
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn events_that_end_before_what_was_sent_are_told() {
    let (folder, server) = (place(), Server::start(&[]));
    let spool = left(&folder, &log(5));
    fs::remove_dir_all(folder.join("runs/a")).unwrap();
    // All is sent but the artifacts.
    assert_eq!(send(&server, &spool, &[]).0, 2);
    fs::create_dir(folder.join("runs/a")).unwrap();
    let events = spool.join("events.ndjson");
    let length = fs::metadata(&events).unwrap().len();
    fs::File::options().write(true).open(&events).unwrap().set_len(length / 2).unwrap();
    let (status, error) = send(&server, &spool, &[]);
    assert_eq!(status, 2, "{error}");
    assert!(error.contains(&format!("damaged: it has {} bytes, but {length} were sent", length / 2)), "{error}");
    assert!(events.exists());
}

#[test]
fn what_is_missing_of_a_spool_is_named() {
    for name in ["events.ndjson", "settings.yaml"] {
        let (folder, server) = (place(), Server::start(&[]));
        let spool = left(&folder, &log(2));
        fs::remove_file(spool.join(name)).unwrap();
        let (status, error) = send(&server, &spool, &[]);
        assert_eq!((status, error.lines().count()), (2, 1), "{error}");
        assert!(error.contains(name) && error.contains("No such file"), "{error}");
        assert!(spool.join("state.json").exists());
    }
    // Settings that were cut off lack keys.
    let (folder, server) = (place(), Server::start(&[]));
    let spool = left(&folder, &log(2));
    let config = fs::read(spool.join("settings.yaml")).unwrap();
    for length in [0, config.len() / 3, config.len() / 2, config.len() - 1] {
        fs::write(spool.join("settings.yaml"), &config[..length]).unwrap();
        let (status, error) = send(&server, &spool, &[]);
        assert_eq!((status, error.lines().count()), (2, 1), "{length}: {error}");
        assert!(spool.join("events.ndjson").exists());
    }
    // Without the folders, the run folder is looked for from here.
    fs::write(spool.join("settings.yaml"), config).unwrap();
    fs::write(spool.join("folders.ndjson"), "{").unwrap();
    let (status, error) = send(&server, &spool, &[]);
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("the run folder is missing"), "{error}");
}

#[test]
fn one_spool_that_cannot_be_sent_does_not_hold_back_the_others() {
    let (folder, server) = (place(), Server::start(&[]));
    let bad = left(&folder, &log(2));
    let good = left(&folder, &(start("a").replace("1000.0", "2000.0") + &step(1) + END));
    fs::remove_file(bad.join("state.json")).unwrap();
    fs::remove_file(bad.join("folders.ndjson")).unwrap();
    let (status, error) = send(&server, &folder.join(".pipegrad/spool"), &[]);
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("not a spool: it has no state.json"), "{error}");
    assert_eq!((good.exists(), bad.exists(), server.only_run().metrics.len()), (false, true, 1));
}

#[test]
fn only_what_is_of_a_spool_is_taken_away() {
    let (folder, server) = (place(), Server::start(&[]));
    let spool = left(&folder, &log(2));
    fs::write(spool.join("notes.txt"), "mine").unwrap();
    assert_eq!(send(&server, &spool, &[]).0, 0);
    assert_eq!(contents(&spool).keys().collect::<Vec<_>>(), ["notes.txt"]);
    // A run folder has events and settings, and is no spool.
    for name in ["events.ndjson", "config.yaml"] {
        fs::write(folder.join("runs/a").join(name), log(1)).unwrap();
    }
    let (status, error) = send(&server, &folder.join("runs/a"), &[]);
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("no spool in this folder"), "{error}");
    assert_eq!(contents(&folder.join("runs/a")).len(), 2);
}

#[test]
fn a_spool_that_another_process_sends_is_left_to_it() {
    let (folder, server) = (place(), Server::start(&[]));
    let spool = left(&folder, &log(3));
    let held = fs::File::options().append(true).open(spool.join("lock")).unwrap();
    held.lock().unwrap();
    let (status, error) = send(&server, &spool, &[]);
    assert_eq!((status, error.lines().count(), server.requests()), (75, 1, 0), "{error}");
    assert!(error.contains(": in use by another track"), "{error}");
    drop(held);
    assert_eq!(send(&server, &spool, &[]), (0, String::new()));
}

#[test]
fn what_is_no_event_takes_no_room_in_a_spool() {
    let folder = place();
    let spool = left(&folder, &(step(1) + "noise\n" + &log(2) + "{\"event\":\"confetti\"}\n\nmore noise"));
    assert_eq!(fs::read_to_string(spool.join("events.ndjson")).unwrap(), log(2));
}

#[cfg(unix)]
#[test]
fn devices_pipes_and_folders_are_no_logs_and_no_spools() {
    let folder = place();
    let pipe = folder.join("pipe");
    system::fifo(&pipe);
    fs::create_dir(folder.join("empty")).unwrap();
    folder.write("file", "");
    for (args, expected) in [
        (&["--no-mlflow", "/dev/zero"][..], "/dev/zero: not a regular file; expected a log or a run folder"),
        (&["--no-mlflow", "pipe"], "pipe: not a regular file; expected a log or a run folder"),
        (&["--no-mlflow", "empty"], "empty: not a run folder: it has no events.ndjson"),
        (&["--spool", "/dev/zero"], "/dev/zero: tracking.spool: not a folder"),
        (&["--spool", "pipe"], "pipe: tracking.spool: not a folder"),
        (&["--spool", "file"], "file: tracking.spool: not a folder"),
        (&["--resume", "/dev/zero"], "/dev/zero: Not a directory"),
        (&["--resume", "pipe"], "pipe: Not a directory"),
        (&["--resume", "file"], "file: Not a directory"),
    ] {
        let (status, out, error) = outcome(track(&folder, args), log(1));
        assert_eq!((status, out.len(), error.lines().count()), (2, 0, 1), "{args:?}: {error}");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    // What is in their place in a spool.
    let server = Server::start(&[]);
    for name in ["events.ndjson", "state.json", "settings.yaml", "lock", "folders.ndjson"] {
        let spool = left(&folder, &log(1));
        for other in ["pipe", "device", "folder"] {
            let path = spool.join(name);
            fs::remove_file(&path).ok();
            match other {
                "pipe" => system::fifo(&path),
                "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let (status, error) = send(&server, &spool, &[]);
            assert_eq!((status, error.lines().count()), (2, 1), "{name}, {other}: {error}");
            let expected = if name == "folders.ndjson" { "the run folder is missing" } else { "not a regular file" };
            assert!(error.contains(expected), "{name}, {other}: {error}");
            assert!(spool.exists());
        }
        fs::remove_dir_all(spool).unwrap();
    }
}

/// An input without an end would otherwise be passed on, and kept, until the disk is full.
#[cfg(unix)]
#[test]
fn an_input_that_is_no_log_ends_soon() {
    let folder = Folder::new();
    let zero = fs::File::open("/dev/zero").unwrap();
    let output = track(&folder, &["uri=http://127.0.0.1:9", "wait=0"]).command().stdin(zero).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
    assert!(error.contains("track: stdin: not a run log: a line of more than 16 MiB before any run"), "{error}");
}

#[test]
fn a_resumed_run_in_a_spool_is_one_of_its_own() {
    let (folder, server) = (place(), Server::start(&[]));
    let input = start("a") + &step(1) + &resumed("a", 1) + &step(2) + END;
    let spool = left(&folder, &input);
    assert_eq!(send(&server, &spool, &[]), (0, String::new()));
    let seen: Vec<_> = server.runs().iter().map(|run| (run.status.0.clone(), run.metrics.len())).collect();
    assert_eq!(seen, [("FAILED".to_owned(), 1), ("FINISHED".to_owned(), 1)]);
}

/// The settings of a spool are its own, wherever the rest is sent from: with no more than the hint says, all goes where
/// it was meant to go.
#[test]
fn the_rest_goes_to_the_server_that_was_meant() {
    let folder = place();
    let server = Server::start(&[(0, server::Fault::Forbidden)]);
    let (status, _, error) = outcome(track(&folder, &as_strs(&quick(&server))), log(2));
    assert_eq!((status, server.created()), (0, 0));
    let spool = folder.join(error.trim().split_once("track --resume ").unwrap().1);
    let elsewhere = Folder::new();
    let (status, _, error) = outcome(track(&elsewhere, &["--resume", &spool.display().to_string()]), "");
    assert_eq!((status, error.as_str(), server.only_run().metrics.len()), (0, "", 2));
}
