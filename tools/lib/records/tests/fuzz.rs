//! The fuzz targets of records on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.
//! `cargo fuzz` runs the same targets without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/byte_mutations.rs"]
mod mutations;
#[path = "../../../../fuzz/wire.rs"]
mod wire;

/// Pieces that mean something to a parser of text.
const TEXT: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0065",
    b"\\ud800",
    b":",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r\n",
    b"null",
    b"true",
    b"NaN",
    b"1e999",
    b"-0",
    b"9223372036854775808",
    b"\"x\":",
    b"\xff",
    b"\xef\xbb\xbf",
    b"1.5",
];

/// And to one of array headers.
const HEADER: [&[u8]; 20] = [
    b"'descr': ",
    b"'<f4'",
    b"'>f8'",
    b"'|u1'",
    b"'<U4'",
    b"'|O'",
    b"'<M8[s]'",
    b"('x', '<f4')",
    b"(2,)",
    b"()",
    b"(9223372036854775807,)",
    b"(4294967296, 4294967296)",
    b"-1",
    b"True",
    b"[",
    b"]",
    b"(",
    b")",
    b"\x93NUMPY\x01\x00",
    b"\xff\xff",
];

#[test]
fn any_npy() {
    let folder = testkit::Folder::new();
    mutations::run("npy", &HEADER, |bytes| wire::npy(bytes, &folder));
}

#[test]
fn any_ndjson() {
    let folder = testkit::Folder::new();
    mutations::run("ndjson", &TEXT, |bytes| wire::ndjson(bytes, &folder));
}

#[test]
fn any_csv() {
    let folder = testkit::Folder::new();
    mutations::run("csv", &TEXT, |bytes| wire::csv(bytes, &folder));
}
