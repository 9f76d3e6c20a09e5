//! Inputs and targets far from unit scale.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, Metrics};
use nets::Model;
use std::path::Path;
use testkit::{Folder, rows::point, tool};

fn train(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("train").within(folder).args(args).stdin(stdin).run().parts()
}

/// The test's metrics, the model, and the lines that were said about the rows.
fn trained(folder: &Path, args: &[&str], stdin: &str) -> (Metrics, Model, Vec<String>) {
    let (status, out, error) = train(folder, &[args, &["-o", "run"]].concat(), stdin);
    assert_eq!(status, 0, "{args:?}: {error}");
    let mut events = out.lines().map(|line| Event::from_line(line).unwrap().unwrap());
    let test = events.find_map(|event| if let Event::Test(test) = event { Some(test.metrics) } else { None }).unwrap();
    let said = error.lines().filter(|line| line.starts_with("train: ")).map(str::to_owned).collect();
    (test, Model::read(&folder.join("run/model.safetensors")).unwrap(), said)
}

/// Rows of y = `scale` · (2·x0 - x1) + `offset`, from inputs between 0 and `size`.
fn rows(count: usize, size: f64, scale: f64, offset: f64) -> String {
    let row = |i: usize| {
        let (a, b) = point(i);
        let y = scale * (2.0 * a - b) + offset;
        format!("{{\"probs\":[{},{}],\"entropy\":{y}}}\n", size * a, size * b)
    };
    (0..count).map(row).collect()
}

#[test]
fn a_target_of_large_scale_is_learned() {
    let folder = Folder::new();
    let (test, model, said) = trained(&folder, &["trainer.max_epochs=20"], &rows(1000, 2000.0, 1e5, 5e5));
    assert!(test.get("test_r2").unwrap() > 0.9, "{test:?}");
    // The loss is that of the scaled target, the error in its own units.
    let scale = f64::from(model.target_scaling.as_ref().unwrap().scale[0]);
    assert!((5e4..8e4).contains(&scale), "{scale}");
    let (loss, mse) = (test.get("test_loss").unwrap(), test.get("test_mse").unwrap());
    assert!((mse / (scale * scale) / loss - 1.0).abs() < 1e-3, "{loss} {mse}");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("train: field \"probs\": feature 0 has mean ") && said[0].contains(", far from unit"));
    assert!(said[1].starts_with("train: field \"entropy\" has mean 5.5"), "{said:?}");
    assert!(said[1].ends_with("standardized (model.target_scaling=none leaves it as it is)"), "{said:?}");
    let summary = train(&folder, &["--summary", "--quiet"], &rows(100, 2000.0, 1e5, 5e5)).1;
    assert_eq!(summary.lines().filter(|line| line.contains("  scaling  ")).count(), 2, "{summary}");
}

#[test]
fn what_is_of_unit_scale_stays_as_it_is() {
    let rows = rows(300, 1.0, 1.0, 0.0);
    let bytes = |settings: &[&str]| {
        let folder = Folder::new();
        let (_, model, said) = trained(&folder, &[settings, &["trainer.max_epochs=1"]].concat(), &rows);
        assert!(model.scaling.is_none() && model.target_scaling.is_none() && said.is_empty(), "{said:?}");
        folder.bytes("run/model.safetensors")
    };
    assert!(bytes(&[]) == bytes(&["model.input_scaling=none", "model.target_scaling=none"]));
}

#[test]
fn a_vector_is_scaled_element_by_element_and_goes_on() {
    let folder = Folder::new();
    let row = |i: usize| {
        let (a, b) = point(i);
        format!("{{\"probs\":[{a},{b}],\"entropy\":[[{},7],[{},{}]]}}\n", 1e6 * a, 1e-4 * b, a - b)
    };
    let rows: String = (0..500).map(row).collect();
    let settings = ["optimizer.learning_rate=1e-2", "trainer.max_epochs=30", "--quiet", "trainer.loss=huber"];
    let (test, whole, _) = trained(&folder, &settings, &rows);
    let scaling = whole.target_scaling.clone().unwrap();
    assert_eq!((scaling.mean[1], scaling.scale[1]), (7.0, 1.0), "an element that never changes");
    assert!((0.25e6..0.35e6).contains(&scaling.scale[0]) && (0.25e-4..0.35e-4).contains(&scaling.scale[2]));
    assert!(test.get("test_loss").unwrap() < 1e-2, "{test:?}");
    trained(&folder, &[&settings[..], &["trainer.max_steps=50"]].concat(), &rows);
    let (_, resumed, _) = trained(&folder, &[&settings[..], &["trainer.resume=last"]].concat(), &rows);
    assert!(resumed == whole);
}

#[test]
fn classes_are_never_scaled() {
    let folder = Folder::new();
    let rows: String = (0..300).map(|i| format!("{{\"probs\":[{}],\"entropy\":{}}}\n", i % 7, 100 + i % 2)).collect();
    let class = "trainer.loss=cross_entropy";
    let (_, model, _) = trained(&folder, &[class, "trainer.max_epochs=1", "--quiet"], &rows);
    assert!(model.target_scaling.is_none());
    let (status, _, error) = train(&folder, &[class, "model.target_scaling=standard"], &rows);
    assert_eq!((status, error.lines().count()), (2, 1), "{error}");
    assert!(error.starts_with("train: model.target_scaling: standard has no meaning for classes"), "{error}");
}

#[test]
fn predictions_of_a_scaled_target_begin_near_its_mean() {
    // A network that does not learn: as far as its outputs are 0, its loss is the mean square of the standardized target,
    // which is 1. With He's whole weights it is 0.9 to 2.8.
    let folder = Folder::new();
    let idle = ["trainer.max_epochs=1", "optimizer.learning_rate=1e-12", "trainer.split=[1,0,0]", "model.hidden=[100]"];
    for seed in 0..5 {
        let seed = format!("trainer.seed={seed}");
        let settings = [&idle[..], &[seed.as_str(), "-o", "run", "--quiet"]].concat();
        let (status, out, error) = train(&folder, &settings, &rows(500, 2000.0, 1e5, 5e5));
        assert_eq!(status, 0, "{error}");
        let epoch = out.lines().map(|line| Event::from_line(line).unwrap().unwrap());
        let mut loss = epoch
            .filter_map(|event| if let Event::Epoch(epoch) = event { epoch.metrics.get("train_loss") } else { None });
        let loss = loss.next_back().unwrap();
        assert!((0.7..1.4).contains(&loss), "{seed}: {loss}");
    }
}
