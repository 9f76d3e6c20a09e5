//! The files of `--csv`, `--dvclive` and `--tensorboard` over several invocations: a run that goes on, one that is logged
//! again, another run, and more metrics than a run has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod server;

use common::{END, epoch, log, outcome, resumed, start, step, test, track};
use std::{fs, path::Path};
use testkit::{Folder, contents, system};

const FILES: [&str; 7] = ["--no-mlflow", "--csv", "c", "--dvclive", "d", "--tensorboard", "t"];

/// Logs a run to all files; standard error.
fn files(folder: &Path, input: &str) -> String {
    let (status, out, error) = outcome(track(folder, &FILES), input);
    assert!(status == 0 && out == input.as_bytes(), "{status}: {error}");
    error
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The whole of it, but where a file holds what the process was.
fn kept(folder: &Path) -> Vec<(String, String)> {
    let all = ["c", "d"].map(|name| contents(&folder.join(name)));
    let text = |(name, bytes)| (name, String::from_utf8(bytes).unwrap());
    all.into_iter().flatten().filter(|(name, _)| name != ".run.json").map(text).collect()
}

fn epochs(which: std::ops::RangeInclusive<usize>) -> String {
    which.map(epoch).collect()
}

#[test]
fn a_run_that_is_resumed_by_another_invocation_leaves_the_files_of_one_that_never_stopped() {
    let whole = Folder::new();
    assert_eq!(files(&whole, &(start("a") + &epochs(1..=4) + &test(4) + END)), "");
    for (first, from) in [
        (start("a") + &epochs(1..=2) + &test(2) + END, 2),
        // It is taken up before what it had logged.
        (start("a") + &epochs(1..=3) + &test(3) + END, 2),
        (start("a") + &epochs(1..=3), 1),
        (start("a") + &epochs(1..=2), 0),
    ] {
        let folder = Folder::new();
        files(&folder, &first);
        let rest = resumed("a", 2 * from) + &epochs(from + 1..=4) + &test(4) + END;
        assert_eq!(files(&folder, &rest), "");
        assert_eq!(kept(&folder), kept(&whole), "from epoch {from}");
        assert_eq!(contents(&folder.join("t")).keys().filter(|name| name.contains("tfevents")).count(), 2);
        // And again: the rest alone, and all that the run's own log holds.
        for again in [&rest, &(first.clone() + &rest)] {
            assert_eq!(files(&folder, again), "");
            assert_eq!(kept(&folder), kept(&whole), "from epoch {from}");
        }
        assert!(read(&folder, "d/plots/metrics/val_loss.tsv").ends_with("\n8\t0.125\n"));
    }
}

/// What a writer that was killed leaves is half a row.
#[test]
fn half_a_row_goes_where_a_run_goes_on() {
    let folder = Folder::new();
    files(&folder, &(start("a") + &epochs(1..=2)));
    for (name, half) in
        [("c/metrics.csv", "2,4,"), ("d/plots/metrics/val_loss.tsv", "4\t0."), ("c/metrics.csv", "1,2,0.5,0")]
    {
        let text = read(&folder, name) + half;
        folder.write(name, text);
        files(&folder, &(resumed("a", 4) + &epochs(3..=3)));
        let whole = Folder::new();
        files(&whole, &(start("a") + &epochs(1..=3)));
        assert_eq!(kept(&folder), kept(&whole), "{name}: {half}");
    }
}

#[test]
fn a_new_run_replaces_the_files_of_another_and_says_so() {
    let folder = Folder::new();
    files(&folder, &(start("a") + &epochs(1..=3) + &test(3)));
    // The same log again says nothing, and changes nothing.
    let before = kept(&folder);
    assert_eq!(files(&folder, &(start("a") + &epochs(1..=3) + &test(3))), "");
    assert_eq!(kept(&folder), before);
    for other in [start("b"), resumed("b", 4)] {
        let folder = Folder::new();
        files(&folder, &(start("a") + &epochs(1..=3) + &test(3)));
        let error = files(&folder, &(other + &epochs(3..=3)));
        let lines: Vec<_> = error.lines().collect();
        let line = |flag, path| format!("track: {flag} {path}: replacing the files of run \"a\" (runs/a)");
        assert_eq!(lines, [line("--dvclive", "d"), line("--csv", "c"), line("--tensorboard", "t")]);
        assert_eq!(read(&folder, "c/metrics.csv").lines().count(), 3);
        assert_eq!(read(&folder, "d/plots/metrics/val_loss.tsv"), format!("step\tval_loss\n6\t{}\n", 1.0 / 6.0));
        assert!(!folder.join("d/plots/metrics/test_loss.tsv").exists());
        assert_eq!(contents(&folder.join("t")).keys().filter(|name| name.contains("tfevents")).count(), 1);
    }
}

#[test]
fn files_that_do_not_say_whose_they_are_are_anothers() {
    let folder = Folder::new();
    fs::create_dir(folder.join("c")).unwrap();
    folder.write("c/metrics.csv", "epoch,step\n1,1\n");
    let error = files(&folder, &(resumed("a", 4) + &epochs(3..=3)));
    assert_eq!(error, "track: --csv c: replacing the files of another run\n");
    assert!(!read(&folder, "c/metrics.csv").contains("1,1"));
}

/// Every row brings a column: the file is not written anew for each.
#[test]
fn a_column_a_row_is_no_matter() {
    let folder = Folder::new();
    const ROWS: usize = 3000;
    let row = |i: usize| {
        format!("{{\"event\":\"step\",\"epoch\":1,\"step\":{i},\"metrics\":{{\"m{i}\":{i}.5}},\"time\":1.5}}\n")
    };
    let input = start("a") + &(1..=ROWS).map(row).collect::<String>();
    files(&folder, &input);
    let mut reader = csv::Reader::from_path(folder.join("c/metrics.csv")).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert!(names.len() == ROWS + 2 && names.is_sorted());
    let mut rows = 0;
    for (i, row) in reader.records().enumerate() {
        let row = row.unwrap();
        let cells: Vec<_> = names.iter().zip(&row).filter(|(_, cell)| !cell.is_empty()).collect();
        let (step, metric, value) = ((i + 1).to_string(), format!("m{}", i + 1), format!("{}.5", i + 1));
        let cell = |name: &str| cells.iter().find(|(there, _)| *there == name).map(|(_, cell)| *cell);
        assert_eq!(
            (cells.len(), cell("epoch"), cell("step"), cell(&metric)),
            (3, Some("1"), Some(&*step), Some(&*value))
        );
        rows += 1;
    }
    assert_eq!(rows, ROWS);
    // More files than a process may have open, and each goes back.
    assert_eq!(read(&folder, "d/plots/metrics/m2999.tsv"), "step\tm2999\n2999\t2999.5\n");
    files(&folder, &(resumed("a", 2000) + &row(2500)));
    assert_eq!(read(&folder, "d/plots/metrics/m2999.tsv"), "step\tm2999\n");
    assert_eq!(read(&folder, "d/plots/metrics/m2500.tsv"), "step\tm2500\n2500\t2500.5\n");
    assert_eq!(read(&folder, "c/metrics.csv").lines().count(), 2002);
}

#[test]
fn a_limit_of_cells_is_told_and_kept() {
    let folder = Folder::new();
    let row = |i: usize| {
        format!(
            "{{\"event\":\"step\",\"epoch\":1,\"step\":{i},\"metrics\":{{\"m{i}\":{i}.5,\"m1\":1}},\"time\":1.5}}\n"
        )
    };
    let input = start("a") + &(1..=20).map(row).collect::<String>();
    let (status, out, error) = outcome(track(&folder, &["--no-mlflow", "--csv", "c", "csv_cells=30"]), &input);
    assert_eq!((status, out), (0, input.into_bytes()));
    let expected = "track: c/metrics.csv: \"m5\" and later new metrics are omitted: more than tracking.csv_cells, 30\n";
    assert_eq!(error, expected);
    let csv = read(&folder, "c/metrics.csv");
    assert_eq!((csv.lines().next(), csv.lines().count()), (Some("epoch,m1,m2,m3,m4,step"), 21));
}

#[test]
fn no_name_of_a_metric_is_too_long_or_leads_elsewhere() {
    let folder = Folder::new();
    let names = ["é".repeat(300), "x".repeat(3 << 20), format!("a/{}/b", "y".repeat(240)), "../../../up".into()];
    let row = |name: &String| {
        format!("{{\"event\":\"step\",\"epoch\":1,\"step\":1,\"metrics\":{{\"{name}\":1.5}},\"time\":1.5}}\n")
    };
    files(&folder, &(start("a") + &names.iter().map(row).collect::<String>()));
    let plots = contents(&folder.join("d/plots/metrics"));
    assert_eq!(plots.len(), names.len());
    assert!(plots.values().all(|plot| plot.ends_with(b"\n1\t1.5\n")), "{:?}", plots.keys());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
}

#[test]
fn no_clock_and_no_count_is_too_far_out() {
    for time in ["-1e300", "1e300", "-1.0", "253402300800", "0"] {
        let folder = Folder::new();
        let input = start("a").replace("\"time\":1000.0", &format!("\"time\":{time}"));
        assert!(input.contains(time));
        files(&folder, &(input + &step(1).replace("1001.5", time) + &END.replace("9000.25", time)));
        assert!(read(&folder, "c/metrics.csv").ends_with("1,1.0,1\n"));
    }
    for count in ["9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        let folder = Folder::new();
        let far = step(1).replace("\"step\":1,", &format!("\"step\":{count},"));
        let input = start("a") + &far + &resumed("a", 7).replace("\"step\":7", &format!("\"step\":{count}")) + &step(2);
        let (status, out, error) = outcome(track(&folder, &FILES), &input);
        assert_eq!(out, input.into_bytes());
        // TensorBoard's files count to 2^63 - 1.
        let fits = count.parse::<i64>().is_ok();
        assert_eq!(
            (status, error.contains("larger than its files can hold")),
            if fits { (0, false) } else { (2, true) }
        );
        assert!(read(&folder, "c/metrics.csv").contains(&format!("1,1.0,{count}\n")));
    }
    // What no count can be is no event.
    let folder = Folder::new();
    for count in ["18446744073709551616", "-1", "1.5", "null"] {
        let input = log(1) + &step(2).replace("\"step\":2,", &format!("\"step\":{count},"));
        let error = files(&folder, &input);
        assert!(error.starts_with("track: stdin:4: event \"step\": ") && error.lines().count() == 1, "{error}");
    }
}

/// A named pipe in the place of a file would be waited for.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let folder = Folder::new();
    files(&folder, &(start("a") + &epochs(1..=2)));
    for name in ["c/metrics.csv", "c/.run.json", "c/hparams.yaml", "d/metrics.json", "d/plots/metrics/val_loss.tsv"] {
        let path = folder.join(name);
        fs::remove_file(&path).unwrap();
        system::fifo(&path);
        let input = resumed("a", 4) + &epochs(3..=3);
        let (_, out, error) = outcome(track(&folder, &FILES), &input);
        assert!(out == input.into_bytes(), "{error}");
        fs::remove_file(&path).ok();
        files(&folder, &(start("a") + &epochs(1..=2)));
    }
}
