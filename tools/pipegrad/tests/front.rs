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
fn more_words_than_a_command_takes_are_refused() {
    for words in [["man", "train", "export"], ["completion", "bash", "x"], ["help", "train", "export"]] {
        let (status, _, error) = tool!("pipegrad").args(words).run().parts();
        let expected = format!("pipegrad: {}: at most one argument is expected here\n", words[2]);
        assert_eq!((status, error), (2, expected));
    }
    for word in ["--list", "--version"] {
        let (status, _, error) = tool!("pipegrad").args([word, "x"]).run().parts();
        assert_eq!((status, error.as_str()), (2, "pipegrad: x: no argument is expected here\n"));
    }
    let help = |args: &[&str]| tool!("pipegrad").args(args.iter().copied()).run().out;
    assert_eq!(help(&["help", "relu"]), help(&["relu", "--help"]));
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

/// Of the tools that this program contains, and of its own output.
#[cfg(unix)]
#[test]
fn an_error_that_may_pass_has_a_status_of_its_own() {
    let run = |script: &str| tool!("pipegrad").shell(script).run();
    let full = run("\"$0\" gen-data rows=3 > /dev/full");
    assert_eq!((full.status, full.error.starts_with("gen-data: stdout: No space left")), (75, true), "{full:?}");
    assert_eq!(run("\"$0\" --help > /dev/full").status, 75);
    for stays in
        ["gen-data rwos=3", "entropy none.npy", "gen-data rows=3 -o none/x.npy", "gen-data rows=3 -o /sys/x.npy"]
    {
        let done = run(&format!("\"$0\" {stays}"));
        assert_eq!((done.status, done.error.lines().count()), (2, 1), "{stays}: {done:?}");
    }
}

#[test]
fn manual_pages_and_the_page_of_exit_statuses_have_one_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/exit-status.md")).unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let documented: Vec<String> =
        cells.skip(1).map(|cell| cell.replace(' ', "")).filter(|it| !it.starts_with('-')).collect();
    let manual = tool!("pipegrad").args(["man", "train"]).run().out.replace("\\-", "-");
    let (_, section) = manual.split_once(".SH \"EXIT STATUS\"\n").unwrap();
    let (section, _) = section.split_once(".SH").unwrap();
    let listed: Vec<&str> = section.split(".TP\n").skip(1).filter_map(|entry| entry.lines().next()).collect();
    let listed: Vec<String> = listed.iter().map(|line| line.replace("\\fB", "").replace("\\fR", "")).collect();
    assert_eq!(listed, documented);
}

#[test]
fn the_list_names_the_tools_that_are_contained() {
    let list = tool!("pipegrad").args(["--list"]).run().out;
    let mut listed: Vec<&str> = list.lines().collect();
    listed.sort_unstable();
    let mut expected = tools();
    expected.retain(|tool| tool != "trt-build");
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[cfg(unix)]
#[test]
fn a_link_by_the_name_of_a_tool_is_that_tool() {
    let folder = testkit::Folder::new();
    let link = AsRef::<Path>::as_ref(&folder).join("entropy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pipegrad"), &link).unwrap();
    let run = |program: &Path, args: &[&str]| {
        let tool = testkit::Tool::new(program.to_str().unwrap());
        tool.args(args.iter().copied()).stdin("{\"probs\":[0.5,0.5]}\n").run().parts()
    };
    let expected = (0, "{\"probs\":[0.5,0.5],\"entropy\":1.0}\n".to_owned(), String::new());
    assert_eq!(run(&link, &["--base", "2"]), expected);
    assert_eq!(run(Path::new(env!("CARGO_BIN_EXE_pipegrad")), &["entropy", "--base", "2"]), expected);
    assert_eq!(
        run(&link, &["--bse", "2"]).2,
        "entropy: Unrecognized argument: --bse; did you mean --base? (see entropy --help)\n"
    );
}

#[test]
fn a_manual_page_has_every_flag_and_setting_of_help() {
    for tool in tools().iter().filter(|tool| *tool != "trt-build") {
        let page = tool!("pipegrad").args(["man", tool]).run().out.replace("\\-", "-");
        let help = tool!("pipegrad").args([tool, "--help"]).run().out;
        let words = help.split_whitespace();
        let flags = words.clone().filter(|word| word.starts_with("--") && word.len() > 2 && !word.contains('='));
        let settings = help.lines().filter(|line| line.starts_with("    ") && line.contains('=')).filter_map(|line| {
            let word = line.trim().split([' ', '=']).next()?;
            word.contains('.').then_some(word)
        });
        for word in flags.map(|flag| flag.trim_end_matches([',', ';', ']', '.', ')', ':'])).chain(settings) {
            assert!(page.contains(word), "{tool}: {word}");
        }
    }
    let page = tool!("pipegrad").args(["man", "init"]).run().out;
    assert!(page.contains(".TH PIPEGRAD-INIT 1") && page.contains("template"), "{page}");
    let (status, _, error) = tool!("pipegrad").args(["man", "trian"]).run().parts();
    assert_eq!((status, error), (2, "pipegrad: man: no tool \"trian\"; did you mean train?\n".into()));
    let (_, _, error) = tool!("pipegrad").args(["man", "quux"]).run().parts();
    assert!(error.trim_end().ends_with("plot, compare, init, doctor"), "{error}");
}
