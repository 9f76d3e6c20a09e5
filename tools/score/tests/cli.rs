//! The real binary: its metrics against cases worked by hand, its gates and its errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use testkit::{Folder, tool};

fn score(args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("score").args(args).stdin(stdin).run().parts()
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
    let folder = Folder::new();
    let path = folder.join("pairs.csv");
    let (status, _, error) =
        score(&["score=classification", "prediction=logits", "--confusion", path.to_str().unwrap()], LOGITS);
    assert_eq!(status, 0, "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "actual,predicted\n1,1\n0,1\n");
}

#[test]
fn each_class_has_a_score_of_its_own() {
    let folder = Folder::new();
    let path = folder.join("classes.tsv");
    let args = ["score=classification", "prediction=logits", "--per-class", path.to_str().unwrap()];
    let (status, out, error) = score(&args, LOGITS);
    assert_eq!(status, 0, "{error}");
    // Both rows are taken for class 1, and one of them is; class 2 does not occur.
    let table = "class\tprecision\trecall\tf1\tsupport\tauc\taverage_precision\n0\t\t0\t0\t1\t1\t1\n\
                 1\t0.5\t1\t0.6666666666666666\t1\t0\t0.5\n2\t\t\t\t0\t\t\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), table);
    let metrics: Value = serde_json::from_str(&out).unwrap();
    let means = ["macro_precision", "macro_recall", "macro_f1"].map(|name| metrics[name].as_f64().unwrap());
    assert_eq!(means, [0.25, 0.5, 2.0 / 3.0 / 2.0]);
    let (status, _, _) = score(&["score=classification", "prediction=logits", "--fail-if", "macro_f1<0.4"], LOGITS);
    assert_eq!(status, 1);
}

fn metrics(args: &[&str], stdin: &str) -> Value {
    let (status, out, error) = score(args, stdin);
    assert_eq!((status, error.as_str()), (0, ""), "{args:?} {stdin}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn logits_are_never_taken_for_probabilities() {
    for (prediction, expected) in [
        ("[2.0,5.0]", "class 0 has probability 2, expected 0 to 1"),
        ("[20,80]", "class 0 has probability 20, expected 0 to 1"),
        ("[-3.0,5.0]", "class 0 has probability -3, expected 0 to 1"),
        ("[0.2,0.3]", "the probabilities sum to 0.5, expected 1 ± 0.001"),
        ("[0.5,0.502]", "the probabilities sum to 1.002, expected 1 ± 0.001"),
        ("1.5", "class 1 has probability 1.5, expected 0 to 1"),
        ("-0.5", "class 1 has probability -0.5, expected 0 to 1"),
    ] {
        let rows = format!("{{\"label\":1,\"prediction\":{prediction}}}\n");
        let (status, out, error) = score(&["score=classification", "--fail-if", "cross_entropy>0.5"], &rows);
        assert_eq!((status, out.as_str()), (2, ""), "{prediction}: {error}");
        assert!(error.starts_with(&format!("score: stdin:1: {expected}")), "{prediction}: {error}");
        assert!(error.contains("score.prediction=logits?") && error.lines().count() == 1, "{error}");
    }
    let labels = "{\"label\":[1,0],\"prediction\":[0.5,1.5]}\n";
    let (status, _, error) = score(&["score=classification"], labels);
    assert!(status == 2 && error.contains("label 1 has probability 1.5"), "{error}");
    // Rounding of half precision, and what the tolerance allows.
    metrics(&["score=classification"], "{\"label\":1,\"prediction\":[0.0,1.0009]}\n");
    metrics(&["score=classification", "tolerance=0.1"], "{\"label\":1,\"prediction\":[0.5,0.55]}\n");
}

#[test]
fn r2_of_several_targets_is_the_mean_of_theirs() {
    // Each target is predicted by about its mean, so little is known of it, however far apart the means are.
    let rows = [[1001.0, -1.0], [999.0, 0.0], [1002.0, 2.0], [998.0, -1.0]];
    let rows = rows.map(|y| format!("{{\"y\":{y:?},\"prediction\":[1000.0,0.5]}}\n")).concat();
    let scored = metrics(&["target_field=y"], &rows);
    let r2 = [0.0, 1.0 - 7.0 / 6.0];
    let near = |ours: &Value, expected: f64| (ours.as_f64().unwrap() - expected).abs() < 1e-14;
    assert!(near(&scored["r2"], (r2[0] + r2[1]) / 2.0), "{scored}");
    assert!(near(&scored["r2_per_target"][0], r2[0]) && near(&scored["r2_per_target"][1], r2[1]), "{scored}");
    // A target that never varies has none, and no part in the mean.
    let constant = "{\"y\":[1,1],\"prediction\":[1,1]}\n{\"y\":[1,3],\"prediction\":[1,3]}\n";
    let scored = metrics(&["target_field=y"], constant);
    assert_eq!((&scored["r2"], &scored["r2_per_target"]), (&json!(1.0), &json!([null, 1.0])));
}

#[test]
fn one_number_is_the_probability_or_logit_of_a_yes() {
    let rows = |scores: [f64; 4]| {
        let rows = ["0", "0", "1", "1"].into_iter().zip(scores);
        rows.map(|(label, score)| format!("{{\"label\":{label},\"prediction\":{score:?}}}\n")).collect::<String>()
    };
    // The example of sklearn.metrics.roc_auc_score: three of four pairs are in order.
    let scored = metrics(&["score=classification"], &rows([0.1, 0.4, 0.35, 0.8]));
    assert_eq!(scored["confusion_matrix"], json!([[2, 0], [1, 1]]));
    for (metric, expected) in [
        ("accuracy", 0.75),
        ("precision", 1.0),
        ("recall", 0.5),
        ("f1", 2.0 / 3.0),
        ("macro_recall", 0.75),
        ("auc", 0.75),
        ("average_precision", 5.0 / 6.0),
        ("cross_entropy", -(0.9f64 * 0.6 * 0.35 * 0.8).ln() / 4.0),
    ] {
        assert!((scored[metric].as_f64().unwrap() - expected).abs() < 1e-15, "{metric}: {scored}");
    }
    let logits = metrics(&["score=classification", "prediction=logits"], &rows([-1.0, 0.0, 1.0, 2.0]));
    assert_eq!(logits["confusion_matrix"], json!([[2, 0], [0, 2]]));
    let softplus = |x: f64| x.exp().ln_1p();
    let expected = (softplus(-1.0) + softplus(0.0) + softplus(-1.0) + softplus(-2.0)) / 4.0;
    assert!((logits["cross_entropy"].as_f64().unwrap() - expected).abs() < 1e-15, "{logits}");
    let booleans = "{\"label\":false,\"prediction\":0.1}\n{\"label\":true,\"prediction\":0.9}\n";
    assert_eq!(metrics(&["score=classification"], booleans)["auc"], json!(1.0));
    let (status, _, error) = score(&["score=classification", "--fail-if", "auc<0.9"], &rows([0.1, 0.4, 0.35, 0.8]));
    assert_eq!((status, error.as_str()), (1, "score: auc = 0.75 < 0.9\n"));
}

#[test]
fn metrics_without_both_classes_are_null() {
    let scored = metrics(&["score=classification"], "{\"label\":0,\"prediction\":0.1}\n");
    assert!(scored["auc"].is_null() && scored["precision"].is_null() && scored["recall"].is_null(), "{scored}");
    assert_eq!(scored["accuracy"], json!(1.0));
}

#[test]
fn labels_that_do_not_exclude_each_other_have_means() {
    let rows = "{\"label\":[1,0],\"prediction\":[0.9,0.8]}\n{\"label\":[0,1],\"prediction\":[0.2,0.9]}\n\
                {\"label\":[1,1],\"prediction\":[0.6,0.7]}\n";
    let scored = metrics(&["score=classification"], rows);
    assert_eq!(scored["accuracy"], json!(5.0 / 6.0));
    assert_eq!(scored["subset_accuracy"], json!(2.0 / 3.0));
    assert_eq!(scored["macro_precision"], json!((1.0 + 2.0 / 3.0) / 2.0));
    // Label 1: 0.9 is above 0.8, and 0.7 is below it.
    assert_eq!(scored["auc"], json!(0.75));
    assert!(scored.get("confusion_matrix").is_none(), "{scored}");
    let (status, _, error) = score(&["score=classification", "--confusion", "never-written.csv"], rows);
    assert!(status == 2 && error.contains("--confusion: "), "{error}");
}

#[test]
fn predicted_classes_have_no_probabilities() {
    let rows = "{\"label\":0,\"prediction\":0}\n{\"label\":2,\"prediction\":0}\n";
    let scored = metrics(&["score=classification", "prediction=labels"], rows);
    assert_eq!(scored["confusion_matrix"], json!([[1, 0, 0], [0, 0, 0], [1, 0, 0]]));
    assert_eq!((&scored["accuracy"], &scored["macro_recall"]), (&json!(0.5), &json!(0.5)));
    assert!(scored.get("auc").is_none() && scored.get("cross_entropy").is_none(), "{scored}");
}

#[test]
fn what_is_too_large_is_left_out_and_told() {
    let (status, out, error) = score(&["score=classification", "prediction=logits", "confusion_classes=2"], LOGITS);
    assert_eq!((status, error.as_str()), (0, "score: no confusion_matrix: 3 classes, score.confusion_classes=2\n"));
    assert!(!out.contains("confusion_matrix"), "{out}");
    let (status, out, error) = score(&["score=classification", "prediction=logits", "ranking_scores=5"], LOGITS);
    let told = "score: no auc and average_precision: more than score.ranking_scores=5 predicted numbers\n";
    assert_eq!((status, error.as_str()), (0, told));
    assert!(out.contains("\"auc\": null"), "{out}");
    // Ten thousand classes take little memory: their matrix would have 100 million counts.
    let rows: String = (0..500).map(|i| format!("{{\"label\":{i},\"prediction\":{}}}\n", 9999 - i)).collect();
    let (status, _, error) = score(&["score=classification", "prediction=labels"], &rows);
    assert!(status == 0 && error.contains("10000 classes"), "{error}");
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
    let (classes, labels) = (["score=classification"], ["score=classification", "prediction=labels"]);
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
        (&classes, "{\"label\":[0,1],\"prediction\":1}\n", "wrong shape, expected 0 or 1"),
        (
            &classes,
            "{\"label\":[0,1],\"prediction\":[1,0,0]}\n",
            "expected one class index, or 0 or 1 for each of 3 labels",
        ),
        (
            &classes,
            "{\"label\":2,\"prediction\":1}\n",
            "stdin:1: target 2 is neither 0 nor 1 (score.prediction=labels?)",
        ),
        (&classes, "{\"label\":[0,0.5],\"prediction\":[1,0]}\n", "stdin:1: target 0.5 is neither 0 nor 1"),
        (&labels, "{\"label\":0,\"prediction\":[1,0]}\n", "expected one class index"),
        (&labels, "{\"label\":[0,1],\"prediction\":1}\n", "expected one class index"),
        (&labels, "{\"label\":0,\"prediction\":1.5}\n", "stdin:1: prediction 1.5 is no class from 0 to 1048575"),
        (&labels, "{\"label\":1e9,\"prediction\":1}\n", "stdin:1: target 1000000000 is no class"),
        (&["score=classification", "tolerance=-1"], LOGITS, "score.tolerance: -1; expected 0 or more"),
        (&["score.task=classification"], LOGITS, "write score=classification"),
        (&["-o", "metrics.npy"], LOGITS, "metrics.npy: the metrics are JSON; name the file .json"),
    ];
    for (args, stdin, expected) in cases {
        let (status, out, error) = score(args, stdin);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?} {stdin}: {error}");
        assert!(error.starts_with("score: ") && error.contains(expected), "{args:?} {stdin}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn classes_may_be_text() {
    let folder = Folder::new();
    let names = folder.join("features.json");
    let names = names.to_str().unwrap();
    let rows = "label,predicted\nb,b\na,b\nb,b\na,a\n";
    let args = ["score=classification", "score.prediction_field=predicted"];
    let (status, out, error) = score(&args, rows);
    assert_eq!((status, error.as_str()), (0, ""));
    let metrics: serde_json::Value = serde_json::from_str(&out).unwrap();
    // By hand: three of four are right; sorted, a comes first.
    assert_eq!(metrics["accuracy"], 0.75);
    assert_eq!(metrics["labels"], serde_json::json!(["a", "b"]));
    assert_eq!(metrics["confusion_matrix"], serde_json::json!([[1, 1], [0, 2]]));
    let features = r#"{"version":1,"inputs":[{"kind":"number","name":"x","shape":[]}],
        "target":{"name":"label","shape":[2],"classes":["b","a"]}}"#;
    std::fs::write(names, features).unwrap();
    let rows = "{\"label\":\"a\",\"prediction\":[0.25,0.75]}\n{\"label\":\"b\",\"prediction\":[0.5,0.5]}\n";
    let (status, out, error) = score(&["score=classification", "--classes", names], rows);
    assert_eq!((status, error.as_str()), (0, ""));
    let metrics: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&metrics["accuracy"], &metrics["labels"]), (&1.0.into(), &serde_json::json!(["b", "a"])));
    let (status, _, error) = score(&["score=classification"], rows);
    assert_eq!(status, 2);
    assert!(error.contains("field \"label\" holds text: --classes runs/NAME/features.json"), "{error}");
    let strange = rows.replace("\"b\"", "\"c\"");
    let (status, _, error) = score(&["score=classification", "--classes", names], &strange);
    assert!(status == 2 && error.contains("stdin:2: class \"c\" is none of b, a"), "{error}");
    let mixed = "label,prediction\n1,a\n";
    let (status, _, error) = score(&["score=classification"], mixed);
    assert!(status == 2 && error.contains("field \"prediction\" holds text, and field \"label\" numbers"), "{error}");
}

