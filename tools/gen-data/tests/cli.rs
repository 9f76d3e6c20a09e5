//! The real binary: its bytes, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::BufRead,
    time::{Duration, Instant},
};
use testkit::{Folder, Tool, tool};

/// The tool with these arguments, away from any `configs/`.
fn gen_data(args: &[&str]) -> Tool {
    tool!("gen-data").args(args)
}

fn bytes(args: &[&str]) -> Vec<u8> {
    let output = gen_data(args).output();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_any_number_of_threads() {
    for kind in ["dirichlet", "softmax", "edge", "line"] {
        let data = format!("data={kind}");
        let rows = |extra: &[&str]| bytes(&[&[&data, "rows=40000", "--to", "npy"], extra].concat());
        let one = rows(&["--threads", "1"]);
        for threads in ["2", "7"] {
            assert!(rows(&["--threads", threads]) == one, "{kind}, {threads} threads");
        }
        assert!(rows(&["seed=1"]) != one, "{kind}: another seed");
    }
}

#[test]
fn shards_in_order_are_the_whole() {
    let whole = bytes(&["rows=20000", "alpha=0.5"]);
    for count in [1, 3, 7] {
        let shard = |index: usize| bytes(&["rows=20000", "alpha=0.5", "--shard", &format!("{index}/{count}")]);
        let parts: Vec<u8> = (1..=count).flat_map(shard).collect();
        assert!(parts == whole, "{count} shards");
    }
}

#[test]
fn a_longer_run_starts_with_the_shorter_one() {
    let (short, long) = (bytes(&["rows=9000"]), bytes(&["rows=20000"]));
    assert!(long.starts_with(&short));
}

#[test]
fn rows_are_json_objects_with_the_fields_of_the_schema() {
    let text = String::from_utf8(bytes(&["rows=2", "classes=3", "field=p"])).unwrap();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let sum: f64 = row["p"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{line}");
    }
    assert_eq!(text.lines().count(), 2);
    let line = String::from_utf8(bytes(&["data=line", "rows=1"])).unwrap();
    assert!(line.starts_with("{\"feature\":") && line.contains(",\"label\":"), "{line}");
}

#[test]
fn a_reader_that_goes_away_ends_the_tool_quietly() {
    let mut running = gen_data(&["rows=100000000"]).spawn();
    let mut lines = running.stdout().lines();
    assert!(lines.by_ref().take(3).all(|line| line.unwrap().starts_with('{')));
    drop(lines);
    let output = running.output();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_kill_leaves_no_partial_file_under_the_final_name() {
    let folder = Folder::new();
    let path = folder.join("x.npy");
    let running = gen_data(&["rows=1000000000", "-o", "x.npy"]).within(&folder).spawn();
    // Killed in the middle of writing: as soon as something is there.
    let deadline = Instant::now() + Duration::from_secs(60);
    let written = || std::fs::read_dir(&folder).unwrap().any(|entry| entry.unwrap().metadata().unwrap().len() > 0);
    while !written() {
        assert!(Instant::now() < deadline, "nothing was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    running.kill();
    assert!(!path.exists());
}

#[test]
fn an_error_leaves_nothing_behind() {
    let folder = Folder::new();
    assert_eq!(gen_data(&["-o", "x.npy", "alpha=-1"]).within(&folder).run().status, 2);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn bad_usage_is_one_line_and_status_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["rows=0"], "data.rows: 0 rows; at least 1 is needed"),
        (&["classes=0"], "data.classes: 0; at least 1 is needed"),
        (&["classes=99999999999"], "larger than 256 MiB"),
        (&["alpha=0"], "data.alpha: 0; expected a number from 1e-300 to 1e300"),
        (&["alpha=nan"], "data.alpha"),
        (&["dtype=f2"], "data.dtype: f2; expected f4 or f8"),
        (&["dtype=x"], "unknown dtype \"x\""),
        (&["data=line", "low=2", "high=1"], "data.low: 2; must be below data.high, 1"),
        (&["data=edge", "one_hot=2"], "data.one_hot: 2; expected 0 to 1"),
        (&["data=edge", "classes=1"], "edge cases need at least 2"),
        (&["data=lime"], "lime"),
        (&["rwos=3"], "rows"),
        (&["dat=line"], "override \"dat=line\": data.dat: unknown key; did you mean data=line?\n"),
        (&["kind=line"], "override \"kind=line\": data.kind: the other settings are not line's"),
        (&["~rows"], "override \"~rows\": data.rows: is required"),
        (&["rows=-1"], "rows"),
        (&["rows=many"], "rows"),
        (&["--shard", "5/4"], "1 <= i <= n"),
        (&["rows=2", "--shard", "1/3"], "--shard 1/3 of 2 rows is empty"),
        (&["--threads", "0"], "at least one thread"),
        (&["--to", "xml"], "expected npy, ndjson or csv"),
        (&["--to", "csv"], "no scalar field for a column of CSV (there is probs f4[8])"),
        (&["--nonsense"], "--nonsense"),
        (&["input.npy"], "this tool reads no input"),
        (&["-o", "/nowhere/x.npy"], "/nowhere/x.npy: there is no folder /nowhere\n"),
    ];
    for (args, expected) in cases {
        let (status, out, error) = gen_data(args).run().parts();
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.starts_with("gen-data: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }
}

#[test]
fn what_composing_warns_of_is_told() {
    let done = gen_data(&["rows=1", "hydra.searchpath=[nowhere]"]).run();
    let expected = "gen-data: override \"hydra.searchpath=[nowhere]\": hydra.searchpath: nowhere: no such folder\n";
    assert_eq!((done.status, done.error.as_str()), (0, expected));
}

#[test]
fn threads_beyond_reason_are_not_started_and_told() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let limit = cores.max(64);
    let expected = bytes(&["rows=3"]);
    let told = |output: std::process::Output, source: &str| {
        assert_eq!((output.status.code(), &output.stdout), (Some(0), &expected));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            error,
            format!("gen-data: {source}: 1000000000 threads are more than may be ({limit}); {limit} are used\n")
        );
    };
    told(gen_data(&["rows=3", "--threads", "1000000000"]).output(), "--threads");
    told(gen_data(&["rows=3"]).env("RAYON_NUM_THREADS", "1000000000").output(), "RAYON_NUM_THREADS");
    let within = gen_data(&["rows=3", "--threads", "64"]).output();
    assert!(within.status.success() && within.stderr.is_empty() && within.stdout == expected);
}
