//! The fuzz targets on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.
//! `cargo fuzz` runs the same targets without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/targets.rs"]
mod targets;

#[path = "../../../../fuzz/mutations.rs"]
mod mutations;

/// Mutations of each input of the corpus.
const MUTATIONS: usize = 150;

/// Pieces that mean something to a parser.
const PIECES: [&str; 28] = [
    "${",
    "}",
    "[",
    "]",
    "{",
    ":",
    ",",
    "'",
    "\"",
    "\\",
    "\n",
    "- ",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "???",
    "null",
    "1e9",
    "oc.env:",
    "oc.decode:",
    "@",
    "=",
    "~",
    "\0",
    "\u{85}",
    "\u{e9}",
    "\u{2028}",
];

fn run(target: &str, check: impl Fn(&str)) {
    mutations::run(&mutations::corpus(target), &PIECES, MUTATIONS, check);
}

#[test]
fn any_yaml() {
    run("yaml", targets::yaml);
}

#[test]
fn any_overrides() {
    run("overrides", targets::overrides);
}

#[test]
fn any_interpolation() {
    run("interpolation", targets::interpolation);
}

#[test]
fn any_composition() {
    let folder = testkit::Folder::new();
    run("composition", |text| targets::composition(text, &folder));
}

#[test]
fn deep_nesting_is_refused_in_every_form() {
    let deep = 100_000;
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect(),
        "- ".repeat(deep),
        format!("{}x", "? ".repeat(deep)),
    ] {
        assert!(config::Document::from_yaml("deep.yaml", &text).is_err(), "{}", &text[..20]);
    }
    for text in
        [format!("a={}", "[".repeat(deep)), format!("a={}", "{a:".repeat(deep)), format!("a={}", "int(".repeat(deep))]
    {
        assert!(config::overrides::Override::parse(&text).is_err());
    }
    let document = config::Document::from_yaml("base.yaml", "mine: 1\n").unwrap();
    for text in ["${".repeat(deep), "${oc.decode:".repeat(deep), format!("{}a{}", "${".repeat(deep), "}".repeat(deep))]
    {
        assert!(document.with_text("mine", &text).resolved().is_err());
    }
}

#[test]
fn bombs_are_refused() {
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..12).map(|i| {
            let one = format!("*a{}", i - 1);
            format!("a{i}: &a{i} [{}]\n", [one.as_str(); 10].join(", "))
        }))
        .collect();
    let error = config::Document::from_yaml("bomb.yaml", &bomb).unwrap_err().to_string();
    assert!(error.starts_with("bomb.yaml:"), "{error}");
    // The same with interpolations, each of which names the one before ten times.
    let bomb: String = std::iter::once("a0: x\n".to_owned())
        .chain((1..14).map(|i| format!("a{i}: '{}'\n", format!("${{a{}}}", i - 1).repeat(10))))
        .collect();
    let document = config::Document::from_yaml("bomb.yaml", &bomb).unwrap();
    assert!(document.resolved().is_err());
    let cycle = config::Document::from_yaml("cycle.yaml", "a: ${b}\nb: ${a}\n").unwrap();
    assert!(cycle.resolved().is_err());
}