/// A reader that has closed its end of the pipe does not take the answer with it.
#[test]
#[cfg(unix)]
fn a_gate_is_missed_also_where_nobody_reads_the_metrics() {
    for (gate, expected) in [("mse>0", 1), ("mse<0", 0)] {
        let mut score = tool!("score").args(["--fail-if", gate]).spawn();
        drop(score.stdout());
        std::io::Write::write_all(&mut score.stdin(), REGRESSION.as_bytes()).unwrap();
        let output = score.output();
        assert_eq!(output.status.code(), Some(expected), "{gate}");
        assert_eq!(output.stderr.is_empty(), expected == 0, "{gate}");
    }
}

#[test]
fn many_classes_take_little_memory() {
    const CLASSES: usize = 10_000;
    let row = format!("{{\"label\":3,\"prediction\":[{}]}}\n", vec!["1e-4"; CLASSES].join(","));
    let (status, out, error) = score(&["score=classification"], &row);
    assert_eq!(status, 0, "{error}");
    assert!(error.contains("no confusion_matrix: 10000 classes, score.confusion_classes=1000"), "{error}");
    let metrics: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&metrics["rows"], &metrics["accuracy"]), (&json!(1), &json!(0.0)));
    // The matrix itself is written row by row: 100 000 000 counts are never in memory at once.
    let script = "ulimit -v 1000000; exec \"$0\" \"$@\"";
    let folder = Folder::new();
    folder.write("row.ndjson", row);
    let args = ["score=classification", "confusion_classes=10000", "row.ndjson"];
    let mut score = tool!("score").within(&folder).args(args).shell(script).spawn();
    let mut counted = 0;
    let mut block = vec![0; 1 << 20];
    let mut stdout = score.stdout();
    loop {
        match std::io::Read::read(&mut stdout, &mut block).unwrap() {
            0 => break,
            read => counted += block[..read].iter().filter(|byte| **byte == b'0').count(),
        }
    }
    assert!(score.wait().success());
    assert!(counted >= CLASSES * CLASSES - 1, "{counted}");
}

