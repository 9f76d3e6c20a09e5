//! Settings that a tool's flags give: values that were never text, above every override.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use config::{
    Sources, compose_for,
    overrides::{Override, Value},
};

const RELU: [&str; 1] = ["relu"];

fn flags(flags: Vec<Override>) -> Sources {
    Sources { flags, ..Sources::default() }
}

fn set(key: &str, value: impl Into<Value>) -> Override {
    Override::typed(key, value.into())
}

#[test]
fn a_flag_counts_above_an_override_of_the_same_key() {
    let sources = flags(vec![set("slope", 0.25), set("out_field", "y")]);
    let document = compose_for(&RELU, &sources, &["slope=3".to_owned(), "out_field=x".to_owned()]).unwrap();
    assert_eq!(document.section::<f64>("relu.slope").unwrap(), 0.25);
    assert_eq!(document.section::<String>("relu.out_field").unwrap(), "y");
}

#[test]
fn values_keep_their_types() {
    let yaml = |value: Value| {
        let document = compose_for(&RELU, &flags(vec![set("slope", value)]), &[]).unwrap();
        document.package("relu.slope").unwrap().to_yaml()
    };
    assert_eq!(yaml(1.0.into()), "1\n");
    assert_eq!(yaml((-2.0).into()), "-2\n");
    assert_eq!(yaml(1e-7.into()), "1.0e-07\n");
    assert_eq!(yaml(1e300.into()), "1.0e+300\n");
    assert_eq!(yaml(7usize.into()), "7\n");
    assert_eq!(yaml(false.into()), "false\n");
    assert_eq!(yaml("1".into()), "'1'\n");
    assert_eq!(yaml(String::from("a,b").into()), "a,b\n");
}

#[test]
fn messages_show_a_flag_as_the_override_that_would_set_the_same() {
    let sources = flags(vec![set("out_field", "it's"), set("slope", 0.5)]);
    let told = config::origins(Some(&RELU), &sources, &[], "").unwrap();
    assert!(told.contains(r"command line: out_field='it\'s'"), "{told}");
    assert!(told.contains("command line: slope=0.5"), "{told}");
    let sources = flags(vec![set("normalize", true)]);
    let told = config::origins(Some(&["entropy"]), &sources, &[], "").unwrap();
    assert!(told.contains("command line: normalize=true"), "{told}");
    let document = compose_for(&RELU, &flags(vec![set("slope", "steep")]), &[]).unwrap();
    let error = document.section::<f64>("relu.slope").unwrap_err().to_string();
    assert_eq!(error, "override \"slope='steep'\": relu.slope: expected a number, found \"steep\"");
}
