//! Runs that are killed, stopped or cut short, and go on: bit for bit as if nothing had been.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, Status};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{ChildStdout, Command},
};
use testkit::{Folder, Running, Tool, contents, rows, system, tool};

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
    fs::write(folder.join("rows.ndjson"), rows::linear(400)).unwrap();
}

fn train(folder: &Path, args: &[&str]) -> Tool {
    tool!("train").heeding_signals().within(folder).args(["rows.ndjson", "--quiet"]).args(SETTINGS).args(args)
}

fn trained(folder: &Path, args: &[&str]) -> Vec<Event> {
    let done = train(folder, args).run();
    assert_eq!(done.status, 0, "{args:?}: {}", done.error);
    done.out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

/// A run whose events were read up to the optimizer step `step`, and those that follow.
fn until_step(folder: &Path, args: &[&str], step: usize) -> (Running, BufReader<ChildStdout>) {
    let mut running = train(folder, args).spawn();
    let mut events = running.stdout();
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "the run ended before step {step}");
        if matches!(Event::from_line(&line).unwrap(), Some(Event::Step(event)) if event.step == step) {
            return (running, events);
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
    let folder = &Folder::new();
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
    let folder = &Folder::new();
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
    let folder = &Folder::new();
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
    let folder = &Folder::new();
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
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    for (signal, status) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let (running, mut events) = until_step(folder, &["-o", signal], 14);
        // Twice, as `timeout` sends it: to its child, and to the group of both.
        system::signal(signal, &[running.id(), running.id()]);
        let mut rest = String::new();
        events.read_to_string(&mut rest).unwrap();
        let ended = running.wait();
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
    let folder = &Folder::new();
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
        ("trainer.resume=run", "a folder; did you mean trainer.resume=run/checkpoints/last.safetensors?"),
    ];
    for (change, expected) in cases {
        let mut args = vec!["-o", "run", "trainer.resume=last", change];
        if change.starts_with("optimizer=") {
            args.extend(["optimizer.learning_rate=0.1"]);
        }
        let (status, _, error) = train(folder, &args).run().parts();
        assert_eq!(status, 2, "{change}: {error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{change}: {error}");
        assert!(folder.join("run/metrics.json").exists(), "{change}: the finished run is left as it was");
    }
    fs::write(folder.join("rows.ndjson"), fs::read_to_string(folder.join("rows.ndjson")).unwrap().repeat(2)).unwrap();
    assert!(train(folder, &["-o", "run", "trainer.resume=last"]).run().error.contains("data_sha256 is"));
}

/// Kills a run right after the event with this number; whether it got that far.
fn kill_after(folder: &Path, args: &[&str], number: usize) -> bool {
    let mut running = train(folder, args).spawn();
    let mut events = running.stdout();
    let mut line = String::new();
    (0..=number).all(|_| {
        line.clear();
        events.read_line(&mut line).unwrap() != 0
    })
}

/// Runs that end in different ways, each decided before its last epoch is over or at its end.
fn ends() -> Vec<Vec<&'static str>> {
    let constant = ["scheduler=constant", "scheduler.warmup=0"];
    let stopping = ["callbacks.early_stopping.patience=2", "callbacks.early_stopping.min_delta=0.05"];
    vec![
        vec!["callbacks.checkpoint.max_overhead=null"],
        [&constant[..], &["trainer.max_steps=13", "trainer.max_epochs=null"]].concat(),
        [&constant[..], &stopping, &["trainer.max_epochs=60"]].concat(),
        [&constant[..], &stopping, &["trainer.val_every_steps=null", "trainer.max_epochs=60"]].concat(),
    ]
}