#[test]
fn classes_without_names_are_bounded() {
    let rows = |names: &[&str]| -> String {
        names.iter().map(|name| format!("{{\"label\":\"{name}\",\"prediction\":\"{name}\"}}\n")).collect()
    };
    let (status, _, error) = score(&["score=classification", "max_classes=2"], &rows(&["a", "b", "a"]));
    assert_eq!(status, 0, "{error}");
    let (status, _, error) = score(&["score=classification", "max_classes=2"], &rows(&["a", "b", "c"]));
    assert!(status == 2 && error.contains("stdin:3: class \"c\" is one more than score.max_classes, 2"), "{error}");
    let args = ["score=classification", "prediction=labels", "max_classes=2"];
    let (status, _, error) = score(&args, "{\"label\":2,\"prediction\":1}\n");
    assert!(status == 2 && error.starts_with("score: stdin:1: "), "{error}");
}

#[test]
fn a_dash_is_refused_where_it_is_no_file() {
    for flag in ["--classes", "--confusion", "--per-class", "--config", "--config-path"] {
        for args in [vec![flag.to_owned(), "-".into()], vec![format!("{flag}=-")]] {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let (status, out, error) = score(&args, REGRESSION);
            assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
            assert!(error.starts_with(&format!("score: {flag} -: expected the name of a ")), "{error}");
        }
    }
    let (status, out, _) = score(&["--out=-"], REGRESSION);
    assert_eq!((status, out), (0, score(&[], REGRESSION).1));
}
