//! The front command: finds the tool, and is then out of the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;

#[test]
fn usage_names_every_tool() {
    let output = cargo_bin_cmd!("pipegrad").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for tool in [
        "compose",
        "gen-data",
        "fetch-data",
        "entropy",
        "relu",
        "train",
        "track",
        "plot",
        "compare",
        "export",
        "infer",
        "score",
    ] {
        assert!(text.contains(&format!("  {tool} ")), "{tool}: {text}");
    }
}

#[test]
fn an_unknown_tool_is_one_line_and_status_2() {
    let said = |word: &str| {
        let output = cargo_bin_cmd!("pipegrad").arg(word).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
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
    let usage = |flag: &str| cargo_bin_cmd!("pipegrad").arg(flag).output().unwrap();
    assert_eq!(usage("-h"), usage("--help"));
    assert!(usage("-h").status.success());
}

#[cfg(unix)]
#[test]
fn a_closed_standard_output_is_an_error_and_the_null_device_none() {
    let program = assert_cmd::cargo::cargo_bin!("pipegrad").display().to_string();
    let run = |redirection: &str| {
        let script = format!("'{program}' --help {redirection}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(">&-"), (Some(2), "pipegrad: stdout: standard output is closed\n".into()));
    for good in [">/dev/null", "1<>/dev/null", "<&- >/dev/null"] {
        assert_eq!(run(good), (Some(0), String::new()), "{good}");
    }
}
