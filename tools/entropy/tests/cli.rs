//! The real binary: its rows, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;

/// Runs the tool away from any `configs/`; returns status, standard output and standard error.
fn entropy(args: &[&str], stdin: impl Into<Vec<u8>>) -> (i32, String, String) {
    let mut command = cargo_bin_cmd!("entropy");
    let output = command.current_dir(std::env::temp_dir()).args(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_field_is_added_and_the_rest_of_the_line_stays() {
    let line = "{ \"id\":\"a\", \"probs\": [0.5, 0.25,0.25],\"more\":{\"x\":[null]} }\n";
    let (status, out, _) = entropy(&["--base", "2"], line);
    assert_eq!(status, 0);
    assert_eq!(out, "{ \"id\":\"a\", \"probs\": [0.5, 0.25,0.25],\"more\":{\"x\":[null]} ,\"entropy\":1.5}\n");
}

#[test]
fn settings_and_flags_say_the_same() {
    let line = "{\"p\":[2,2]}\n";
    let flags = entropy(&["--field", "p", "--out-field", "h", "--base", "2", "--normalize"], line);
    assert_eq!(flags, (0, "{\"p\":[2,2],\"h\":1.0}\n".into(), String::new()));
    assert_eq!(entropy(&["field=p", "out_field=h", "base=2", "normalize=true"], line), flags);
}

#[test]
fn bad_rows_are_named() {
    let good = "{\"probs\":[0.5,0.5]}\n";
    let cases = [
        ("{\"probs\":[0.5,0.8]}\n", "entropy: stdin:2: field \"probs\" sums to 1.3"),
        ("{\"probs\":[-0.5,1.5]}\n", "entropy: stdin:2: field \"probs\""),
        ("{\"probs\":[0.5]}\n", "entropy: stdin:2: field \"probs\" has 1 values, expected 2"),
        ("{\"probs\":[0.5,NaN]}\n", "entropy: stdin:2: field \"probs\": NaN and Infinity are not JSON"),
        ("{\"prob\":[0.5,0.5]}\n", "entropy: stdin:2: no field \"probs\""),
        ("{\"probs\":[0.5,0.5],\"entropy\":1}\n", "entropy: stdin:2: field \"entropy\" is already there"),
    ];
    for (bad, expected) in cases {
        let (status, out, error) = entropy(&[], format!("{good}{bad}{good}"));
        assert_eq!((status, out.as_str()), (2, ""), "{bad}");
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{bad}: {error}");
    }
    assert!(entropy(&[], cases[0].0).2.contains("(use --normalize)"));
    let zero = entropy(&["--normalize"], "{\"probs\":[0.0,0.0]}\n");
    assert!(zero.0 == 2 && zero.2.contains("stdin:1"), "{zero:?}");
}

#[test]
fn the_tolerance_is_a_setting() {
    let line = "{\"probs\":[0.5,0.55]}\n";
    assert_eq!(entropy(&[], line).0, 2);
    assert_eq!(entropy(&["tolerance=0.1"], line).0, 0);
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let rows: String = (1..20_000)
        .map(|i| format!("{{\"probs\":[{0},{1}]}}\n", 1.0 / f64::from(i), 1.0 - 1.0 / f64::from(i)))
        .collect();
    let one = entropy(&["--threads", "1"], rows.as_str());
    assert_eq!(one.0, 0, "{}", one.2);
    assert!(entropy(&["--threads", "5"], rows.as_str()) == one);
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let mut command = cargo_bin_cmd!("entropy");
    let output = command.env("PIPEGRAD_ISA", "mmx").write_stdin("{\"probs\":[1.0]}\n").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "entropy: PIPEGRAD_ISA: \"mmx\"; expected baseline, avx2, avx512\n");
}

#[test]
fn bad_usage_is_one_line_and_status_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["--base", "3"], "expected e, 2 or 10"),
        (&["--base", "x"], "expected e, 2 or 10"),
        (&["tolerance=-1"], "entropy.tolerance: -1"),
        (&["--dtype", "i4"], "i4"),
        (&["--threads", "0"], "at least one thread"),
        (&["missing.npy"], "missing.npy"),
        (&["/"], "/"),
        (&["a", "b"], "at most one input file"),
        (&["nonsense=1"], "nonsense"),
    ];
    for (args, expected) in cases {
        let (status, out, error) = entropy(args, "{\"probs\":[0.5,0.5]}\n");
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.starts_with("entropy: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }
}
