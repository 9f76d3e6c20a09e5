//! Monitored metrics go the way in which they get better.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::{fs, path::Path};
use testkit::{Folder, rows::point, tool};

/// Rows of two classes that a small network learns in a few epochs, not in the first.
fn labelled(count: usize) -> String {
    let row = |i: usize| {
        let (a, b) = point(i);
        format!("{{\"x\":[{a},{b}],\"y\":{}}}\n", u8::from(a > b))
    };
    (0..count).map(row).collect()
}

/// The test's metrics, the history, and what was said, of a run that must go well.
fn trained(folder: &Path, args: &[&str]) -> (Value, Vec<f64>, String) {
    let fields = ["trainer.input_field=x", "trainer.target_field=y", "trainer.loss=cross_entropy", "-o", "run"];
    let command = tool!("train").within(folder).args(fields).args(args).stdin(labelled(400));
    let (status, _, said) = command.run().parts();
    assert_eq!(status, 0, "{args:?}: {said}");
    let read = |name: &str| fs::read_to_string(folder.join("run").join(name)).unwrap();
    let history = read("history.csv");
    let column = history.lines().next().unwrap().split(',').position(|name| name == "val_accuracy").unwrap();
    let accuracies = history.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse().unwrap());
    let said = said.lines().filter(|line| line.starts_with("train: ")).collect::<Vec<_>>().join("\n");
    (serde_json::from_str(&read("metrics.json")).unwrap(), accuracies.collect(), said)
}

#[test]
fn the_highest_accuracy_is_kept() {
    let folder = Folder::new();
    let watch = ["callbacks.checkpoint.monitor=val_accuracy", "trainer.max_epochs=12", "optimizer.learning_rate=1e-2"];
    let (metrics, accuracies, said) = trained(&folder, &watch);
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    assert!(best > accuracies[0], "{accuracies:?}");
    assert_eq!((metrics["val"]["accuracy"].as_f64(), said.as_str()), (Some(best), ""));

    let folder = Folder::new();
    let (metrics, accuracies, said) = trained(&folder, &[&watch[..], &["callbacks.checkpoint.mode=min"]].concat());
    let lowest = accuracies.iter().copied().fold(1.0, f64::min);
    assert_eq!(metrics["val"]["accuracy"].as_f64(), Some(lowest));
    let expected = "train: callbacks.checkpoint.mode: min, but val_accuracy is better when it is high; mode=auto follows \
                    the metric";
    assert_eq!(said, expected);
}

#[test]
fn a_run_stops_when_accuracy_no_longer_rises() {
    let folder = Folder::new();
    let watch = ["callbacks.early_stopping.monitor=val_accuracy", "callbacks.early_stopping.patience=3"];
    let (_, accuracies, _) = trained(&folder, &[&watch[..], &["trainer.max_epochs=200"]].concat());
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    let first = accuracies.iter().position(|&accuracy| accuracy == best).unwrap();
    assert_eq!(accuracies.len(), first + 4, "{accuracies:?}");
}

#[test]
fn the_learning_rate_falls_when_accuracy_no_longer_rises() {
    let folder = Folder::new();
    let plateau = ["scheduler=reduce_on_plateau", "scheduler.monitor=val_accuracy", "scheduler.patience=0"];
    trained(&folder, &[&plateau[..], &["trainer.max_epochs=8", "optimizer.learning_rate=1e-2"]].concat());
    let history = folder.text("run/history.csv");
    let rows: Vec<Vec<f64>> =
        history.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let names: Vec<&str> = history.lines().next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let (accuracy, learning_rate) = (column("val_accuracy"), column("learning_rate"));
    let (mut best, mut expected) = (f64::NEG_INFINITY, 1e-2);
    for row in rows {
        assert!((row[learning_rate] - expected).abs() <= 1e-9 * expected, "{history}");
        let rises = row[accuracy] > best + if best.is_finite() { 1e-4 * best } else { 0.0 };
        if rises {
            best = row[accuracy]
        } else if expected > 1e-7 {
            expected *= 0.1
        }
    }
}
