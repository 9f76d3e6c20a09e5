//! Tables: several fields, text, missing values, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Folder, tool};

/// Runs the tool in `folder`; returns status and standard error.
fn train(folder: &Path, args: &[&str]) -> (i32, String) {
    let (status, _, error) = tool!("train").within(folder).args(args).run().parts();
    (status, error)
}

const COMMON: [&str; 5] = ["rows.csv", "-o", "run", "trainer.max_epochs=1", "trainer.target_field=y"];

fn run(folder: &Path, csv: &str, args: &[&str]) -> (i32, String) {
    fs::write(folder.join("rows.csv"), csv).unwrap();
    train(folder, &[&COMMON, args].concat())
}

/// 40 rows: a number, a text, a gap in each tenth row, classes of text.
fn table() -> String {
    let row = |i: usize| {
        let (a, kind) = (i * 7 % 40, ["red", "green"][i % 2]);
        let gap = if i % 10 == 9 { String::new() } else { a.to_string() };
        format!("{a},{gap},{kind},{},{}\n", ["no", "yes"][usize::from(a > 20)], a as f64 / 10.0)
    };
    "a,b,c,label,y\n".to_owned() + &(0..40).map(row).collect::<String>()
}

#[test]
fn missing_values_are_counted_by_field_and_name_the_remedies() {
    let folder = Folder::new();
    let fields = "trainer.input_field=[a,b,c]";
    let (status, error) = run(&folder, &table(), &[fields]);
    assert_eq!(status, 2);
    assert_eq!(
        error,
        "train: rows.csv: 4 of 40 rows lack \"b\"; features.missing=mean, median or constant fills them, and \
         features.indicator=true tells the model where\n"
    );
    for missing in ["mean", "median", "constant"] {
        let setting = format!("features.missing={missing}");
        let (status, error) = run(&folder, &table(), &[fields, &setting, "features.indicator=true"]);
        assert_eq!(status, 0, "{error}");
    }
    let text = folder.text("run/features.json");
    let features: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(features["inputs"][1]["fill"], serde_json::json!([0.0]));
    assert_eq!(features["inputs"][1]["indicator"], true);
    assert_eq!(features["inputs"][2]["categories"], serde_json::json!(["green", "missing", "red"]));
    let (status, error) = run(&folder, "a,y\n1,2\n2,\n3,4\n", &["trainer.input_field=a"]);
    assert_eq!((status, error.as_str()), (2, "train: rows.csv:3: 1 of 3 rows lack \"y\", the target; drop them\n"));
}

#[test]
fn what_cannot_go_in_is_named() {
    let folder = &Folder::new();
    let labels = "trainer.target_field=label";
    for (csv, args, expected) in [
        (
            table(),
            vec!["trainer.input_field=a", labels],
            "rows.csv:2: field \"label\" is \"no\": a text target is class names; use trainer.loss=cross_entropy",
        ),
        (table(), vec!["trainer.input_field=[]"], "trainer.input_field: an empty list"),
        (table(), vec!["trainer.input_field=[a,a]"], "trainer.input_field: \"a\" twice"),
        (table(), vec!["trainer.input_field=[a,y]"], "\"y\" is also an input field"),
        (
            table(),
            vec!["trainer.input_field=[a,d]"],
            "no field \"d\" (there is a, b, c, label, y); choose another with trainer.input_field=NAME",
        ),
        (table(), vec!["trainer.input_field=a", "features.categorical=[c]"], "features.categorical: \"c\" is none of"),
        (table(), vec!["trainer.input_field=[a,c]", "features.max_categories=1"], "field \"c\" has 2 different texts"),
        (
            table().replace("green", "").replace("red", ""),
            vec!["trainer.input_field=[a,c]", "features.missing=mean"],
            "field \"c\" has no value in any training row",
        ),
        (
            "a,y\n1,x\n2,y\n3,z\n".to_owned(),
            vec!["trainer.input_field=a", "trainer.loss=bce", "trainer.split=[1,0,0]"],
            "field \"y\" has 3 different texts; bce is for two classes",
        ),
        (
            table(),
            vec!["trainer.input_field=a", labels, "trainer.loss=cross_entropy", "trainer.classes=3"],
            "trainer.classes: field \"label\" has 2 different texts",
        ),
        ("a,y\n1,2\n1e39,3\n".to_owned(), vec!["trainer.input_field=a"], "rows.csv:3: field \"a\" is inf as f32"),
    ] {
        let (status, error) = run(folder, &csv, &args);
        assert_eq!(status, 2, "{error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}\n{expected}");
    }
    let leftovers = fs::read_dir(folder).unwrap().count();
    assert_eq!(leftovers, 1, "no run folder");
}

#[test]
fn classes_of_text_are_told_and_named() {
    let folder = &Folder::new();
    let args = ["trainer.input_field=a", "trainer.target_field=label", "trainer.loss=cross_entropy"];
    let (status, error) = run(folder, &table(), &args);
    assert_eq!(status, 0, "{error}");
    assert!(error.contains("train: field \"label\" is text, of 2 classes: no, yes\n"), "{error}");
    let text = fs::read_to_string(folder.join("run/features.json")).unwrap();
    let features: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(features["target"], serde_json::json!({ "name": "label", "shape": [2], "classes": ["no", "yes"] }));
    // The other scalars go with the rows held out: numbers as such, text in the table beside them.
    let table = fs::read_to_string(folder.join("run/test.csv")).unwrap();
    assert!(table.starts_with("a,label,b,c,y\n"), "{table}");
    // A run of numbers alone leaves no table behind.
    let (status, _) = run(
        folder,
        "id,a,y\n1,2,3\n2,3,4\n3,4,5\n4,5,6\n5,6,7\n",
        &["trainer.input_field=a", "trainer.split=[0.6,0.2,0.2]"],
    );
    assert_eq!(status, 0);
    assert!(!folder.join("run/test.csv").exists());
    let header = fs::read(folder.join("run/test.npy")).unwrap();
    let header = String::from_utf8_lossy(&header[..128]).into_owned();
    assert!(header.contains("[('a', '<f4'), ('y', '<f4'), ('id', '<i8')]"), "{header}");
}

#[test]
fn a_field_of_its_own_column_is_as_it_was() {
    // One field of numbers goes in under its name, whatever else the rows have.
    let folder = Folder::new();
    let (status, error) = run(&folder, &table(), &["trainer.input_field=a"]);
    assert_eq!(status, 0, "{error}");
    let text = folder.text("run/features.json");
    let features: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(features["inputs"], serde_json::json!([{ "kind": "number", "name": "a", "shape": [] }]));
}
