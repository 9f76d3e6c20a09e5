//! Errors have kinds, so that a program can tell them apart without reading their text.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use config::{
    Document, ErrorKind, InterpolationError, Origin, YamlError,
    overrides::{GrammarError, Override},
};

#[test]
fn an_override_outside_the_grammar() {
    let kind = |text: &str| match Override::parse(text).unwrap_err().kind() {
        ErrorKind::Override { error, .. } => error.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(kind("a"), GrammarError::NoValue);
    assert_eq!(kind("1=2"), GrammarError::Key("1".into()));
    assert_eq!(kind("a@b c=1"), GrammarError::Package);
    assert_eq!(kind("a='x"), GrammarError::UnclosedQuote('\''));
    assert_eq!(kind("a=x#y"), GrammarError::Character('#'));
    assert_eq!(kind("a=1)"), GrammarError::Unexpected(")".into()));
    assert_eq!(kind("a=[1"), GrammarError::Missing { what: "]", before: None });
    assert_eq!(kind("a=f(1)"), GrammarError::UnknownFunction("f".into()));
    assert_eq!(kind("a=int(x)"), GrammarError::Integer("x".into()));
    assert_eq!(kind("a=float(x)"), GrammarError::Float("x".into()));
    assert_eq!(kind("a=sort(1,nan)"), GrammarError::UnorderedNan);
    let said = Override::parse("a=sort(x,[1])").unwrap_err().to_string();
    assert!(said.starts_with("override \"a=sort(x,[1])\": sort() "), "{said}");
}

#[test]
fn a_config_that_is_no_yaml_has_the_line() {
    let error = |text: &str| Document::from_yaml("a.yaml", text).unwrap_err();
    let repeated = error("a: 1\nb: 2\na: 3\n");
    let first = Origin::File { file: "a.yaml".into(), line: 1 };
    let ErrorKind::Yaml(kind) = repeated.kind() else { panic!("{repeated}") };
    assert_eq!(*kind, YamlError::RepeatedKey { key: "a".into(), first });
    assert_eq!(repeated.origin(), Some(&Origin::File { file: "a.yaml".into(), line: 3 }));
    for (text, kind) in [
        ("1: x\n", YamlError::Key("1".into())),
        ("? [a]\n: 1\n", YamlError::KeyOfNodes),
        ("a: 1\n---\nb: 2\n", YamlError::SecondDocument),
        ("<<: 1\n", YamlError::Merge),
        ("a: &x [*x]\n", YamlError::RecursiveAlias),
    ] {
        assert!(matches!(error(text).kind(), ErrorKind::Yaml(found) if *found == kind), "{text:?}: {}", error(text));
    }
}

#[test]
fn an_interpolation_outside_the_grammar_names_its_text() {
    let resolve = |text: &str| {
        let document = Document::from_yaml("a.yaml", "mine: 1\n").unwrap().with_text("mine", text);
        document.resolved().unwrap_err()
    };
    let error = resolve("x ${a");
    let ErrorKind::Interpolation { text, error } = error.kind() else { panic!("{error}") };
    assert_eq!((text.as_str(), error), ("x ${a", &InterpolationError::Unclosed));
    let error = resolve("${oc.decode:[1}");
    assert!(matches!(error.kind(), ErrorKind::Interpolation { error: InterpolationError::Missing(_), .. }), "{error}");
}

#[test]
fn a_wrong_value_behind_an_interpolation_has_the_line_of_the_interpolation() {
    let document = Document::from_yaml("a.yaml", "x: ${y}\ny: many\n").unwrap().resolved().unwrap();
    let error = document.section::<u32>("x").unwrap_err().to_string();
    assert!(error.starts_with("a.yaml:1: "), "{error}");
}