#[test]
fn a_run_killed_after_any_event_ends_with_the_same_bytes() {
    for (case, end) in ends().into_iter().enumerate() {
        let folder = &Folder::new();
        write_rows(folder);
        let quiet = [&end[..], &["trainer.log_every_steps=5"]].concat();
        let events = trained(folder, &[&["-o", "whole"], &quiet[..]].concat()).len();
        for number in 0..events {
            let run = format!("killed{number}");
            let args = [&["-o", &run], &quiet[..]].concat();
            kill_after(folder, &args, number);
            trained(folder, &[&args[..], &["trainer.resume=last"]].concat());
            assert_same(folder, "whole", &run);
            let log = fs::read_to_string(folder.join(&run).join("events.ndjson")).unwrap();
            assert!(log.lines().all(|line| Event::from_line(line).is_ok()), "{case} {number}: {log}");
            fs::remove_dir_all(folder.join(run)).unwrap();
        }
    }
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    for end in ends() {
        let folder = &Folder::new();
        write_rows(folder);
        let args = [&["-o", "run"], &end[..]].concat();
        let first = trained(folder, &args);
        let before = contents(&folder.join("run"));
        let events = trained(folder, &[&args[..], &["trainer.resume=last"]].concat());
        assert!(contents(&folder.join("run")) == before, "{end:?}");
        let reason = |events: &[Event]| match events.last() {
            Some(Event::End(end)) => end.reason.clone(),
            _ => panic!("{events:?}"),
        };
        assert_eq!((events.len(), reason(&events)), (2, reason(&first)), "{end:?}");
    }
}

#[test]
fn a_limit_that_is_raised_is_no_end() {
    let folder = &Folder::new();
    write_rows(folder);
    let constant = ["scheduler=constant", "scheduler.warmup=0", "trainer.max_epochs=60"];
    let stopping = ["callbacks.early_stopping.min_delta=0.05"];
    let common = [&constant[..], &stopping].concat();
    trained(folder, &[&["-o", "whole", "callbacks.early_stopping.patience=4"], &common[..]].concat());
    trained(folder, &[&["-o", "run", "callbacks.early_stopping.patience=2"], &common[..]].concat());
    assert!(fs::read(folder.join("whole/history.csv")).unwrap() != fs::read(folder.join("run/history.csv")).unwrap());
    let args = ["-o", "run", "callbacks.early_stopping.patience=4", "trainer.resume=last"];
    trained(folder, &[&args[..], &common].concat());
    assert_same(folder, "whole", "run");
}

#[test]
fn time_spent_before_counts_towards_max_time() {
    let folder = &Folder::new();
    write_rows(folder);
    let limits = ["-o", "run", "trainer.max_epochs=null", "scheduler=constant", "scheduler.warmup=0"];
    let times = |time| [&limits[..], &[time]].concat();
    trained(folder, &times("trainer.max_time=50ms"));
    let before = contents(&folder.join("run"));
    trained(folder, &[&times("trainer.max_time=50ms")[..], &["trainer.resume=last"]].concat());
    assert!(contents(&folder.join("run")) == before, "the time is up already");
    let events = trained(folder, &[&times("trainer.max_time=1ms")[..], &["trainer.resume=last"]].concat());
    assert!(!events.iter().any(|event| matches!(event, Event::Step(_))), "{events:?}");
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_anew() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    trained(folder, &["-o", "run", "trainer.resume=last"]);
    assert_same(folder, "whole", "run");
    // A finished run that kept none is left as it is, by the same run; another cannot go on from it.
    let none = ["-o", "none", "callbacks.checkpoint.save_last=false", "callbacks.checkpoint.every_n_steps=null"];
    trained(folder, &none);
    let before = contents(&folder.join("none"));
    trained(folder, &[&none[..], &["trainer.resume=last"]].concat());
    let more = ["trainer.resume=last", "trainer.max_epochs=9"];
    let (status, _, error) = train(folder, &[&none[..], &more].concat()).run().parts();
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("has kept no last state (callbacks.checkpoint.save_last)"), "{error}");
    assert!(contents(&folder.join("none")) == before);
    // One that was cut off has its best ones.
    fs::remove_file(folder.join("none/metrics.json")).unwrap();
    let (status, _, error) = train(folder, &[&none[..], &["trainer.resume=last"]].concat()).run().parts();
    let path = error.trim().rsplit_once("there is one for trainer.resume=").unwrap().1;
    assert_eq!(status, 2, "{error}");
    trained(folder, &[&none[..], &[&format!("trainer.resume={path}")]].concat());
}

#[test]
fn a_second_run_in_the_same_folder_is_refused() {
    let folder = &Folder::new();
    write_rows(folder);
    let endless = ["-o", "run", "trainer.max_epochs=null", "trainer.max_time=1h", "scheduler=constant"];
    let running = until_step(folder, &endless, 3);
    let before = fs::read(folder.join("run/config.yaml")).unwrap();
    let (status, _, error) = train(folder, &["-o", "run", "trainer.seed=5"]).run().parts();
    let expected = format!(
        "train: run: train, process {} is writing to this folder; wait for it, or choose another folder with -o\n",
        running.0.id()
    );
    assert_eq!((status, error), (75, expected));
    assert!(fs::read(folder.join("run/config.yaml")).unwrap() == before);
    // The kernel gives up the lock of a process that was killed.
    drop(running);
    trained(folder, &["-o", "run", "trainer.seed=5"]);
    assert!(!folder.join("run/.lock").exists());
}

