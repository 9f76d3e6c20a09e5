//! Several processes as the ranks of one run: the same bytes as one process, whatever the number of ranks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::Event;
use std::{
    fs,
    io::{BufRead, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Output,
    thread,
    time::Duration,
};
use testkit::{Done, Folder, Running, Tool, npy, rows, tool};

const FILES: [&str; 5] =
    ["model.safetensors", "metrics.json", "history.csv", "test.npy", "checkpoints/last.safetensors"];

/// Variables of launchers that may be set where the tests run.
const VARIABLES: [&str; 8] = [
    "RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "OMPI_COMM_WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
    "PMI_SIZE",
];

/// Everything that a step may do to gradients is in use here.
const REGRESSION: [&str; 12] = [
    "rows.ndjson",
    "optimizer=adamw",
    "scheduler=cosine",
    "trainer.max_epochs=3",
    "trainer.batch_size=8",
    "trainer.accumulate_batches=4",
    "trainer.ema_decay=0.9",
    "trainer.clip_norm=0.5",
    "trainer.val_every_steps=7",
    "trainer.log_every_steps=1",
    "callbacks.checkpoint.every_n_steps=3",
    "trainer.distributed.timeout=60s",
];

fn write_rows(folder: &Path) {
    fs::write(folder.join("rows.ndjson"), rows::linear(400)).unwrap();
}

fn train(folder: &Path, args: &[&str]) -> Tool {
    let tool = tool!("train").heeding_signals().within(folder).without_env(VARIABLES);
    tool.args(["--quiet", "--threads", "1"]).args(args)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn rank(tool: Tool, rank: usize, size: usize, port: u16) -> Tool {
    let variables = [("RANK", rank.to_string()), ("WORLD_SIZE", size.to_string()), ("MASTER_PORT", port.to_string())];
    let tool = variables.into_iter().fold(tool, |tool, (name, value)| tool.env(name, value));
    tool.env("MASTER_ADDR", "127.0.0.1")
}

/// The ranks of a job, started.
fn start(folder: &Path, size: usize, args: &[&str]) -> Vec<Running> {
    let port = free_port();
    (0..size).map(|i| rank(train(folder, args), i, size, port).spawn()).collect()
}

/// How each of `ranks` ended; what they write is read meanwhile.
fn ended(ranks: Vec<Running>) -> Vec<Output> {
    let readers: Vec<_> = ranks.into_iter().map(|rank| thread::spawn(move || rank.output())).collect();
    readers.into_iter().map(|reader| reader.join().unwrap()).collect()
}

fn done(ranks: Vec<Running>) -> Vec<Done> {
    ended(ranks).into_iter().map(Done::from).collect()
}

/// Trains with `size` ranks, 1 being no job at all; the events.
fn trained(folder: &Path, size: usize, args: &[&str]) -> Vec<Event> {
    let ranks = match size {
        1 => vec![train(folder, args).spawn()],
        _ => start(folder, size, args),
    };
    let ranks = done(ranks);
    for (i, rank) in ranks.iter().enumerate() {
        assert_eq!((rank.status, rank.error.as_str()), (0, ""), "rank {i} of {size}, {args:?}");
        assert!(i == 0 || rank.out.is_empty(), "rank {i} of {size} writes events: {}", rank.out);
    }
    ranks[0].out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

fn assert_same(folder: &Path, a: &str, b: &str, files: &[&str]) {
    for file in files {
        let read = |run: &str| fs::read(folder.join(run).join(file)).unwrap_or_default();
        assert!(read(a) == read(b), "{file} of {a} and {b}");
        assert!(!read(a).is_empty() || file.starts_with("test"), "{file} of {a}");
    }
}

/// The metrics of steps and validations, which have no time in them.
fn metrics(events: &[Event]) -> Vec<String> {
    let shown = events.iter().filter_map(|event| match event {
        Event::Step(step) => Some(format!("{} {:?}", step.step, step.metrics)),
        Event::Validation(val) => Some(format!("{} {:?}", val.step, val.metrics)),
        Event::Test(test) => Some(format!("{} {:?}", test.step, test.metrics)),
        _ => None,
    });
    shown.collect()
}

/// Trains alone and with 2 and 4 ranks, and compares files and events.
fn assert_any_number_of_ranks(folder: &Path, args: &[&str]) {
    let alone = trained(folder, 1, &[args, &["-o", "one"]].concat());
    assert!(metrics(&alone).len() > 3, "{alone:?}");
    for (size, run) in [(2, "two"), (4, "four")] {
        let events = trained(folder, size, &[args, &["-o", run]].concat());
        assert_same(folder, "one", run, &FILES);
        assert_eq!(metrics(&alone), metrics(&events), "{size} ranks");
    }
}

#[test]
fn regression_has_the_same_bytes() {
    let folder = &Folder::new();
    write_rows(folder);
    // 320 rows are 40 batches: the last step of an epoch is whole. Then 311, whose last batch and step are not.
    assert_any_number_of_ranks(folder, &REGRESSION);
    assert_any_number_of_ranks(folder, &[&REGRESSION[..], &["trainer.split=[0.78,0.1,0.12]"]].concat());
}

#[test]
fn a_block_of_batches_a_rank_has_the_same_bytes() {
    let folder = &Folder::new();
    write_rows(folder);
    let wide =
        ["trainer.accumulate_batches=12", "trainer.batch_size=3", "trainer.clip_value=0.01", "trainer.clip_norm=null"];
    let args = [&REGRESSION[..], &wide, &["model.hidden=[300,300]"]].concat();
    assert_any_number_of_ranks(folder, &args);
    trained(folder, 3, &[&args[..], &["-o", "three"]].concat());
    assert_same(folder, "one", "three", &FILES);
}

#[test]
fn classification_has_the_same_bytes() {
    let folder = &Folder::new();
    let lines: String = (0..500)
        .map(|row| {
            let (x, y) = rows::point(row);
            format!(
                "{{\"x\":[{x},{y}],\"label\":{},\"w\":{}}}\n",
                usize::from(x > y) + usize::from(x + y > 1.0),
                1.0 + x
            )
        })
        .collect();
    fs::write(folder.join("labels.ndjson"), lines).unwrap();
    let args = [
        "labels.ndjson",
        "trainer.input_field=x",
        "trainer.target_field=label",
        "trainer.loss=cross_entropy",
        "trainer.label_smoothing=0.1",
        "trainer.class_weights=balanced",
        "trainer.weight_field=w",
        "trainer.batch_size=16",
        "trainer.accumulate_batches=4",
        "trainer.max_epochs=4",
        "trainer.log_every_steps=1",
        "scheduler=reduce_on_plateau",
        "scheduler.patience=0",
        "callbacks.early_stopping.patience=2",
        "callbacks.early_stopping.min_delta=0.5",
    ];
    assert_any_number_of_ranks(folder, &args);
}

/// A network with batch norms, whose running statistics follow the batches of all ranks in order.
#[test]
fn batch_norms_have_the_same_bytes() {
    let folder = &Folder::new();
    let (mut bytes, mut state) = (Vec::new(), 7u32);
    for i in 0..300u32 {
        for pixel in 0..3 * 8 * 8u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((state >> 25) as u8 + if (pixel % 8 < 4) == (i % 2 == 0) { 100 } else { 0 });
        }
        bytes.push((i % 2) as u8);
    }
    let descr = "[('image', '|u1', (3, 8, 8)), ('label', '|u1')]";
    fs::write(folder.join("images.npy"), npy::file(descr, 300, &bytes)).unwrap();
    let args = [
        "images.npy",
        "--config-name=images",
        "model=resnet20",
        "augmentation=cifar10",
        "augmentation.pad=1",
        "trainer.test_flip=true",
        "trainer.batch_size=10",
        "trainer.accumulate_batches=4",
        "trainer.max_epochs=2",
        "trainer.log_every_steps=1",
    ];
    assert_any_number_of_ranks(folder, &args);
    let layers = "model.layers=[{conv: {channels: 4}}, {norm: {}}, {activation: relu}, {linear: {}}]";
    assert_any_number_of_ranks(folder, &[&args[..], &["model=small_cnn", layers, "trainer.engine=autograd"]].concat());
}

#[test]
fn a_run_is_resumed_by_another_number_of_ranks() {
    let folder = &Folder::new();
    write_rows(folder);
    // The cosine schedule depends on the limits.
    let constant = [&REGRESSION[..], &["scheduler=constant"]].concat();
    trained(folder, 1, &[&constant[..], &["-o", "whole"]].concat());
    let args = [&constant[..], &["-o", "run"]].concat();
    for (size, steps) in [(2, "trainer.max_steps=7"), (4, "trainer.max_steps=15"), (1, "trainer.max_steps=22")] {
        trained(folder, size, &[&args[..], &["trainer.resume=last", steps]].concat());
    }
    trained(folder, 2, &[&args[..], &["trainer.resume=last"]].concat());
    assert_same(folder, "whole", "run", &FILES);
    let again = trained(folder, 2, &[&args[..], &["trainer.resume=last"]].concat());
    assert!(matches!(again.last(), Some(Event::End(_))) && again.len() == 2, "{again:?}");
}

/// A job whose rank 0 has taken `step` steps, and the rest of its events.
fn until_step(folder: &Path, size: usize, args: &[&str], step: usize) -> (Vec<Running>, impl BufRead + Send + use<>) {
    let mut ranks = start(folder, size, args);
    let mut events = ranks[0].stdout();
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "the run ended before step {step}");
        if matches!(Event::from_line(&line).unwrap(), Some(Event::Step(event)) if event.step == step) {
            return (ranks, events);
        }
    }
}

