//! Runs again from `config.yaml`, slips on the command line, and jobs that say which they are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Folder, rows::point, tool};

fn rows() -> String {
    (0..60).map(point).map(|(a, b)| format!("{{\"x\":[{a},{b}],\"y\":{}}}\n", i32::from(a > b))).collect()
}

fn train(folder: &Path, args: &[&str]) -> (i32, String) {
    let (status, _, error) = tool!("train").within(folder).args(args).stdin(rows()).run().parts();
    (status, error)
}

const JOB: [&str; 4] =
    ["trainer.input_field=x", "trainer.target_field=y", "trainer.loss=cross_entropy", "trainer.max_epochs=2"];

#[test]
fn a_run_is_run_again_from_its_settings() {
    let folder = &Folder::new();
    let first = train(folder, &[&JOB[..], &["-o", "r", "--quiet", "optimizer=sgd", "model.hidden=[5]"]].concat());
    assert_eq!(first, (0, String::new()));
    let again = train(folder, &["--config", "r/config.yaml", "-o", "again", "--quiet"]);
    assert_eq!(again, (0, String::new()));
    for file in ["model.safetensors", "metrics.json", "history.csv"] {
        let [a, b] = ["r", "again"].map(|run| fs::read(folder.join(run).join(file)).unwrap());
        assert_eq!(a, b, "{file}");
    }
    let settings = |run: &str| fs::read_to_string(folder.join(run).join("config.yaml")).unwrap();
    assert_eq!(settings("again"), settings("r").replace("run_dir: r\n", "run_dir: again\n"));
    // With another setting, from a copy elsewhere, and without a folder: that of the defaults, which is told.
    assert_eq!(train(folder, &["--config", "r/config.yaml", "-o", "seed", "--quiet", "trainer.seed=1"]).0, 0);
    fs::create_dir(folder.join("copy")).unwrap();
    fs::copy(folder.join("r/config.yaml"), folder.join("copy/config.yaml")).unwrap();
    let (status, said) = train(folder, &["--config", "copy/config.yaml", "--quiet"]);
    assert!(status == 0 && said.contains("trainer.run_dir: \"r\" is not taken from a run's settings"), "{said}");
    assert!(said.lines().count() == 1 && folder.join("runs/entropy/metrics.json").exists(), "{said}");
}

#[test]
fn a_slip_names_the_whole_key_and_the_value() {
    let folder = Folder::new();
    let cases = [
        ("lr=0.1", "optimizer.learning_rate=0.1"),
        ("learning_rate=0.1", "optimizer.learning_rate=0.1"),
        ("epochs=3", "trainer.max_epochs=3"),
        ("loss=mse", "trainer.loss=mse"),
        ("input_field=x", "trainer.input_field=x"),
        ("optimizer.lr=0.1", "optimizer.learning_rate=0.1"),
        ("--lr=0.1", "optimizer.learning_rate=0.1"),
        ("--epochs=3", "trainer.max_epochs=3"),
        ("--qiet", "--quiet"),
    ];
    for (wrong, right) in cases {
        let (status, said) = train(&folder, &["-o", "r", wrong]);
        assert!(status == 2 && said.contains(&format!("did you mean {right}?")), "{wrong}: {said}");
        let followed: Vec<&str> = if wrong.contains("loss") { vec![right] } else { [&JOB[..], &[right]].concat() };
        let (status, said) = train(&folder, &[&followed[..], &["-o", "r"]].concat());
        assert!(!said.contains("did you mean"), "{right}: {status} {said}");
    }
    let (status, said) = train(&folder, &["-o", "r"]);
    assert!(status == 2 && said.contains("trainer.input_field"), "{said}");
}

#[test]
fn a_job_that_fails_names_its_run_folder() {
    let folder = Folder::new();
    let (status, said) = train(&folder, &["trainer.run_dir='runs/x/trainer.seed=1'", "trainer.input_field=nope"]);
    assert!(status == 2 && said.contains("(run folder runs/x/trainer.seed=1"), "{said}");
    let args =
        [&JOB[..], &["trainer.run_dir=runs/y", "optimizer=sgd", "optimizer.learning_rate=1e30", "--quiet"]].concat();
    let (status, said) = train(&folder, &args);
    assert!(status == 1 && said.contains("runs/y"), "{said}");
}

#[test]
fn images_of_ones_own_need_no_file_of_another_job() {
    let folder = Folder::new();
    let image = |i: usize| {
        let pixel = |at: usize| (at * 7 + i * 31 + (i % 2) * 100) % 256;
        let row = |y: usize| (0..8).map(|x| pixel(8 * y + x).to_string()).collect::<Vec<_>>().join(",");
        let rows = (0..8).map(|y| format!("[{}]", row(y))).collect::<Vec<_>>().join(",");
        format!("{{\"image\":[[{rows}]],\"label\":{}}}\n", i % 2)
    };
    let rows: String = (0..40).map(image).collect();
    for primary in ["images", "cifar10"] {
        let args = ["--config-name", primary, "--quiet", "trainer.max_epochs=1", "trainer.batch_size=8"];
        let (status, _, said) = tool!("train").within(&folder).args(args).stdin(rows.as_str()).run().parts();
        assert!(status == 0 && !said.contains("data/"), "{primary}: {said}");
        let metrics = fs::read_to_string(folder.join("runs").join(primary).join("metrics.json")).unwrap();
        assert!(metrics.contains("\"val\"") && metrics.contains("accuracy"), "{metrics}");
    }
}

#[test]
fn configs_of_another_project_are_named() {
    let folder = Folder::new();
    let write = |name: &str, text: &str| drop(folder.write(format!("configs/{name}"), text));
    // As the Lightning-Hydra template has it.
    write("train.yaml", "defaults:\n  - trainer: default\nseed: null\n");
    write("trainer/default.yaml", "_target_: lightning.pytorch.trainer.Trainer\nmin_epochs: 1\nmax_epochs: 10\n");
    for args in [&["-o", "r"][..], &["-o", "r", "trainer.batch_size=3"], &["-o", "r", "trainer.loss=cross_entropy"]] {
        let (status, said) = train(&folder, args);
        assert!(status == 2 && said.lines().count() == 1 && said.contains("configs/trainer/default.yaml"), "{said}");
        assert!(said.contains("takes the place of the built-in trainer/default"), "{said}");
    }
    // What is not in the way is no matter.
    fs::remove_file(folder.join("configs/trainer/default.yaml")).unwrap();
    write("mine.yaml", "trainer: {input_field: x, target_field: y, loss: cross_entropy, max_epochs: 1}\n");
    assert_eq!(train(&folder, &["--config-name", "mine", "-o", "r", "--quiet"]), (0, String::new()));
}
