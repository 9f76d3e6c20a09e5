//! The front command: finds the tool, and is then out of the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::tool;

/// The crates beside this one: every tool but the front command.
fn tools() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let crates = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    crates.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name != "pipegrad").collect()
}

#[test]
fn usage_names_every_tool() {
    let text = tool!("pipegrad").run().out;
    let listed = text.lines().filter(|line| line.starts_with("  ") && line.contains(" -> ")).count();
    assert_eq!(listed, tools().len(), "{text}");
    for tool in tools() {
        assert!(text.contains(&format!("\n  {tool} ")), "{tool}: {text}");
    }
}

#[test]
fn the_default_members_are_all_but_those_that_need_libclang() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let text = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, list) = text.split_once("\ndefault-members = [").unwrap();
    let (list, _) = list.split_once("\n]").unwrap();
    let is_listed = |path: &str| list.contains(&format!("\n    \"{path}\","));
    for tool in tools() {
        assert_eq!(is_listed(&format!("tools/{tool}")), tool != "trt-build", "{tool}");
    }
    // Libraries are listed by a pattern, which leaves out those whose names begin with t.
    for entry in fs::read_dir(root.join("tools/lib")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('t') {
            assert_eq!(is_listed(&format!("tools/lib/{name}")), name != "tensorrt", "{name}");
        }
    }
}

#[test]
fn an_unknown_tool_is_one_line_and_status_2() {
    let said = |word: &str| {
        let (status, _, error) = tool!("pipegrad").args([word]).run().parts();
        assert_eq!(status, 2);
        error
    };
    let slips = [
        ("trian", "train"),
        ("Train", "train"),
        ("sweeep", "sweep"),
        ("gendata", "gen-data"),
        ("compsoe", "compose"),
        ("--hlep", "--help"),
        ("completions", "completion"),
    ];
    for (slip, tool) in slips {
        assert_eq!(said(slip), format!("pipegrad: no tool \"{slip}\"; did you mean {tool}?\n"));
    }
    let error = said("quux");
    assert!(
        error.starts_with("pipegrad: no tool \"quux\"; there is compose,") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn short_help_is_help() {
    let usage = |flag: &str| tool!("pipegrad").args([flag]).run();
    assert_eq!(usage("-h"), usage("--help"));
    assert_eq!(usage("-h").status, 0);
}

#[cfg(unix)]
#[test]
fn a_closed_standard_output_is_an_error_and_the_null_device_none() {
    let run = |redirection: &str| {
        let (status, _, error) = tool!("pipegrad").shell(&format!("\"$0\" --help {redirection}")).run().parts();
        (status, error)
    };
    assert_eq!(run(">&-"), (2, "pipegrad: stdout: standard output is closed\n".into()));
    for good in [">/dev/null", "1<>/dev/null", "<&- >/dev/null"] {
        assert_eq!(run(good), (0, String::new()), "{good}");
    }
}