#[test]
fn a_job_that_has_lost_a_rank_resumes_as_if_it_had_not() {
    let folder = &Folder::new();
    write_rows(folder);
    // Its events fill the pipe, so that it cannot end before the rank is killed.
    let long = ["scheduler=constant", "trainer.max_epochs=null", "trainer.max_steps=1000"];
    let long = [&REGRESSION[..], &long, &["callbacks.checkpoint.every_n_steps=50"]].concat();
    trained(folder, 1, &[&long[..], &["-o", "whole"]].concat());
    for (size, lost) in [(2, 1), (2, 0), (4, 2)] {
        let run = format!("lost{lost}of{size}");
        let args = [&long[..], &["-o", &run]].concat();
        let (mut ranks, mut events) = until_step(folder, size, &args, 60);
        ranks.remove(lost).kill();
        let reader = thread::spawn(move || events.read_to_string(&mut String::new()).map(drop));
        for rank in done(ranks) {
            assert_eq!((rank.status, rank.error.lines().count()), (75, 1), "{rank:?}");
            assert!(rank.error.contains(" was lost: "), "{}", rank.error);
        }
        let _ = reader.join();
        let events = trained(folder, 1, &[&args[..], &["trainer.resume=last"]].concat());
        let Event::Start(start) = &events[0] else { panic!("{events:?}") };
        let resumed = start.resumed.as_ref().unwrap().step;
        // Steps 56 and 50 have the last validation, after which a state is kept, and the last checkpoint on disk.
        assert!(resumed >= if lost == 0 { 50 } else { 56 }, "{resumed}");
        assert_same(folder, "whole", &run, &FILES);
    }
}

