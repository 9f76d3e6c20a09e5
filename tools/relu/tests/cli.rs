//! The real binary: its rows and its errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use testkit::tool;

fn relu(args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("relu").args(args).stdin(stdin).run().parts()
}

#[test]
fn the_field_is_replaced_where_it_stands() {
    let (_, out, _) = relu(&[], "{\"a\":1,\"values\":[[-1,2.5],[0,-0.5]],\"b\":\"x\"}\n");
    assert_eq!(out, "{\"a\":1,\"values\":[[0.0,2.5],[0.0,0.0]],\"b\":\"x\"}\n");
}

#[test]
fn another_field_can_take_the_result() {
    let (_, out, _) = relu(&["--field", "x", "--out-field", "y", "--slope", "0.5"], "{\"x\":-3}\n{\"x\":4}\n");
    assert_eq!(out, "{\"x\":-3,\"y\":-1.5}\n{\"x\":4,\"y\":4.0}\n");
}

#[test]
fn bad_usage_is_one_line_and_status_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["--slope", "x"], "x"),
        (&["slope=inf"], "relu.slope"),
        (&["--out-field", "b"], "field \"b\" is already there"),
        (&["--field", "nope"], "no field \"nope\" (there is values, b); choose another with --field NAME"),
    ];
    for (args, expected) in cases {
        let (status, out, error) = relu(args, "{\"values\":[1.0],\"b\":2}\n");
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.starts_with("relu: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }
}
