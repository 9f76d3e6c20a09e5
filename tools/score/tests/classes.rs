//! The real binary on classes with names, against tables worked by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use testkit::{Folder, tool};

/// Runs in `folder` as a classification; exit status, metrics and standard error.
fn score(folder: &Folder, args: &[&str], stdin: &str) -> (i32, Value, String) {
    let done = tool!("score").within(folder).args(["score=classification"]).args(args).stdin(stdin).run();
    (done.status, serde_json::from_str(&done.out).unwrap_or_default(), done.error)
}

const BINARY: &str =
    "{\"label\":0,\"prediction\":0.2}\n{\"label\":1,\"prediction\":0.9}\n{\"label\":0,\"prediction\":0.6}\n";

fn named(names: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.write("dataset.json", json!({"classes": {"label": names}}).to_string());
    folder
}

#[test]
fn a_table_of_two_classes_has_their_names_and_both_rankings() {
    let folder = named(&["no, never", "say \"yes\""]);
    let (status, metrics, error) = score(&folder, &["--classes", "dataset.json", "--per-class", "t.csv"], BINARY);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(metrics["labels"], json!(["no, never", "say \"yes\""]));
    // One of two noes is taken for a yes; the one yes has the highest probability.
    assert_eq!(metrics["confusion_matrix"], json!([[1, 1], [0, 1]]));
    assert_eq!((&metrics["accuracy"], &metrics["rows"]), (&json!(2.0 / 3.0), &json!(3)));
    let expected = "class,precision,recall,f1,support,auc,average_precision\n\
                    \"no, never\",1,0.5,0.6666666666666666,2,1,1\n\
                    \"say \"\"yes\"\"\",0.5,1,0.6666666666666666,1,1,1\n";
    assert_eq!(folder.text("t.csv"), expected);
    score(&folder, &["--classes", "dataset.json", "--per-class", "t.tsv"], BINARY);
    let yes = "\"say \"\"yes\"\"\"\t0.5\t1\t0.6666666666666666\t1\t1\t1";
    assert_eq!(folder.text("t.tsv").lines().nth(2), Some(yes));
    score(&folder, &["--classes", "dataset.json", "--per-class", "t.json"], BINARY);
    let row =
        json!({"precision": 0.5, "recall": 1.0, "f1": 2.0 / 3.0, "support": 1, "auc": 1.0, "average_precision": 1.0});
    assert_eq!(folder.json("t.json")["say \"yes\""], row);
    // Without names a class is its index.
    score(&folder, &["--per-class", "plain.csv"], BINARY);
    assert_eq!(folder.text("plain.csv").lines().nth(2), Some("1,0.5,1,0.6666666666666666,1,1,1"));
    assert_eq!(score(&folder, &["--per-class", "t.txt"], BINARY).0, 2);
}

#[test]
fn there_are_as_many_names_as_classes() {
    let cases = [
        (&["a", "b", "c"][..], BINARY, "3 names of field \"label\", but the predictions are of 2 classes"),
        (
            &["a", "b"],
            "{\"label\":2,\"prediction\":[0.2,0.3,0.5]}\n",
            "2 names of field \"label\", but the predictions are of 3",
        ),
        (&["a", "b"], "{\"label\":[0,1,1],\"prediction\":[0.2,0.3,0.5]}\n", "2 names of field \"label\""),
    ];
    for (names, rows, expected) in cases {
        let (status, _, error) = score(&named(names), &["--classes", "dataset.json"], rows);
        assert!(status == 2 && error.contains(expected), "{names:?}: {error}");
    }
    let three = "{\"label\":2,\"prediction\":[0.2,0.3,0.5]}\n";
    assert_eq!(score(&named(&["a", "b", "c"]), &["--classes", "dataset.json"], three).1["accuracy"], json!(1.0));
}

#[test]
fn predictions_may_be_names_where_targets_are_indices() {
    let rows = "{\"label\":1,\"prediction\":\"dog\"}\n{\"label\":0,\"prediction\":\"dog\"}\n";
    let (status, metrics, error) = score(&named(&["cat", "dog"]), &["--classes", "dataset.json"], rows);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(metrics["confusion_matrix"], json!([[0, 1], [0, 1]]));
}

/// The features of a run whose classes look like numbers.
fn run() -> Folder {
    let target = json!({"name": "label", "shape": [], "classes": ["10", "2"]});
    let inputs = json!([{"kind": "number", "name": "x", "shape": []}]);
    let folder = Folder::new();
    folder.write("features.json", json!({"version": 1, "inputs": inputs, "target": target}).to_string());
    folder
}

#[test]
fn names_that_look_like_numbers_are_names() {
    let classes = ["--classes", "features.json"];
    // 2 is class 1, and 10 is class 0.
    let (status, metrics, error) = score(&run(), &classes, "label,prediction\n2,0.9\n10,0.2\n10,0.8\n");
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(metrics["confusion_matrix"], json!([[1, 1], [0, 1]]));
    let labels = [&classes[..], &["prediction=labels"]].concat();
    let (status, metrics, error) = score(&run(), &labels, "label,prediction\n2,2\n10,2\n");
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(metrics["confusion_matrix"], json!([[0, 1], [0, 1]]));
    let (status, _, error) = score(&run(), &classes, "label,prediction\n1,0.9\n");
    assert!(status == 2 && error.contains("class \"1\" is none of 10, 2"), "{error}");
}

#[test]
fn up_to_five_known_classes_are_listed_and_more_are_cut() {
    let rows = "{\"label\":\"x\",\"prediction\":\"a\"}\n";
    let settings = ["--classes", "dataset.json", "score.prediction=labels"];
    for (count, listed) in [(5, "a, b, c, d, e"), (6, "a, b, c, d, e, ...")] {
        let folder = named(&["a", "b", "c", "d", "e", "f"][..count]);
        let (status, _, error) = score(&folder, &settings, rows);
        assert_eq!(status, 2, "{error}");
        assert!(error.trim_end().ends_with(listed), "{error}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn metrics_that_cannot_be_written_are_an_error_and_a_closed_pipe_is_none() {
    let run = |script: &str| tool!("score").args(["score=classification"]).stdin(BINARY).shell(script).run();
    let full = run("exec \"$0\" \"$@\" > /dev/full");
    assert_eq!(full.status, 75, "{}", full.error);
    assert!(full.error.starts_with("score: stdout: No space left on device"), "{}", full.error);
    let closed = run("(\"$0\" \"$@\"; echo $? >&2) | true");
    assert_eq!(closed.error, "0\n");
}