#[test]
fn a_signal_to_one_rank_ends_all_in_good_order() {
    let folder = &Folder::new();
    write_rows(folder);
    trained(folder, 1, &[&REGRESSION[..], &["-o", "whole"]].concat());
    for (size, to) in [(2, 1), (4, 0)] {
        let run = format!("signal{to}");
        let args = [&REGRESSION[..], &["-o", &run]].concat();
        let (ranks, mut events) = until_step(folder, size, &args, 5);
        ranks[to].signal("TERM");
        let reader = thread::spawn(move || events.read_to_string(&mut String::new()).map(drop));
        for rank in done(ranks) {
            // A short job may end before the signal is seen.
            assert!([143, 0].contains(&rank.status) && rank.error.is_empty(), "{rank:?}");
        }
        let _ = reader.join();
        trained(folder, 2, &[&args[..], &["trainer.resume=last"]].concat());
        assert_same(folder, "whole", &run, &FILES);
    }
}

#[test]
fn max_time_is_of_rank_0() {
    let folder = &Folder::new();
    write_rows(folder);
    let limits = ["-o", "run", "trainer.max_epochs=null", "trainer.max_time=300ms", "scheduler=constant"];
    let events = trained(folder, 2, &[&REGRESSION[..], &limits].concat());
    let Some(Event::End(end)) = events.last() else { panic!("{events:?}") };
    assert_eq!(end.reason, "max_time reached");
}

#[test]
fn a_job_that_diverges_says_so_once() {
    let folder = &Folder::new();
    write_rows(folder);
    let sgd = ["-o", "run", "optimizer=sgd", "optimizer.learning_rate=1e30", "trainer.clip_norm=null"];
    let ranks = done(start(folder, 2, &[&REGRESSION[..], &sgd].concat()));
    assert_eq!([ranks[0].status, ranks[1].status], [1, 1]);
    assert!(ranks[0].error.contains("not finite"), "{}", ranks[0].error);
    assert_eq!(ranks[1].error, "");
}

/// The error of a rank that can tell without the others.
fn error_of(tool: Tool) -> String {
    error_with_status(2, tool)
}

/// As [`error_of`], of what may pass by itself.
fn passing_error_of(tool: Tool) -> String {
    error_with_status(75, tool)
}

fn error_with_status(status: i32, tool: Tool) -> String {
    let done = tool.run();
    assert_eq!((done.status, done.out.as_str()), (status, ""), "{}", done.error);
    assert_eq!(done.error.lines().count(), 1, "{}", done.error);
    done.error
}

