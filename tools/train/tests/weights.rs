//! What rows and classes count in the loss, and what is told of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, Metrics};
use std::{fmt::Display, path::Path};
use testkit::{Folder, rows::point, tool};

/// Runs the tool in `folder`; returns status, standard output and standard error.
fn train(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    let fields = ["trainer.input_field=x", "trainer.target_field=y"];
    tool!("train").within(folder).args(fields).args(args).stdin(stdin).run().parts()
}

/// The events of a run that must go well, and what was said.
fn trained(folder: &Path, args: &[&str], stdin: &str) -> (Vec<Event>, String) {
    let (status, out, error) = train(folder, &[args, &["-o", "run"]].concat(), stdin);
    assert_eq!(status, 0, "{args:?}: {error}");
    (out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect(), error)
}

fn tested(events: &[Event]) -> &Metrics {
    events.iter().find_map(|event| if let Event::Test(test) = event { Some(&test.metrics) } else { None }).unwrap()
}

/// Rows `{"x": [x, z], "y": y, "w": w}` of values between 0 and 1 that do not repeat.
fn rows<Y: Display, W: Display>(count: usize, y: impl Fn(usize, f64) -> Y, w: impl Fn(usize) -> W) -> String {
    let row = |i: usize| {
        let (x, z) = point(i);
        format!("{{\"x\":[{x},{z}],\"y\":{},\"w\":{}}}\n", y(i, x), w(i))
    };
    (0..count).map(row).collect()
}

/// One class in fifty, not quite told by `x`.
fn imbalanced(count: usize) -> String {
    rows(count, |i, x| u8::from(i % 50 == 0 || (x > 0.95 && i % 2 == 0)), |i| 1 + i % 3)
}

#[test]
fn balanced_classes_are_told_and_learned() {
    let (folder, rows) = (Folder::new(), imbalanced(1000));
    let common = ["trainer.loss=cross_entropy", "trainer.split=[1,0,0]", "trainer.max_epochs=1"];
    let loss = |extra: &[&str]| {
        let (_, said) = trained(&folder, &[&common, extra].concat(), &rows);
        let metrics = folder.text("run/metrics.json");
        (serde_json::from_str::<serde_json::Value>(&metrics).unwrap()["train"]["loss"].as_f64().unwrap(), said)
    };
    // 44 rows of class 1 by the rule above: 1000 / (2 · 956) and 1000 / (2 · 44).
    let ones = rows.matches("\"y\":1").count();
    let (least, most) = (1000.0 / (2.0 * (1000.0 - ones as f64)), 1000.0 / (2.0 * ones as f64));
    let (balanced, said) = loss(&["trainer.class_weights=balanced"]);
    let expected = format!("train: trainer.class_weights: balanced is [{:?}, {:?}]", least as f32, most as f32);
    assert!(said.contains(&expected), "{said} {expected}");
    let list = format!("trainer.class_weights=[{least},{most}]");
    assert_eq!(loss(&[&list]).0, balanced, "the same weights by hand");
    assert_ne!(loss(&[]).0, balanced);
    let (status, _, error) = train(&folder, &[&common[..], &["trainer.class_weights=[1,2,3]"]].concat(), &rows);
    assert_eq!(
        (status, error.as_str()),
        (2, "train: trainer.class_weights: 3 weights for 2 classes; expected one per class\n")
    );
}

#[test]
fn equal_weights_change_nothing_and_zeros_leave_rows_out() {
    let folder = Folder::new();
    let model = |args: &[&str], rows: &str| {
        trained(&folder, &[args, &["trainer.max_epochs=2", "trainer.split=[1,0,0]", "--quiet"]].concat(), rows);
        folder.bytes("run/model.safetensors")
    };
    for loss in ["mse", "bce", "cross_entropy"] {
        let loss = format!("trainer.loss={loss}");
        let rows = rows(300, |i, _| i % 2, |_| 1);
        let weighted = ["trainer.weight_field=w", "trainer.class_weights=[1,1]"];
        assert!(model(&[&loss], &rows) == model(&[&[&loss[..]], &weighted[..]].concat(), &rows), "{loss}");
    }
    // Rows that weigh nothing may be anything.
    let nonsense = |y: i32| rows(300, move |i, x| if i % 3 == 0 { f64::from(y) } else { x }, |i| u8::from(i % 3 != 0));
    let weighted = ["trainer.weight_field=w", "model.target_scaling=none"];
    assert!(model(&weighted, &nonsense(7)) == model(&weighted, &nonsense(-7)));
}

#[test]
fn validation_and_test_losses_are_weighted_and_metrics_are_not() {
    let folder = Folder::new();
    // Every other target is one too high, and of no weight.
    let rows = rows(2000, |i, x| x + (i % 2) as f64, |i| 1 - i % 2);
    let args = ["trainer.weight_field=w", "trainer.max_epochs=20", "optimizer.learning_rate=1e-2", "--quiet"];
    let (events, _) = trained(&folder, &args, &rows);
    let get = |name| tested(&events).get(name).unwrap();
    assert!(get("test_loss") < 1e-3 && (0.3..0.7).contains(&get("test_mse")), "{events:?}");
}

