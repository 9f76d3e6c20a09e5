//! The instruction set of the kernels (`PIPEGRAD_ISA`) does not show in the bytes of a run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kernels::Isa;
use std::fs;
use testkit::{Folder, rows::linear, tool};

/// What a run leaves, but for the log, which has times.
const FILES: [&str; 4] = ["model.safetensors", "metrics.json", "history.csv", "test.npy"];

/// Trains with every instruction set of this processor; the first run, on the baseline, is the reference.
fn assert_same_files(args: &[&str], stdin: &str) {
    let folder = Folder::new();
    for isa in Isa::supported().map(|isa| isa.to_string()) {
        let train = tool!("train").within(&folder).env("PIPEGRAD_ISA", &isa);
        let done = train.args(["-o", &isa, "--quiet"]).args(args).stdin(stdin).run();
        assert_eq!((done.status, done.error.as_str()), (0, ""), "{isa} {args:?}");
        for file in FILES {
            let read = |run: &str| fs::read(folder.join(run).join(file)).unwrap();
            assert!(read(&isa) == read("baseline"), "{file}: {isa} {args:?}");
        }
    }
}

/// Images of 3 × 8 × 8 values and a label.
fn images(count: usize) -> String {
    let row = |row: usize| {
        let value = |i: usize| (((row * 192 + i) as f64) * 0.618_034).fract();
        let plane = |c: usize| -> Vec<Vec<f64>> {
            (0..8).map(|y| (0..8).map(|x| value((c * 8 + y) * 8 + x)).collect()).collect()
        };
        serde_json::json!({"image": [plane(0), plane(1), plane(2)], "label": row % 2}).to_string() + "\n"
    };
    (0..count).map(row).collect()
}

#[test]
fn perceptrons() {
    let (two, averaged) = ("trainer.max_epochs=2", "trainer.ema_decay=0.9");
    assert_same_files(&[two, averaged], &linear(1000));
    // Several tasks of a batch; a clipped gradient; every activation, and the square root of RMSprop.
    assert_same_files(
        &[two, "trainer.batch_size=512", "trainer.clip_norm=0.01", "model.activation=tanh"],
        &linear(1000),
    );
    assert_same_files(&[two, "optimizer=rmsprop", "model.activation=sigmoid"], &linear(500));
    assert_same_files(&[two, "optimizer=sgd_nesterov", "model.activation=gelu", "scheduler=cosine"], &linear(500));
    // Wide enough to split each product.
    assert_same_files(&["trainer.max_epochs=1", "model.hidden=[300,300]"], &linear(300));
}

#[test]
fn convolutional_networks() {
    let fields = ["trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy"];
    let run = ["trainer.max_epochs=1", "trainer.batch_size=16"];
    assert_same_files(&[&fields[..], &run, &["model=resnet20", "augmentation=cifar10"]].concat(), &images(40));
    // A kernel without padding, for which there is no Winograd; pooling; a linear layer of many inputs.
    let lenet = "model.layers=[{conv: {channels: 6, kernel: 5, padding: 0, bias: true}}, {activation: tanh}, \
                 {average_pool: {size: 2}}, {linear: {outputs: 20}}, {activation: relu}, {linear: {}}]";
    let whitened = "model.layers=[{whiten: {images: 20}}, {activation: gelu}, {conv: {channels: 4, init: dirac}}, \
                    {norm: {scale: false}}, {activation: gelu}, {average_pool: {}}, {linear: {}}, {scale: 0.5}]";
    for layers in [lenet, whitened] {
        assert_same_files(&[&fields[..], &run, &["model=small_cnn", layers]].concat(), &images(40));
    }
}