#[test]
#[cfg(unix)]
fn a_link_in_the_folder_does_not_choose_what_is_written() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "run", "trainer.max_epochs=1"]);
    let mine = folder.join("mine");
    for (link, resume) in [(".lock", "null"), ("events.ndjson", "last"), ("events.ndjson", "null")] {
        fs::write(&mine, "mine").unwrap();
        let link = folder.join("run").join(link);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        train(folder, &["-o", "run", &format!("trainer.resume={resume}")]).run();
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine", "{}", link.display());
        let _ = fs::remove_file(link);
    }
}

#[test]
fn a_checkpoint_does_not_name_files_to_delete() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "run", "trainer.max_epochs=2"]);
    fs::write(folder.join("mine.safetensors"), "mine").unwrap();
    let last = folder.join("run/checkpoints/last.safetensors");
    let bytes = fs::read(&last).unwrap();
    for name in ["../../mine.safetensors", "/etc/passwd.safetensors", "mine", "last.safetensors", ".."] {
        let forged = forge_best(&bytes, name);
        fs::write(folder.join("forged.safetensors"), forged).unwrap();
        let args = ["-o", "other", "trainer.resume=forged.safetensors"];
        let (status, _, error) = train(folder, &args).run().parts();
        assert_eq!(status, 2, "{name}: {error}");
        assert!(error.contains("the file of a best checkpoint is not in its folder"), "{name}: {error}");
        assert_eq!(fs::read_to_string(folder.join("mine.safetensors")).unwrap(), "mine");
    }
}

/// A checkpoint whose best file has another name.
fn forge_best(bytes: &[u8], name: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut metadata: Value = serde_json::from_str(header["__metadata__"]["pipegrad"].as_str().unwrap()).unwrap();
    metadata["progress"]["best"][0]["file"] = name.into();
    header["__metadata__"]["pipegrad"] = metadata.to_string().into();
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat()
}

#[test]
fn a_new_run_keeps_the_finished_one_in_previous() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "run"]);
    let finished = contents(&folder.join("run"));
    let is_kept = || contents(&folder.join("run/previous")) == finished;
    // Another run that is killed leaves the finished one whole, and so does the one after it.
    for seed in ["trainer.seed=1", "trainer.seed=2"] {
        drop(until_step(folder, &["-o", "run", seed], 4));
        assert!(!folder.join("run/metrics.json").exists());
        assert!(is_kept(), "{seed}");
    }
    // One that diverges too.
    let diverges = ["-o", "run", "optimizer=sgd", "optimizer.learning_rate=1e30", "scheduler=constant"];
    let diverges = [&diverges[..], &["trainer.clip_norm=null", "scheduler.warmup=0"]].concat();
    assert_eq!(train(folder, &diverges).run().status, 1);
    assert!(is_kept());
    // From there it can go on, as from any run folder.
    let resume = "trainer.resume=run/previous/checkpoints/last.safetensors";
    trained(folder, &["-o", "again", resume]);
    assert!(fs::read(folder.join("again/history.csv")).unwrap() == finished["history.csv"]);
}

#[test]
fn a_run_that_takes_the_place_of_another_is_told() {
    let folder = &Folder::new();
    write_rows(folder);
    let args = ["-o", "run", "trainer.max_epochs=1"];
    let told = |more: &[&str]| {
        let done = tool!("train").within(folder).args(["rows.ndjson"]).args(SETTINGS).args(args).args(more).run();
        assert_eq!(done.status, 0, "{done:?}");
        done.error.lines().find(|line| line.contains("previous")).map(str::to_owned)
    };
    assert_eq!(told(&[]), None);
    assert_eq!(told(&[]), None, "the same run again");
    let expected = "train: run held a finished run with other settings (trainer.seed); it is now in run/previous";
    assert_eq!(told(&["trainer.seed=1"]).as_deref(), Some(expected));
    fs::write(folder.join("rows.ndjson"), fs::read_to_string(folder.join("rows.ndjson")).unwrap().repeat(2)).unwrap();
    let expected = "train: run held a finished run with other data; it is now in run/previous";
    assert_eq!(told(&["trainer.seed=1"]).as_deref(), Some(expected));
}

