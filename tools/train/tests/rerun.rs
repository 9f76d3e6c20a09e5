//! Runs again from `config.yaml`, slips on the command line, and jobs that say which they are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use std::{fs, path::Path};

fn rows() -> String {
    (0..60)
        .map(|i| {
            let (a, b) = ((f64::from(i) * 0.618_034).fract(), (f64::from(i) * 0.754_878).fract());
            format!("{{\"x\":[{a},{b}],\"y\":{}}}\n", i32::from(a > b))
        })
        .collect()
}

fn train(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = cargo_bin_cmd!("train").current_dir(folder).args(args).write_stdin(rows()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const JOB: [&str; 4] =
    ["trainer.input_field=x", "trainer.target_field=y", "trainer.loss=cross_entropy", "trainer.max_epochs=2"];

#[test]
fn a_run_is_run_again_from_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
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
    let folder = tempfile::tempdir().unwrap();
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
        let (status, said) = train(folder.path(), &["-o", "r", wrong]);
        assert!(status == 2 && said.contains(&format!("did you mean {right}?")), "{wrong}: {said}");
        let followed: Vec<&str> = if wrong.contains("loss") { vec![right] } else { [&JOB[..], &[right]].concat() };
        let (status, said) = train(folder.path(), &[&followed[..], &["-o", "r"]].concat());
        assert!(!said.contains("did you mean"), "{right}: {status} {said}");
    }
    let (status, said) = train(folder.path(), &["-o", "r"]);
    assert!(status == 2 && said.contains("trainer.input_field"), "{said}");
}

#[test]
fn a_job_that_fails_names_its_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = train(folder.path(), &["trainer.run_dir='runs/x/trainer.seed=1'", "trainer.input_field=nope"]);
    assert!(status == 2 && said.contains("(run folder runs/x/trainer.seed=1"), "{said}");
    let args =
        [&JOB[..], &["trainer.run_dir=runs/y", "optimizer=sgd", "optimizer.learning_rate=1e30", "--quiet"]].concat();
    let (status, said) = train(folder.path(), &args);
    assert!(status == 1 && said.contains("runs/y"), "{said}");
}
