//! The real binary: its rows, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use testkit::tool;

/// Runs the tool away from any `configs/`; returns status, standard output and standard error.
fn entropy(args: &[&str], stdin: impl Into<Vec<u8>>) -> (i32, String, String) {
    tool!("entropy").args(args).stdin(stdin).run().parts()
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
    // What --normalize cannot mend does not suggest it.
    for row in ["[0,0]", "[1e308,1e308]"] {
        let (status, _, error) = entropy(&[], format!("{{\"probs\":{row}}}\n"));
        assert!(status == 2 && error.contains("expected 1") && !error.contains("--normalize"), "{error}");
    }
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
    let (status, _, error) = tool!("entropy").env("PIPEGRAD_ISA", "mmx").stdin("{\"probs\":[1.0]}\n").run().parts();
    assert_eq!(status, 2);
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
        (&["a", "m.onnx"], "m.onnx: at most one input file"),
        (
            &["-o", "rows.parquet"],
            "rows.parquet: rows are written as .ndjson, .npy, .csv or .tsv, unless --to says how",
        ),
        (&["-o", "rows.zip"], "rows.zip: rows are written as"),
        (&["-o", ""], "the path of a file is empty"),
        (&["nonsense=1"], "nonsense"),
    ];
    for (args, expected) in cases {
        let (status, out, error) = entropy(args, "{\"probs\":[0.5,0.5]}\n");
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.starts_with("entropy: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }
}

#[test]
fn a_field_is_known_however_json_spells_its_name() {
    for name in ["\\u0065ntropy", "entrop\\u0079", "\\u0065\\u006e\\u0074\\u0072\\u006f\\u0070\\u0079"] {
        for line in [
            format!("{{\"{name}\":1,\"probs\":[0.5,0.5]}}\n"),
            format!("{{\"probs\":[0.5,0.5],\"{name}\":1}}\n"),
            format!("{{\"probs\":[0.5,0.5]}}\n{{\"probs\":[0.5,0.5],\"{name}\":null}}\n"),
        ] {
            let (status, out, error) = entropy(&[], line.clone());
            assert_eq!((status, out.as_str()), (2, ""), "{line}");
            assert!(error.contains("field \"entropy\" is already there"), "{line}: {error}");
        }
    }
    let (status, out, _) = entropy(&[], "{\"prob\\u0073\":[0.5,0.5]}\n");
    assert_eq!((status, out.contains(",\"entropy\":")), (0, true), "{out}");
}

/// What the input says may be a megabyte long and hold what a terminal obeys; the message is one short line.
#[test]
fn messages_are_bounded_and_escaped() {
    let long = "9".repeat(900_000);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({long},2), }}\n");
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    let npy = [b"\x93NUMPY\x02\x00", length.as_slice(), header.as_bytes()].concat();
    let inputs: [Vec<u8>; 8] = [
        npy,
        format!("{{\"{long}\":1}}\n").into(),
        format!("{{\"probs\":{long}x}}\n").into(),
        format!("{{\"probs\":\"{long}\"}}\n").into(),
        format!("{{\"probs\":[\"{}\"]}}\n", "word ".repeat(100_000)).into(),
        format!("{long}\n{long}\n").into(),
        format!("probs,{}\n1,2\n", "b ".repeat(100_000)).into(),
        "{\"\\u001b]0;title\\u0007\\u001b[2J\":1}\n".into(),
    ];
    for input in inputs {
        let start = String::from_utf8_lossy(&input[..input.len().min(30)]).into_owned();
        let (status, _, error) = entropy(&[], input);
        assert_eq!((status, error.lines().count()), (2, 1), "{start}: {}", error.len());
        assert!(error.chars().count() <= 600, "{start}: {} characters", error.chars().count());
        assert!(!error.trim_end().contains(char::is_control), "{error:?}");
        let token = error.split(|c: char| !c.is_alphanumeric()).map(|token| token.chars().count()).max();
        assert!(token <= Some(64), "{start}: {error}");
    }
    // As long as an argument may be.
    let long = &long[..100_000];
    let (status, _, error) = entropy(&["--dtype", long], "");
    assert!(status == 2 && error.len() < 600, "{}", error.len());
    let (status, _, error) = entropy(&[&format!("{long}=1")], "");
    assert!(status == 2 && error.len() < 600, "{}", error.len());
}
