//! The real binary: its metrics against cases worked by hand, its gates and its errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::{Value, json};

fn score(args: &[&str], stdin: &str) -> (i32, String, String) {
    let mut command = cargo_bin_cmd!("score");
    let output = command.current_dir(std::env::temp_dir()).args(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const REGRESSION: &str = "{\"entropy\":3,\"prediction\":2.5}\n{\"entropy\":-0.5,\"prediction\":0}\n\
                          {\"entropy\":2,\"prediction\":2}\n{\"entropy\":7,\"prediction\":8}\n";

/// Logits of two rows whose classes are 1 and 0.
const LOGITS: &str = "{\"label\":1,\"prediction\":[1.0,3.0,1.0]}\n{\"label\":0,\"prediction\":[0.0,2.0,-1.0]}\n";

#[test]
fn regression_metrics_are_those_of_scikit_learn() {
    // The example of sklearn.metrics.r2_score.
    let (status, out, _) = score(&[], REGRESSION);
    let metrics: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status, 0);
    assert_eq!((&metrics["rows"], &metrics["mse"], &metrics["mae"]), (&json!(4), &json!(0.375), &json!(0.5)));
    assert!((metrics["r2"].as_f64().unwrap() - 0.948_608_137_044_967_9).abs() < 1e-15);
}

#[test]
fn classification_metrics_agree_with_a_case_worked_by_hand() {
    let args = ["score=classification", "prediction=logits"];
    let (status, out, error) = score(&args, LOGITS);
    assert_eq!(status, 0, "{error}");
    let metrics: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(metrics["accuracy"], json!(0.5));
    assert_eq!(metrics["confusion_matrix"], json!([[0, 1, 0], [0, 1, 0], [0, 0, 0]]));
    let log_sum = |logits: [f64; 3]| logits.iter().map(|x| x.exp()).sum::<f64>().ln();
    let expected = ((log_sum([1.0, 3.0, 1.0]) - 3.0) + log_sum([0.0, 2.0, -1.0])) / 2.0;
    assert!((metrics["cross_entropy"].as_f64().unwrap() - expected).abs() < 1e-14);
}

#[test]
fn pairs_of_classes_go_to_a_file_for_the_confusion_plot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.csv");
    let (status, _, error) =
        score(&["score=classification", "prediction=logits", "--confusion", path.to_str().unwrap()], LOGITS);
    assert_eq!(status, 0, "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "actual,predicted\n1,1\n0,1\n");
}

#[test]
fn each_class_has_a_score_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classes.tsv");
    let args = ["score=classification", "prediction=logits", "--per-class", path.to_str().unwrap()];
    let (status, out, error) = score(&args, LOGITS);
    assert_eq!(status, 0, "{error}");
    // Both rows are taken for class 1, and one of them is; class 2 does not occur.
    let table = "class\tprecision\trecall\tf1\tsupport\n0\t\t0\t0\t1\n1\t0.5\t1\t0.6666666666666666\t1\n2\t\t\t\t0\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), table);
    let metrics: Value = serde_json::from_str(&out).unwrap();
    let means = ["macro_precision", "macro_recall", "macro_f1"].map(|name| metrics[name].as_f64().unwrap());
    assert_eq!(means, [0.25, 0.5, 2.0 / 3.0 / 2.0]);
    let (status, _, _) = score(&["score=classification", "prediction=logits", "--fail-if", "macro_f1<0.4"], LOGITS);
    assert_eq!(status, 1);
}

#[test]
fn a_gate_that_is_missed_exits_with_1_and_still_gives_the_metrics() {
    let (status, out, error) = score(&["--fail-if", "mse>0.5", "--fail-if", "mae >= 0.5"], REGRESSION);
    assert_eq!((status, error.as_str()), (1, "score: mae = 0.5 >= 0.5\n"));
    assert!(out.contains("\"mse\": 0.375"));
    assert_eq!(score(&["--fail-if", "r2<0.9"], REGRESSION).0, 0);
}

#[test]
fn targets_that_never_vary_have_no_r2() {
    let (status, out, _) = score(&[], "{\"entropy\":1,\"prediction\":2}\n");
    assert!(status == 0 && out.contains("\"r2\": null"), "{out}");
    let (status, _, error) = score(&["--fail-if", "r2<0.9"], "{\"entropy\":1,\"prediction\":2}\n");
    assert_eq!((status, error.as_str()), (2, "score: --fail-if: metric \"r2\" is null, not a number\n"));
}

#[test]
fn bad_input_is_one_line_and_status_2() {
    let classes = ["score=classification"];
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "stdin: no rows"),
        (&[], "{\"entropy\":1}\n", "stdin:1: no field \"prediction\""),
        (&[], "{\"entropy\":1,\"prediction\":[1,2]}\n", "wrong shape"),
        (&["--fail-if", "nope>1"], REGRESSION, "no metric \"nope\"; there is rows, mse, mae, r2"),
        (&["--fail-if", "mse"], REGRESSION, "expected metric>number"),
        (&["--confusion", "x.csv"], REGRESSION, "only classification"),
        (&["--expect-rows", "5"], REGRESSION, "stdin: expected 5 rows, found 4"),
        (&classes, "{\"label\":3,\"prediction\":[1,0,0]}\n", "stdin:1: target 3 is no class from 0 to 2"),
        (&classes, "{\"label\":0.5,\"prediction\":[1,0,0]}\n", "stdin:1: target 0.5 is no class"),
        (&classes, "{\"label\":0,\"prediction\":[2,-1,0]}\n", "score.prediction=logits?"),
        (&classes, "{\"label\":0,\"prediction\":1}\n", "wrong shape"),
    ];
    for (args, stdin, expected) in cases {
        let (status, out, error) = score(args, stdin);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?} {stdin}: {error}");
        assert!(error.starts_with("score: ") && error.contains(expected), "{args:?} {stdin}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
