//! The fuzz targets on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.
//! `cargo fuzz` runs the same targets without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/targets.rs"]
mod targets;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{fs, path::Path};

/// Mutations of each input of the corpus.
const MUTATIONS: usize = 150;

/// Pieces that mean something to a parser.
const PIECES: [&str; 24] = [
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
];

fn corpus(target: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// `text` with a few changes: pieces put in, parts taken out, repeated or taken from `other`.
fn mutated(random: &mut ChaCha8Rng, text: &str, other: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.next_u32() % 4 {
        let mut below = |n: usize| random.next_u64() as usize % (n + 1);
        let (from, to) = (below(chars.len()), below(chars.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 12));
        match below(4) {
            0 => drop(chars.splice(from..from, PIECES[below(PIECES.len() - 1)].chars())),
            1 => drop(chars.drain(from..to)),
            2 => {
                let part = chars[from..to].repeat(1 + below(3));
                chars.splice(from..from, part);
            }
            3 => {
                let other: Vec<char> = other.chars().collect();
                let at = below(other.len());
                chars.splice(from..to, other[at..].iter().take(20).copied());
            }
            _ if from < chars.len() => chars[from] = char::from_u32(below(0x2100) as u32).unwrap_or('\u{fffd}'),
            _ => {}
        }
    }
    chars.into_iter().collect()
}

fn run(target: &str, check: impl Fn(&str)) {
    let corpus = corpus(target);
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for text in &corpus {
        check(text);
        for _ in 0..MUTATIONS {
            let other = &corpus[random.next_u64() as usize % corpus.len()];
            check(&mutated(&mut random, text, other));
        }
    }
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
    let folder = tempfile::tempdir().unwrap();
    run("composition", |text| targets::composition(text, folder.path()));
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