const RENAMES: &str = "rename,renameat,renameat2";
/// What takes a folder over from another run.
const CHANGES: &str = "rename,renameat,renameat2,unlink,unlinkat,link,linkat,fsync";

/// Runs `train` under strace, which kills it as it enters its `number`th of these calls; whether it ended before.
fn kill_at(calls: &str, folder: &Path, args: &[&str], number: usize) -> bool {
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject];
    let command = tool!("train").within(folder).args(["rows.ndjson", "--quiet"]).args(SETTINGS).args(args);
    let output = command.under(&strace).output();
    assert!(output.status.success() || output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_killed_at_any_rename_ends_with_the_same_bytes() {
    if !system::has("strace") {
        return;
    }
    let folder = &Folder::new();
    write_rows(folder);
    let end = &ends()[2];
    let args = |run: &'static str| [&["-o", run][..], end].concat();
    trained(folder, &args("whole"));
    // Checkpoints at the end alone: a best one is there before the first last one is.
    let rarely = ["callbacks.checkpoint.every_n_steps=null", "callbacks.checkpoint.max_overhead=1e-6"];
    for number in (1..).take_while(|&number| {
        let args = [&args("rare")[..], &rarely].concat();
        let ended = kill_at(RENAMES, folder, &args, number);
        trained(folder, &[&args[..], &["trainer.resume=last"]].concat());
        let read = |run: &str| fs::read(folder.join(run).join("model.safetensors")).unwrap();
        assert!(read("whole") == read("rare"), "{number}");
        fs::remove_dir_all(folder.join("rare")).unwrap();
        !ended
    }) {
        assert!(number < 40);
    }
    for number in 1.. {
        let ended = kill_at(RENAMES, folder, &args("run"), number);
        trained(folder, &[&args("run")[..], &["trainer.resume=last"]].concat());
        assert_same(folder, "whole", "run");
        fs::remove_dir_all(folder.join("run")).unwrap();
        if ended {
            assert!(number > 7, "only {number} renames");
            break;
        }
    }
    // Where a finished run is moved to previous/, it or what it was moved to is whole at each.
    for number in 1.. {
        trained(folder, &args("run"));
        trained(folder, &[&args("run")[..], &["trainer.seed=1"]].concat());
        let ended = kill_at(RENAMES, folder, &[&args("run")[..], &["trainer.seed=2"]].concat(), number);
        let is_whole = |run: &str| {
            folder.join(run).join("metrics.json").exists() && {
                let file = |name: &str| fs::read(folder.join(run).join(name)).unwrap();
                file("model.safetensors") != file("config.yaml") && folder.join(run).join("checkpoints").is_dir()
            }
        };
        assert!(is_whole("run") || is_whole("run/previous"), "{number}");
        trained(folder, &args("run"));
        assert_same(folder, "whole", "run");
        let left: Vec<_> = contents(&folder.join("run")).into_keys().filter(|path| is_litter(path)).collect();
        assert!(left.is_empty(), "{number}: {left:?}");
        if ended {
            break;
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_killed_while_it_takes_a_folder_over_does_not_resume_from_the_other() {
    if !system::has("strace") {
        return;
    }
    let folder = &Folder::new();
    write_rows(folder);
    let other = ["-o", "run", "trainer.max_epochs=2"];
    let mine = |run: &'static str| ["-o", run, "optimizer.learning_rate=0.01", "trainer.max_epochs=3"];
    trained(folder, &mine("whole"));
    for finished in [true, false] {
        for number in 1..40 {
            match finished {
                true => drop(trained(folder, &other)),
                false => drop(until_step(folder, &[&other[..], &["trainer.max_epochs=50"]].concat(), 8)),
            }
            let ended = kill_at(CHANGES, folder, &mine("run"), number);
            trained(folder, &[&mine("run")[..], &["trainer.resume=last"]].concat());
            assert_same(folder, "whole", "run");
            fs::remove_dir_all(folder.join("run")).unwrap();
            if ended {
                break;
            }
        }
    }
}

#[test]
fn an_unfinished_run_is_kept_where_no_finished_one_is() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    drop(until_step(folder, &["-o", "run"], 8));
    let told = |args: &[&str]| {
        let command = tool!("train").within(folder).args(["rows.ndjson"]).args(SETTINGS).args(args);
        let (status, _, error) = command.run().parts();
        (status, error.lines().find(|line| line.starts_with("train: ")).unwrap_or_default().to_owned())
    };
    let (_, line) = told(&["-o", "run", "trainer.seed=1"]);
    assert_eq!(line, "train: run held an unfinished run; it is now in run/previous");
    trained(folder, &["-o", "again", "trainer.resume=run/previous/checkpoints/last.safetensors"]);
    assert!(fs::read(folder.join("again/history.csv")).unwrap() == fs::read(folder.join("whole/history.csv")).unwrap());
    // A run that goes on in its own folder leaves the kept one alone.
    drop(until_step(folder, &["-o", "own", "trainer.seed=6"], 8));
    drop(until_step(folder, &["-o", "own"], 8));
    let kept = fs::read(folder.join("own/previous/config.yaml")).unwrap();
    let (status, line) = told(&["-o", "own", "trainer.resume=last"]);
    assert!((status, line.contains("unfinished")) == (0, false), "{line}");
    assert!(fs::read(folder.join("own/previous/config.yaml")).unwrap() == kept);
    // A finished one is worth more.
    trained(folder, &["-o", "run", "trainer.seed=2"]);
    drop(until_step(folder, &["-o", "run", "trainer.seed=3"], 8));
    let (_, line) = told(&["-o", "run", "trainer.seed=4"]);
    assert_eq!(line, "train: run held an unfinished run, which is replaced; run/previous stays");
    assert!(folder.join("run/previous/metrics.json").exists());
    // What is no run is nobody's to replace.
    fs::remove_dir_all(folder.join("run/previous")).unwrap();
    fs::create_dir(folder.join("run/previous")).unwrap();
    fs::write(folder.join("run/previous/notes.txt"), "mine").unwrap();
    let (status, line) = told(&["-o", "run", "trainer.seed=5"]);
    assert_eq!((status, line.as_str()), (2, "train: run/previous: not a run that run has kept; move it away"));
    assert!(folder.join("run/metrics.json").exists() && folder.join("run/previous/notes.txt").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_from_elsewhere_may_hold_anything() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "finished"]);
    for name in ["config.yaml", "events.ndjson"] {
        for (kind, make) in [("pipe", "mkfifo $0"), ("device", "ln -s /dev/zero $0")] {
            for resume in ["null", "last"] {
                let run = folder.join("run");
                let _ = fs::remove_dir_all(&run);
                Command::new("cp").args(["-r", "finished", "run"]).current_dir(folder).status().unwrap();
                fs::remove_file(run.join(name)).unwrap();
                Command::new("sh").args(["-c", make]).arg(run.join(name)).status().unwrap();
                let args =
                    ["-o", "run", "trainer.max_epochs=5", "scheduler=constant", &format!("trainer.resume={resume}")];
                let expected = if name == "events.ndjson" && resume == "last" { 2 } else { 0 };
                let (status, _, error) = train(folder, &args).run().parts();
                assert_eq!(status, expected, "{name} {kind} {resume}: {error}");
            }
        }
    }
}

/// Temporary files, and what a move to `previous/` leaves half done.
fn is_litter(path: &str) -> bool {
    path.ends_with(".tmp") || path.contains(".previous")
}

#[test]
fn a_run_goes_on_without_a_reader_of_its_events() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(train(folder, &["-o", "run"]).command().stdout(writer).status().unwrap().success());
    assert_same(folder, "whole", "run");
    let log = fs::read_to_string(folder.join("run/events.ndjson")).unwrap();
    let last = Event::from_line(log.lines().last().unwrap()).unwrap();
    assert!(matches!(last, Some(Event::End(end)) if end.status == Status::Finished), "{log}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_told_after_the_run() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "whole"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = train(folder, &["-o", "run"]).command().stdout(full).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(error.starts_with("train: not all events could be written: stdout: No space left"), "{error}");
    assert_same(folder, "whole", "run");
}

#[test]
fn a_killed_run_leaves_nothing_of_the_one_before_it() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, &["-o", "run"]);
    drop(until_step(folder, &["-o", "run", "trainer.seed=1"], 4));
    let left: Vec<_> = FILES.iter().filter(|file| folder.join("run").join(file).exists()).collect();
    assert_eq!(left, [&"config.yaml"]);
}
