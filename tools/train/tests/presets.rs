//! The networks of `configs/model` against PyTorch: `fixtures/presets.py`. And that a whitened one learns.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::{fs, path::Path};
use testkit::{Folder, tool};

/// Images of 3 × `size` × `size` numbers, as many of each class: bright above where the label is odd.
fn images(rows: usize, size: usize, classes: usize) -> String {
    let row = |row: usize| {
        let pixel = |i: usize| {
            let noise = ((row * 7919 + i) as f64 * 0.618_034).fract();
            let above = i % (size * size) < size * size / 2;
            noise + f64::from(u8::from(above && row % 2 == 1))
        };
        let plane = |c: usize| -> Vec<Vec<f64>> {
            (0..size).map(|y| (0..size).map(|x| pixel((c * size + y) * size + x)).collect()).collect()
        };
        serde_json::json!({"image": [plane(0), plane(1), plane(2)], "label": row % classes}).to_string() + "\n"
    };
    (0..rows).map(row).collect()
}

fn train(folder: &Path, args: &[&str], stdin: &str) -> String {
    let fields = ["trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy"];
    let done = tool!("train").within(folder).args(fields).args(args).stdin(stdin).run();
    assert_eq!(done.status, 0, "{args:?}: {}", done.error);
    done.out
}

#[test]
fn presets_learn_as_many_numbers_as_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/presets.json")).unwrap();
    let (folder, rows) = (Folder::new(), images(10, 32, 10));
    for (name, count) in golden.as_object().unwrap() {
        let summary = train(&folder, &["--summary", &format!("model={name}")], &rows);
        let total = summary.lines().last().unwrap();
        assert!(total.starts_with(&format!("{count} parameters, ")), "{name}: {total}");
    }
}

#[test]
fn an_experiment_trains_in_one_line() {
    let folder = Folder::new();
    let args = ["-o", "run", "--quiet", "--config-name", "cifar10", "+experiment=speednet", "trainer.max_epochs=2"];
    let own = ["trainer.val_input=null", "trainer.split=[0.5,0.5,0]", "callbacks.checkpoint.save_last=false"];
    train(&folder, &[&args[..], &own].concat(), &images(20, 32, 10));
    let history = folder.text("run/history.csv");
    assert_eq!(history.lines().count(), 3, "{history}");
}

#[test]
fn a_whitened_network_learns_and_goes_on_bit_for_bit() {
    let folder = Folder::new();
    let (folder, rows) = (&folder, images(64, 8, 2));
    let model = "model.layers=[{whiten: {images: 20}}, {activation: gelu}, {conv: {channels: 4, init: dirac}}, \
                 {norm: {scale: false}}, {activation: gelu}, {average_pool: {}}, {linear: {}}, {scale: 0.5}]";
    let run = |out: &str, extra: &[&str]| {
        let args = ["-o", out, "--quiet", "model=small_cnn", model, "trainer.batch_size=16", "trainer.ema_decay=0.5"];
        train(folder, &[&args, extra, &["optimizer.learning_rate_factors.norm=2"]].concat(), &rows)
    };
    run("whole", &["trainer.max_epochs=8", "optimizer.learning_rate=0.05"]);
    run("cut", &["trainer.max_epochs=8", "optimizer.learning_rate=0.05", "trainer.max_steps=7"]);
    run("cut", &["trainer.max_epochs=8", "optimizer.learning_rate=0.05", "trainer.resume=last"]);
    let read = |run: &str| fs::read(folder.join(run).join("model.safetensors")).unwrap();
    assert!(read("whole") == read("cut"));
    let metrics: Value = serde_json::from_slice(&fs::read(folder.join("whole/metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["test"]["accuracy"], 1.0, "{metrics}");
}