#[test]
fn weights_that_are_none_are_refused_where_they_stand() {
    let folder = Folder::new();
    let field = "trainer.weight_field=w";
    let bad = |w: &str| rows(9, |_, x| x, |i| if i == 4 { w.to_owned() } else { "1".into() });
    let cases: &[(&[&str], String, &str)] = &[
        (&[field], bad("-0.5"), "train: stdin:5: field \"w\" is -0.5; a weight is a finite number of at least 0\n"),
        (&[field], bad("1e40"), "train: stdin:5: field \"w\" is inf; a weight is a finite number of at least 0\n"),
        (&[field], rows(9, |_, x| x, |_| "[1,2]"), "expected a number by trainer.weight_field\n"),
        (
            &[field],
            rows(9, |_, x| x, |_| 0),
            "trainer.class_weights: the weights of the 7 rows for training sum to 0\n",
        ),
        (
            &["trainer.loss=bce", "trainer.class_weights=[1,2]"],
            rows(9, |_, x| x, |_| 1),
            "bce requires one target per row, 0 or 1; field \"y\" is different\n",
        ),
    ];
    for (args, rows, expected) in cases {
        let (status, _, error) = train(&folder, args, rows);
        assert_eq!((status, error.lines().count()), (2, 1), "{args:?}: {error}");
        assert!(error.ends_with(expected), "{args:?}: {error}");
    }
}

#[test]
fn another_weighting_is_another_run() {
    let folder = Folder::new();
    let (rows, common) = (imbalanced(300), ["trainer.loss=cross_entropy", "trainer.max_epochs=1", "--quiet"]);
    trained(&folder, &[&common[..], &["trainer.class_weights=[1,9]"]].concat(), &rows);
    for other in ["trainer.class_weights=[1,8]", "trainer.class_weights=null"] {
        let args = [&common[..], &["-o", "run", "trainer.resume=last", other]].concat();
        let (status, _, error) = train(&folder, &args, &rows);
        assert!(status == 2 && error.contains("trainer.class_weights is"), "{error}");
    }
}

#[test]
fn what_rows_cannot_teach_is_told() {
    let folder = Folder::new();
    let labels = |y: &dyn Fn(usize) -> usize| rows(100, |i, _| y(i), |_| 1);
    let of_class = ["trainer.loss=cross_entropy", "trainer.split=[1,0,0]"];
    let of_number = ["trainer.split=[1,0,0]"];
    let vectors = |row: &dyn Fn(usize) -> String| -> String { (0..100).map(row).collect() };
    let cases: &[(&[&str], String, &str)] = &[
        (
            &of_class,
            labels(&|i| 1 + i % 3),
            "field \"y\": class 0 never occurs in the 100 training rows (labels 1 to 3; do they start at 1?)",
        ),
        (
            &of_class,
            labels(&|i| [0, 4][i % 2]),
            "field \"y\": classes 1, 2, 3 never occur in the 100 training rows (labels 0 to 4)",
        ),
        (
            &of_class,
            labels(&|i| [101, 205, 999][i % 3]),
            "field \"y\": 997 of 1000 classes never occur in the 100 training rows (labels 101 to 999)",
        ),
        (&of_class, labels(&|i| i % 3), ""),
        (&of_number, rows(100, |_, x| x, |_| 1), ""),
        (
            &of_number,
            rows(100, |_, _| 3, |_| 1),
            "field \"y\" is 3 in all 100 training rows; there is nothing to learn",
        ),
        (
            &of_number,
            vectors(&|i| format!("{{\"x\":[1,2],\"y\":{}}}\n", i % 2)),
            "field \"x\": all 100 training rows are the same; there is nothing to learn",
        ),
        (
            &of_number,
            vectors(&|i| format!("{{\"x\":[0,{},1,0,0.1,1,1],\"y\":{}}}\n", i % 3, i % 2)),
            "field \"x\": 6 of 7 features are constant over the 100 training rows: 0, 2, 3, 4, 5, … (2 always 0)",
        ),
        (
            &of_number,
            vectors(&|i| format!("{{\"x\":[{}],\"y\":[{},1]}}\n", i % 3, i % 2)),
            "field \"y\": 1 of 2 elements are constant over the 100 training rows: 1",
        ),
    ];
    for (args, rows, expected) in cases {
        let (status, _, error) = train(&folder, &[*args, &["--summary"]].concat(), rows);
        let lines: Vec<&str> = error.lines().collect();
        let told = if expected.is_empty() { vec![] } else { vec![format!("train: {expected}")] };
        assert_eq!((status, lines), (0, told.iter().map(String::as_str).collect()), "{args:?}");
        assert_eq!(train(&folder, &[*args, &["--summary", "--quiet"]].concat(), rows).2, "");
    }
}

#[test]
fn a_norm_over_a_single_value_is_refused() {
    let folder = Folder::new();
    let rows = rows(65, |_, x| x, |_| 1);
    let layers = "model.layers=[{linear: {outputs: 4}}, {norm: {}}, {activation: relu}, {linear: {}}]";
    let common = ["model=small_cnn", layers, "trainer.split=[1,0,0]", "trainer.max_epochs=1", "--quiet", "-o", "run"];
    let run = |extra: &[&str]| train(&folder, &[&common[..], extra].concat(), &rows);
    for (extra, single) in [
        (
            &["trainer.batch_size=32"][..],
            "the last batch of an epoch has 1 row, of 65 in all with trainer.batch_size=32",
        ),
        (&["trainer.batch_size=1"], "a batch has 1 row, of 65 in all with trainer.batch_size=1"),
        (&["trainer.batch_size=32", "--find-learning-rate"], "the last batch of an epoch has 1 row"),
    ] {
        let (status, _, error) = run(extra);
        assert_eq!((status, error.lines().count()), (2, 1), "{error}");
        let expected =
            format!("train: model.layers.1: norm expects more than 1 value a channel in training, and {single}");
        assert!(error.starts_with(&expected), "{error}");
    }
    for fits in [&["trainer.batch_size=64", "trainer.limit_train_batches=1"][..], &["trainer.batch_size=33"]] {
        assert_eq!(run(fits).0, 0, "{fits:?}");
    }
}
