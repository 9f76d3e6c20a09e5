//! The real binary: what it learns, what it leaves, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use events::{Epoch, Event, RowCounts, Status};
use std::{fs, path::Path};

/// Rows of y = 2·x0 - x1, which a small network learns quickly; no two alike.
fn rows(count: usize) -> String {
    (0..count)
        .map(|i| {
            let (a, b) = ((i as f64 * 0.618_034).fract(), (i as f64 * 0.754_878).fract());
            format!("{{\"probs\":[{a},{b}],\"entropy\":{}}}\n", 2.0 * a - b)
        })
        .collect()
}

/// Runs the tool in `folder`; returns status, standard output and standard error.
fn train(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    let mut command = cargo_bin_cmd!("train");
    let output = command.current_dir(folder).args(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn trained(folder: &Path, args: &[&str], stdin: &str) -> String {
    let (status, out, error) = train(folder, &[args, &["--quiet"]].concat(), stdin);
    assert_eq!((status, error.as_str()), (0, ""), "{args:?}");
    out
}

/// The files that must be the same for the same run: all but the log, which holds times.
const FILES: [&str; 5] = ["model.safetensors", "config.yaml", "metrics.json", "history.csv", "test.npy"];

fn same(folder: &Path, a: &str, b: &str, file: &str) -> bool {
    fs::read(folder.join(a).join(file)).unwrap() == fs::read(folder.join(b).join(file)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, text) = (folder.path(), rows(2000));
    let args = |out: &str, extra: &[&str]| -> Vec<String> {
        [&["-o", out, "trainer.max_epochs=2", "trainer.run_dir=ignored"], extra]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let run = |out: &str, extra: &[&str]| {
        let args = args(out, extra);
        trained(folder, &args.iter().map(String::as_str).collect::<Vec<_>>(), &text);
    };
    run("a", &[]);
    run("b", &["--expect-rows", "2000"]);
    run("c", &["trainer.seed=1"]);
    for file in FILES.iter().filter(|file| **file != "config.yaml") {
        assert!(same(folder, "a", "b", file), "{file}");
    }
    assert!(!same(folder, "a", "c", "model.safetensors"), "another seed");
    assert!(!same(folder, "a", "c", "test.npy"), "another split");
}

#[test]
fn the_network_learns_and_the_log_tells_how() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["model.hidden=[16]", "optimizer.learning_rate=1e-2", "trainer.batch_size=32", "-o", "run"];
    let out = trained(folder.path(), &args, &rows(3000));
    let events: Vec<Event> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Event::Start(start) = &events[0] else { panic!("{out}") };
    let rows = RowCounts { train: 2400, val: 300, test: 300 };
    assert_eq!((start.rows, start.parameters), (rows, 2 * 16 + 16 + 16 + 1));
    let epochs: Vec<_> = events.iter().filter_map(|e| if let Event::Epoch(e) = e { Some(e) } else { None }).collect();
    assert_eq!((epochs.len(), epochs[0].step), (10, 75));
    let loss = |epoch: &Epoch| epoch.metrics.get("train_loss").unwrap();
    assert!(loss(epochs[9]) < 0.1 * loss(epochs[0]), "{out}");
    let count = events.len();
    let Event::Test(test) = &events[count - 2] else { panic!("{out}") };
    assert!(test.metrics.get("test_r2").unwrap() > 0.99, "{out}");
    assert!(matches!(&events[count - 1], Event::End(end) if end.status == Status::Finished));
    let log = fs::read_to_string(folder.path().join("run/events.ndjson")).unwrap();
    assert_eq!(log, out);
    let config = fs::read_to_string(folder.path().join("run/config.yaml")).unwrap();
    let groups: Vec<_> = config.lines().filter(|line| !line.starts_with([' ', '-'])).collect();
    assert_eq!(groups, ["model:", "optimizer:", "scheduler:", "callbacks:", "trainer:"], "{config}");
    let history = fs::read_to_string(folder.path().join("run/history.csv")).unwrap();
    let columns = "epoch,step,train_loss,learning_rate,val_loss,val_mse,val_mae,val_r2";
    assert_eq!((history.lines().next(), history.lines().count()), (Some(columns), 11));
}

#[test]
fn the_fused_engine_goes_the_way_of_autograd() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |engine: &str| -> Vec<f64> {
        let args = [&format!("trainer.engine={engine}"), "-o", engine, "trainer.max_epochs=3"];
        let out = trained(folder.path(), &args, &rows(1000));
        let events = out.lines().map(|line| serde_json::from_str(line).unwrap());
        events
            .filter_map(|event| if let Event::Validation(event) = event { event.metrics.get("val_loss") } else { None })
            .collect()
    };
    for (fused, autograd) in losses("fused").iter().zip(losses("autograd")) {
        assert!((fused - autograd).abs() < 1e-3 * autograd, "{fused} {autograd}");
    }
}

#[test]
fn shares_may_be_zero() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), &["trainer.split=[1,0,0]", "trainer.max_epochs=1", "-o", "run"], &rows(100));
    assert!(
        out.contains(r#""rows":{"train":100,"val":0,"test":0}"#)
            && !out.contains("val_loss")
            && !out.contains(r#""event":"test""#),
        "{out}"
    );
    assert!(!folder.path().join("run/test.npy").exists());
}

#[test]
fn what_cannot_be_trained_is_one_line_and_leaves_nothing() {
    let good = rows(100);
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "stdin: no rows"),
        (&[], "{\"probs\":[1]}\n", "stdin:1: no field \"entropy\" (there is probs)"),
        (&[], "{\"probs\":[1e300],\"entropy\":1}\n", "stdin:1: field \"probs\" is inf as f32"),
        (&["--expect-rows", "101"], &good, "stdin: expected 101 rows, found 100"),
        (&["missing.npy"], "", "missing.npy"),
        (&["missing.npy", "data.pull=true"], "", "missing.npy: missing, and"),
        (
            &["trainer.split=[0.5,0.1,0.1]"],
            &good,
            "trainer.split: [0.5, 0.1, 0.1]; expected three shares that sum to 1",
        ),
        (&["trainer.split=[0,0.5,0.5]"], &good, "no row of 100 is left for training"),
        (&["trainer.batch_size=0"], &good, "trainer.batch_size: 0"),
        (&["trainer.max_epochs=0"], &good, "trainer.max_epochs: 0"),
        (&["trainer.max_epochs=null"], &good, "the run would never end"),
        (&["trainer.max_time=soon"], &good, "trainer.max_time: \"soon\"; expected for instance 90s"),
        (&["trainer.limit_val_batches=0"], &good, "trainer.limit_val_batches: 0; at least 1"),
        (&["trainer.limit_val_batches=1.5"], &good, "trainer.limit_val_batches: 1.5; expected"),
        (&["trainer.ema_decay=1"], &good, "trainer.ema_decay: 1; expected"),
        (&["trainer.resume=last"], &good, "last.safetensors: trainer.resume: no such checkpoint"),
        (&["trainer.loss=cross_entropy"], &good, "the loss expects a class"),
        (&["trainer.loss=bce"], &good, "the loss expects a probability"),
        (&["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"], &good, "optimizer.nesterov"),
        (&["optimizer=adam", "+optimizer.momentum=0"], &good, "unknown key"),
        (&["scheduler=step", "scheduler.step_size=0"], &good, "scheduler.step_size: 0"),
        (&["scheduler=one_cycle", "trainer.max_epochs=null", "trainer.max_time=1s"], &good, "scheduler: its length"),
        (&["callbacks.checkpoint.save_top_k=-2"], &good, "callbacks.checkpoint.save_top_k: -2"),
        (&["callbacks.checkpoint.filename=a/b"], &good, "callbacks.checkpoint.filename"),
        (&["--threads", "0"], &good, "--threads 0"),
        (&["trainer.loss=mea"], &good, "trainer.loss"),
        (&["trainer.learning_rate=1"], &good, "learning_rate"),
        (&["trainer.target_field=probs"], &good, "is also the input field"),
        (&["optimizer.learning_rate=0"], &good, "optimizer.learning_rate: 0; expected a positive number"),
        (&["model.hidden=[0]"], &good, "model.hidden: [0]; expected widths from 1"),
        (&["model.hidden=[1000000,1000000]"], &good, "over a billion parameters"),
        (&["model.activation=relux"], &good, "relux"),
        (&["trainer.run_dir=/dev/null/run"], &good, "/dev/null/run"),
    ];
    for (args, stdin, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (status, _, error) = train(folder.path(), args, stdin);
        assert_eq!(status, 2, "{args:?}: {error}");
        assert!(error.starts_with("train: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn a_run_that_diverges_says_so_and_keeps_the_last_good_weights() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["optimizer=sgd", "optimizer.learning_rate=1e20", "-o", "run", "--quiet"];
    let (status, out, error) = train(folder.path(), &args, &rows(1000));
    assert_eq!((status, error.lines().count()), (1, 1), "{error}");
    assert!(error.starts_with("train: the loss or a gradient is not finite in epoch 1, step "), "{error}");
    let last = out.lines().last().unwrap();
    assert!(last.contains(r#""status":"FAILED","reason":"the loss or a gradient is not finite"#), "{last}");
    assert!(!folder.path().join("run/metrics.json").exists());

    // A good run, resumed with a learning rate that is too high, still has its checkpoint.
    trained(folder.path(), &["-o", "good", "trainer.max_epochs=1"], &rows(1000));
    let before = fs::read(folder.path().join("good/checkpoints/last.safetensors")).unwrap();
    let args = ["-o", "good", "trainer.resume=last", "optimizer.learning_rate=1e30", "--quiet"];
    let (status, _, error) = train(folder.path(), &args, &rows(1000));
    assert_eq!(status, 1, "{error}");
    assert_eq!(fs::read(folder.path().join("good/checkpoints/last.safetensors")).unwrap(), before);
}

#[test]
fn a_line_an_epoch_is_told_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, error) = train(folder.path(), &["trainer.max_epochs=3", "-o", "run"], &rows(500));
    assert_eq!((status, error.lines().count()), (0, 3), "{error}");
    assert!(error.starts_with("epoch 1/3 train_loss "), "{error}");
}
