//! `profile --run` on engines of TensorRT, run by a stand-in for `trt-run`: batch sizes, dimensions, and a process that hangs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
};
use testkit::{Done, Folder, Tool, trt_run};
use trt_protocol::{Answer, PROTOCOL, TensorInfo};

/// Keeps other tests from forking while a program is open for writing here: starting it would fail (ETXTBSY).
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder with `x.engine`, whose input has this shape, and a copy of `profile`, which finds the stand-in beside it.
fn folder(shape: &[i64], script: &str) -> Folder {
    let folder = Folder::with(&[("x.engine", "engine")]);
    fs::copy(env!("CARGO_BIN_EXE_profile"), folder.join("profile")).unwrap();
    let tensor =
        |name: &str, shape: &[i64]| TensorInfo { name: name.into(), dtype: "float32".into(), shape: shape.into() };
    let loaded = Answer::Loaded { inputs: vec![tensor("x", shape)], outputs: vec![tensor("y", &[1])] };
    let ran = (Answer::Ran { shapes: vec![vec![1]] }, &[0; 4][..]);
    trt_run(&folder, script, &[(Answer::Ready { protocol: PROTOCOL }, &[]), (loaded, &[]), ran]);
    folder
}

/// Answers to a warm-up run and two that are measured.
const THREE_RUNS: &str = "frame 0; frame 1; frame 2; frame 2; frame 2; cat > /dev/null";

fn profile(folder: &Folder, args: &[&str]) -> Done {
    let quick = ["warm_up_seconds=0", "seconds=0", "min_runs=2", "max_runs=2"].map(|set| format!("profile.run.{set}"));
    let args = ["--run", "x.engine", "--to", "csv"].iter().chain(args).map(ToString::to_string).chain(quick);
    Tool::new(folder.join("profile")).within(folder).args(args.collect::<Vec<_>>()).run()
}

/// The batch sizes of the table.
fn batches(done: &Done) -> Vec<&str> {
    assert_eq!(done.status, 0, "{}", done.error);
    done.out.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect()
}

#[test]
fn every_batch_size_is_a_row() {
    let _alone = alone();
    let done = profile(&folder(&[-1, 2], THREE_RUNS), &["profile.run.batch_sizes=[1,3]"]);
    assert_eq!((batches(&done), done.error.as_str()), (vec!["1", "3"], ""));
}

#[test]
fn an_engine_of_a_fixed_batch_size_has_one_row() {
    let _alone = alone();
    let folder = folder(&[4, 2], THREE_RUNS);
    let done = profile(&folder, &["profile.run.batch_sizes=[1,3]"]);
    assert_eq!(batches(&done), ["4"]);
    let expected = "profile: x.engine: the batch size is fixed: 4; profile.run.batch_sizes has no effect\n";
    assert_eq!(done.error, expected);
    assert_eq!(profile(&folder, &["profile.run.batch_sizes=[4]"]).error, "");
}

#[test]
fn a_dimension_without_a_size_is_given_as_the_error_says() {
    let _alone = alone();
    let folder = folder(&[-1, -1], THREE_RUNS);
    let done = profile(&folder, &[]);
    let expected = "profile: x.engine: input \"x\": the size of dimension 1 is not known; give it: --dim 'x.1=224'\n";
    assert_eq!((done.status, done.error.as_str()), (2, expected));
    let done = profile(&folder, &["--dim", "x.1=224", "profile.run.batch_sizes=[2]"]);
    assert_eq!(batches(&done), ["2"]);
}

#[test]
fn a_measurement_has_a_time_limit() {
    let _alone = alone();
    let folder = folder(&[-1, 2], "frame 0; frame 1; cat > /dev/null");
    let done = profile(&folder, &["profile.run.limit_seconds=0.3", "profile.run.batch_sizes=[1]"]);
    let expected = "profile: x.engine on tensorrt: no answer in 0.3 s (profile.run.limit_seconds), so it was killed\n";
    assert_eq!((done.status, done.error.as_str()), (2, expected));
}
