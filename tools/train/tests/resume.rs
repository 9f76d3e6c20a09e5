//! Runs that are killed, stopped or cut short, and go on: bit for bit as if nothing had been.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, Status};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// Everything that a checkpoint must hold is in use here.
const SETTINGS: [&str; 12] = [
    "optimizer=adamw",
    "scheduler=cosine",
    "scheduler.warmup=5",
    "trainer.max_epochs=4",
    "trainer.batch_size=16",
    "trainer.accumulate_batches=2",
    "trainer.ema_decay=0.9",
    "trainer.clip_norm=1",
    "trainer.val_every_steps=7",
    "trainer.log_every_steps=1",
    "callbacks.checkpoint.every_n_steps=3",
    "callbacks.checkpoint.save_top_k=2",
];

const FILES: [&str; 5] = ["model.safetensors", "metrics.json", "history.csv", "test.npy", "config.yaml"];

fn write_rows(folder: &Path) {
    let rows: String = (0..400)
        .map(|i| {
            let (a, b) = ((i as f64 * 0.618_034).fract(), (i as f64 * 0.754_878).fract());
            format!("{{\"probs\":[{a},{b}],\"entropy\":{}}}\n", 2.0 * a - b)
        })
        .collect();
    fs::write(folder.join("rows.ndjson"), rows).unwrap();
}