#[test]
fn ranks_must_divide_the_batches_of_a_step() {
    let folder = &Folder::new();
    write_rows(folder);
    let error = error_of(rank(train(folder, &["rows.ndjson"]), 0, 2, 1));
    assert!(error.contains("2 does not divide 1; give trainer.accumulate_batches=2"), "{error}");
    let error = error_of(rank(train(folder, &["rows.ndjson", "trainer.accumulate_batches=4"]), 2, 3, 1));
    assert!(error.contains("3 does not divide 4; give trainer.accumulate_batches=6"), "{error}");
    let error = error_of(rank(train(folder, &["trainer.accumulate_batches=2"]), 0, 2, 1));
    assert!(error.contains("2 ranks cannot all read standard input"), "{error}");
    let none = ["rows.ndjson", "-o", "none", "trainer.max_epochs=1", "trainer.distributed.launcher=none"];
    rank(train(folder, &none), 1, 2, 1).run();
    assert!(folder.join("none/metrics.json").exists());
}

#[test]
fn what_a_launcher_sets_must_fit() {
    let folder = &Folder::new();
    write_rows(folder);
    let args = ["rows.ndjson", "trainer.accumulate_batches=2", "trainer.distributed.timeout=1s"];
    let error = error_of(train(folder, &args).env("WORLD_SIZE", "2").env("RANK", "2").env("MASTER_ADDR", "x"));
    assert!(error.contains("RANK=2: expected a rank below WORLD_SIZE=2"), "{error}");
    #[cfg(not(feature = "mpi"))]
    {
        let error = error_of(train(folder, &args).env("OMPI_COMM_WORLD_SIZE", "2").env("OMPI_COMM_WORLD_RANK", "0"));
        assert!(error.contains("mpirun has started 2 ranks, and this build is without MPI"), "{error}");
    }
    let error = passing_error_of(rank(train(folder, &args), 0, 2, free_port()));
    assert!(error.contains("1 of 2 ranks came within 1 s"), "{error}");
    let error = passing_error_of(rank(train(folder, &args), 1, 2, free_port()));
    assert!(error.contains("rank 0 is not there"), "{error}");
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let error = passing_error_of(rank(train(folder, &args), 0, 2, taken.local_addr().unwrap().port()));
    assert!(error.contains("rank 0 cannot listen there"), "{error}");
    assert!(!folder.join("runs").exists(), "nothing is written before the ranks have met");
}

/// Two ranks, of which the second is started with other arguments; their errors.
fn unlike(folder: &Path, first: &[&str], second: &[&str]) -> [String; 2] {
    let port = free_port();
    let ranks = [first, second].into_iter().enumerate();
    let ranks = ranks.map(|(i, args)| rank(train(folder, args), i, 2, port).spawn()).collect();
    let ranks: Vec<Done> = done(ranks);
    assert!(ranks.iter().all(|rank| rank.status == 2 && rank.error.lines().count() == 1), "{ranks:?}");
    [ranks[0].error.clone(), ranks[1].error.clone()]
}

#[test]
fn ranks_with_other_data_or_settings_are_refused() {
    let folder = &Folder::new();
    write_rows(folder);
    fs::write(folder.join("other.ndjson"), rows::linear(401)).unwrap();
    let args = |rows| [rows, "-o", "run", "trainer.accumulate_batches=2"];
    for error in unlike(folder, &args("rows.ndjson"), &args("other.ndjson")) {
        assert!(error.contains("rank 1 has another data set than rank 0"), "{error}");
    }
    let seed = [&args("rows.ndjson")[..], &["trainer.seed=1"]].concat();
    for error in unlike(folder, &args("rows.ndjson"), &seed) {
        assert!(error.contains("rank 1 has another configuration"), "{error}");
    }
    assert!(!folder.join("run").exists());
}

#[test]
fn an_error_of_rank_0_ends_the_others() {
    let folder = &Folder::with(&[("a-file", "")]);
    write_rows(folder);
    let ranks = done(start(folder, 2, &[&REGRESSION[..], &["-o", "a-file/run"]].concat()));
    assert_eq!([ranks[0].status, ranks[1].status], [2, 2]);
    assert!(ranks[0].error.contains("a-file/run: trainer.run_dir"), "{}", ranks[0].error);
    assert_eq!(ranks[1].error.lines().count(), 1, "{}", ranks[1].error);
    assert!(ranks[1].error.contains("rank 0 of 2 ended with an error; see its own message"), "{}", ranks[1].error);
}

#[test]
fn a_stranger_does_not_disturb() {
    let folder = &Folder::new();
    write_rows(folder);
    let port = free_port();
    let args = [&REGRESSION[..], &["-o", "run"]].concat();
    let first = rank(train(folder, &args), 0, 2, port).spawn();
    let mut stranger = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    };
    stranger.write_all(&[b'G'; 100]).unwrap();
    let second = rank(train(folder, &args), 1, 2, port).spawn();
    for rank in done(vec![first, second]) {
        assert_eq!((rank.status, rank.error.as_str()), (0, ""));
    }
}
