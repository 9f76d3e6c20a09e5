//! Typed settings from YAML, and what errors say.

use super::*;
use serde::{Deserialize, de};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Trainer {
    learning_rate: f64,
    batch_size: usize,
    split: [f64; 3],
    activation: Activation,
    run_dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Activation {
    Relu,
    Tanh,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Data {
    Line { slope: f64 },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Layer {
    Norm(BTreeMap<String, f64>),
    Scale(f64),
}

const GOOD: &str = "learning_rate: 1\nbatch_size: 1e3\nsplit: [0.8, 0.1, 0.1]\nactivation: relu\nrun_dir: null\n";

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    from_node(&crate::yaml::parse(&Arc::from("a.yaml"), text).expect("valid YAML"), "trainer", &History::default())
}

fn error(text: &str) -> String {
    read::<Trainer>(text).expect_err("must be refused").to_string()
}

#[test]
fn settings_are_read_into_types() {
    let trainer: Trainer = read(GOOD).expect("valid");
    assert_eq!((trainer.learning_rate, trainer.batch_size), (1.0, 1000));
    assert_eq!((trainer.activation, trainer.run_dir), (Activation::Relu, None));
    let map: BTreeMap<String, u64> = read("a: 1\nb: 18446744073709551615\n").expect("valid");
    assert_eq!(map["b"], u64::MAX);
    assert_eq!(read::<Data>("kind: line\nslope: 2\n").expect("valid"), Data::Line { slope: 2.0 });
}

#[test]
fn errors_name_the_line_and_the_key() {
    assert_eq!(
        error(&GOOD.replace("learning_rate", "learning_rte")),
        "a.yaml:1: trainer.learning_rte: unknown key; did you mean trainer.learning_rate?"
    );
    assert_eq!(
        error(&(GOOD.to_owned() + "colour: red\n")),
        "a.yaml:6: trainer.colour: unknown key; known: learning_rate, batch_size, split, activation, run_dir"
    );
    assert_eq!(
        error(&GOOD.replace("1e3", "abc")),
        "a.yaml:2: trainer.batch_size: expected a non-negative integer, found \"abc\""
    );
    assert_eq!(
        error(&GOOD.replace("1e3", "-5")),
        "a.yaml:2: trainer.batch_size: expected a non-negative integer, found -5"
    );
    assert_eq!(
        error(&GOOD.replace("1e3", "1.5")),
        "a.yaml:2: trainer.batch_size: expected a non-negative integer, found 1.5"
    );
    assert_eq!(error(&GOOD.replace("0.8", "x")), "a.yaml:3: trainer.split.0: expected a number, found \"x\"");
    assert_eq!(
        error(&GOOD.replace("relu", "rely")),
        "a.yaml:4: trainer.activation: \"rely\" is not one of relu, tanh; did you mean relu?"
    );
    assert_eq!(
        error(&GOOD.replace("batch_size: 1e3\n", "")),
        "a.yaml:1: trainer.batch_size: missing; give it as +trainer.batch_size=..."
    );
    assert!(error(&GOOD.replace("1e3", "???")).contains("batch_size: has no value yet"));
    assert!(error(&GOOD.replace("relu", "[relu]")).contains("activation: expected a name"));
    assert!(error("3").contains("expected a mapping, found 3"));
    let data = read::<Data>("kind: line\nslope: 2\nslop: 3\n").expect_err("unknown").to_string();
    assert_eq!(data, "a.yaml:3: trainer.slop: unknown key; did you mean trainer.slope?");
    assert_eq!(
        error(&GOOD.replace(", 0.1]", "]")),
        "a.yaml:3: trainer.split: expected a list of length 3, found one of length 2"
    );
}

#[test]
fn a_variant_is_read_as_carefully_as_a_struct() {
    let error = |text: &str| read::<Data>(text).expect_err("must be refused").to_string();
    assert_eq!(error("kind: line\nslope: x\n"), "a.yaml:2: trainer.slope: expected a number, found \"x\"");
    assert_eq!(
        error("slope: 2\nkind: lime\n"),
        "a.yaml:2: trainer.kind: \"lime\" is not one of line; did you mean line?"
    );
    assert_eq!(error("kind: line\n"), "a.yaml:1: trainer.slope: missing; give it as +trainer.slope=...");
    assert_eq!(error("slope: 2\nx: 1\n"), "a.yaml:1: trainer.name: missing; give it as +trainer.name=...");
    assert_eq!(read::<Data>("line: {slope: 2}\n").expect("valid"), Data::Line { slope: 2.0 });
    assert_eq!(
        error("line:\n  slop: 2\n"),
        "a.yaml:2: trainer.line.slop: unknown key; did you mean trainer.line.slope?"
    );
    assert_eq!(error("line"), "a.yaml:1: trainer: expected a mapping, found a name alone");
    assert!(
        super::tests::error(&GOOD.replace("relu", "{name: relu}"))
            .contains("activation: expected a name, found a mapping")
    );
}

#[test]
fn a_variant_stands_alone_with_its_settings() {
    let error = |text: &str| read::<Vec<Layer>>(text).expect_err("must be refused").to_string();
    assert_eq!(read::<Vec<Layer>>("- scale: 2\n").expect("valid"), [Layer::Scale(2.0)]);
    assert_eq!(
        error("- scale: 2\n- norm: {}\n  scale: 1\n"),
        "a.yaml:2: trainer.1: expected norm with its settings below it, found scale beside it"
    );
    assert_eq!(error("- norm\n"), "a.yaml:1: trainer.0: found the name alone; expected its settings too, norm: ...");
}

#[test]
fn numbers_beyond_64_bits_are_floats_or_refused() {
    let large = "123456789012345678901234567890";
    assert_eq!(read::<f64>(large).expect("a number"), 123456789012345678901234567890.0);
    assert_eq!(
        error(&GOOD.replace("1e3", large)),
        format!(
            "a.yaml:2: trainer.batch_size: expected a non-negative integer, found {large}, which has more than 64 bits"
        )
    );
    assert!(read::<BTreeMap<String, de::IgnoredAny>>(&format!("a: {large}\nb: ???\n")).is_ok());
}