fn train(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("train"));
    command.current_dir(folder).args(["rows.ndjson", "--quiet"]).args(SETTINGS).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn trained(folder: &Path, args: &[&str]) -> Vec<Event> {
    let output = train(folder, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

/// Runs that are left in the middle of things end with this.
struct Running {
    child: Child,
    events: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run whose events were read up to the optimizer step `step`.
fn until_step(folder: &Path, args: &[&str], step: usize) -> Running {
    let mut child = train(folder, args).spawn().unwrap();
    let events = BufReader::new(child.stdout.take().unwrap());
    let mut running = Running { child, events };
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(running.events.read_line(&mut line).unwrap(), 0, "the run ended before step {step}");
        if matches!(Event::from_line(&line).unwrap(), Some(Event::Step(event)) if event.step == step) {
            return running;
        }
    }
}

fn assert_same(folder: &Path, a: &str, b: &str) {
    for file in FILES {
        let read = |run: &str| fs::read(folder.join(run).join(file)).unwrap();
        // The run folder's own name is all that may differ.
        let unnamed = |run: &str| String::from_utf8_lossy(&read(run)).replace(&format!("run_dir: {run}"), "run_dir");
        let same = if file == "config.yaml" { unnamed(a) == unnamed(b) } else { read(a) == read(b) };
        assert!(same, "{file} of {a} and {b}");
    }
}

#[test]
fn a_run_killed_at_any_step_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    // 320 rows: 10 steps an epoch. Steps in the first epoch, at its end, mid-epoch, in the last.
    for step in [4, 5, 10, 11, 17, 28, 39] {
        let run = format!("killed{step}");
        drop(until_step(folder, &["-o", &run], step));
        assert!(!folder.join(&run).join("metrics.json").exists());
        let events = trained(folder, &["-o", &run, "trainer.resume=last"]);
        let Event::Start(start) = &events[0] else { panic!("{events:?}") };
        let resumed = start.resumed.as_ref().unwrap();
        assert!(resumed.path.ends_with("last.safetensors") && resumed.step >= (step - 1) / 3 * 3, "{resumed:?}");
        assert_same(folder, "whole", &run);
    }
}

#[test]
fn a_run_killed_twice_goes_on_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    for (args, step) in [(&["-o", "run"][..], 8), (&["-o", "run", "trainer.resume=last"], 25)] {
        drop(until_step(folder, args, step));
    }
    trained(folder, &["-o", "run", "trainer.resume=last"]);
    assert_same(folder, "whole", "run");
    let log = fs::read_to_string(folder.join("run/events.ndjson")).unwrap();
    assert_eq!(log.matches(r#""event":"start""#).count(), 3, "the log of all three is kept");
}

#[test]
fn one_of_the_best_checkpoints_is_a_place_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    let keep = ["callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.model=last"];
    trained(folder, &[&["-o", "whole"], &keep[..]].concat());
    let saved: Vec<_> = fs::read_dir(folder.join("whole/checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(saved.len() > 4, "{saved:?}");
    for (i, path) in saved.iter().enumerate() {
        let resume = format!("trainer.resume={}", path.display());
        let run = format!("run{i}");
        trained(folder, &[&["-o", &run, &resume], &keep[..]].concat());
        let model = |run: &str| fs::read(folder.join(run).join("model.safetensors")).unwrap();
        assert!(model("whole") == model(&run), "{resume}");
    }
}

#[test]
fn a_limit_can_be_raised_later() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    let constant = ["scheduler=constant", "scheduler.warmup=0"];
    trained(folder, &[&["-o", "whole"], &constant[..]].concat());
    let events = trained(folder, &[&["-o", "run", "trainer.max_steps=13"], &constant[..]].concat());
    assert!(matches!(events.last(), Some(Event::End(end)) if end.reason == "max_steps reached"));
    let history = fs::read_to_string(folder.join("run/history.csv")).unwrap();
    assert!(history.lines().last().unwrap().starts_with("2,13,"), "{history}");
    trained(folder, &[&["-o", "run", "trainer.resume=last"], &constant[..]].concat());
    assert_same(folder, "whole", "run");
}

#[test]
fn a_signal_ends_a_run_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut running = until_step(folder, &["-o", signal], 14);
        let id = running.child.id().to_string();
        // Twice, as `timeout` sends it: to its child, and to the group of both.
        let sent = Command::new("kill").args([&format!("-{signal}"), &id, &id]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        running.events.read_to_string(&mut rest).unwrap();
        let ended = running.child.wait().unwrap();
        let last = Event::from_line(rest.lines().last().unwrap()).unwrap().unwrap();
        // The run may have been quicker than the signal.
        if ended.code() == Some(0) {
            continue;
        }
        assert_eq!(ended.code(), Some(status), "{signal}");
        let Event::End(end) = last else { panic!("{rest}") };
        assert_eq!((end.status, end.reason), (Status::Killed, format!("SIG{signal}")));
        trained(folder, &["-o", signal, "trainer.resume=last"]);
        assert_same(folder, "whole", signal);
    }
}

#[test]
fn what_would_be_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "run"]);
    let cases = [
        ("trainer.batch_size=8", "trainer.batch_size is 8, but 16 in the checkpoint"),
        ("trainer.seed=1", "trainer.seed is 1, but 0"),
        ("model.hidden=[3]", "model is "),
        ("optimizer=sgd", "optimizer.name is \"sgd\", but \"adamw\""),
        ("trainer.ema_decay=null", "trainer.ema_decay is null, but 0.9"),
        ("trainer.resume=run/model.safetensors", "a model without the state of its training"),
        ("trainer.resume=rows.ndjson", "rows.ndjson: no safetensors file"),
    ];
    for (change, expected) in cases {
        let mut args = vec!["-o", "run", "trainer.resume=last", change];
        if change.starts_with("optimizer=") {
            args.extend(["optimizer.learning_rate=0.1"]);
        }
        let output = train(folder, &args).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{change}: {error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{change}: {error}");
        assert!(folder.join("run/metrics.json").exists(), "{change}: the finished run is left as it was");
    }
    fs::write(folder.join("rows.ndjson"), fs::read_to_string(folder.join("rows.ndjson")).unwrap().repeat(2)).unwrap();
    let output = train(folder, &["-o", "run", "trainer.resume=last"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("data_sha256 is"));
}

#[test]
fn a_run_goes_on_without_a_reader_of_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(train(folder, &["-o", "run"]).stdout(writer).status().unwrap().success());
    assert_same(folder, "whole", "run");
    let log = fs::read_to_string(folder.join("run/events.ndjson")).unwrap();
    let last = Event::from_line(log.lines().last().unwrap()).unwrap();
    assert!(matches!(last, Some(Event::End(end)) if end.status == Status::Finished), "{log}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_told_after_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = train(folder, &["-o", "run"]).stdout(full).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("train: not all events could be written: stdout: No space left"), "{error}");
    assert_same(folder, "whole", "run");
}

#[test]
fn a_killed_run_leaves_nothing_of_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    trained(folder, &["-o", "run"]);
    drop(until_step(folder, &["-o", "run", "trainer.seed=1"], 4));
    let left: Vec<_> = FILES.iter().filter(|file| folder.join("run").join(file).exists()).collect();
    assert_eq!(left, [&"config.yaml"]);
}
