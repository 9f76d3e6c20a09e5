use super::*;
use std::sync::Arc;

fn resolved(yaml: &str) -> Result<Node> {
    let root = crate::yaml::parse(&Arc::from("a.yaml"), yaml).expect("valid YAML");
    resolve(&root, None).map(|resolved| resolved.node)
}

fn value(yaml: &str) -> Node {
    resolved(yaml).expect("valid").get("x").expect("x is there").clone()
}

fn text(yaml: &str) -> String {
    value(yaml).as_str().expect("a string").to_owned()
}

fn error(yaml: &str) -> String {
    resolved(yaml).expect_err("must be refused").to_string()
}

#[test]
fn a_lone_reference_keeps_its_type() {
    assert_eq!(value("a: {b: [1, 2]}\nx: ${a.b.1}\n").value, Value::Int(2));
    assert_eq!(value("a: {b: [1, 2]}\nx: ${a[b][0]}\n").value, Value::Int(1));
    assert_eq!(value("a: {b: 1}\nx: ${a}\n"), value("x: {b: 1}\n"));
}

/// As OmegaConf 2.3 writes them.
#[test]
fn text_around_a_reference_makes_a_string() {
    assert_eq!(text("a: true\nx: is ${a}\n"), "is True");
    assert_eq!(text("a: null\nb: 1e-05\nx: ${a} ${b}\n"), "None 1e-05");
    assert_eq!(text("a: [1, b, 'c''d']\nx: '${a}!'\n"), "[1, 'b', \"c'd\"]!");
    assert_eq!(text(r"x: \${a}"), "${a}");
    assert_eq!(text("a: 1\nx: \\\\${a}\n"), "\\1");
}

#[test]
fn dots_lead_upwards() {
    assert_eq!(
        resolved("p: {a: 1, x: '${.a}', q: {y: '${..a}'}}").expect("valid").get("p.x").expect("x").value,
        Value::Int(1)
    );
    assert_eq!(resolved("p: {a: 1, q: {y: '${..a}'}}").expect("valid").get("p.q.y").expect("y").value, Value::Int(1));
    assert!(error("x: ${..a}\n").contains("above the root"));
}

#[test]
fn references_nest_and_chain() {
    assert_eq!(value("a: {b: 7}\nk: b\nx: ${a.${k}}\n").value, Value::Int(7));
    assert_eq!(value("a: ${b}\nb: {c: 1, d: '${x}'}\nx: ${a.c}\n").value, Value::Int(1));
}

#[test]
fn circles_and_bombs_are_refused() {
    assert!(error("x: ${x}\n").ends_with("x: an interpolation that leads back to itself: x -> x"));
    assert!(error("w: ${x}\nx: ${y.z}\ny: {z: 'a ${x}'}\n").ends_with("leads back to itself: x -> y.z -> x"));
    assert!(error("x: {y: '${x}'}\n").ends_with("leads back to itself: x.y -> x -> x.y"));
    assert!(error("x: {y: 'in ${x}'}\n").contains("leads back to itself: x"));
    let long: String = (0..20).map(|i| format!("a{i}: ${{a{}}}\n", (i + 1) % 20)).collect();
    assert!(error(&long).ends_with("itself: a0 -> a1 -> a2 -> a3 -> a4 -> a5 -> ... -> a0"));
    let mut bomb = String::from("a0: xxxxxxxxxx\n");
    for level in 1..60 {
        bomb += &format!("a{level}: ${{a{0}}}${{a{0}}}\n", level - 1);
    }
    assert!(error(&bomb).contains("too large"));
    let mut chain = String::from("a0: 1\n");
    for level in 1..1_000 {
        chain += &format!("a{level}: ${{a{}}}\n", level - 1);
    }
    assert!(error(&chain).contains("in a row"));
    assert!(error(&format!("x: \"{}\"\n", "${".repeat(10_000))).contains("nests deeper"));
}

#[test]
fn unknown_keys_and_resolvers_are_named() {
    assert_eq!(
        error("data: {rows: 1}\nx: ${data.rwos}\n"),
        "a.yaml:2: ${data.rwos}: there is no such key; did you mean rows?"
    );
    assert!(error("x: ${nope:1}\n").contains("no such resolver: nope; known: oc.env"));
    assert!(error("x: ${a\n").contains("not closed"));
}

#[test]
fn missing_values_stay_missing() {
    assert_eq!(text("a: ???\nx: ${a}\n"), "???");
}

#[test]
fn resolvers_do_what_omegaconfs_do() {
    assert_eq!(text("x: ${oc.env:PIPEGRAD_SURELY_UNSET,10}\n"), "10");
    assert_eq!(value("x: ${oc.env:PIPEGRAD_SURELY_UNSET,null}\n").value, Value::Null);
    assert!(error("x: ${oc.env:PIPEGRAD_SURELY_UNSET}\n").contains("is not set"));
    assert_eq!(value("a: 1\nx: ${oc.select:a}\n").value, Value::Int(1));
    assert_eq!(value("x: ${oc.select:a,5}\n").value, Value::Int(5));
    assert_eq!(value("x: ${oc.select:a}\n").value, Value::Null);
    assert_eq!(value("x: ${oc.decode:'[1, 2]'}\n"), value("x: [1, 2]\n"));
    assert_eq!(value("x: ${oc.decode:${oc.env:PIPEGRAD_SURELY_UNSET,'1e3'}}\n").value, Value::Float(1000.0));
    assert_eq!(value("x: ${oc.create:{a:1}}\n"), value("x: {a: 1}\n"));
    assert_eq!(value("a: {b: 1, c: 2}\nx: ${oc.dict.keys:a}\n"), value("x: [b, c]\n"));
    assert_eq!(value("a: {b: 1, c: 2}\nx: ${oc.dict.values:a}\n"), value("x: [1, 2]\n"));
}

#[test]
fn a_deprecated_key_gives_its_heir_and_a_warning() {
    let root = crate::yaml::parse(&Arc::from("a.yaml"), "new: 1\nold: ${oc.deprecated:new}\n").expect("valid");
    let resolved = resolve(&root, None).expect("valid");
    assert_eq!(resolved.node.get("old").expect("there").value, Value::Int(1));
    assert_eq!(resolved.warnings, ["a.yaml:2: 'old' is deprecated. Change your code and config to use 'new'"]);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[${}:.,'\"\\\\\\[\\]a-c0-9 oc]{0,40}") {
        let origin = Origin::start(&Arc::from("a.yaml"));
        let root = Node::new(Value::Map([("a".to_owned(), Node::new(Value::Str(text), &origin))].into_iter().collect()), &origin);
        let _ = resolve(&root, None);
    }
}
