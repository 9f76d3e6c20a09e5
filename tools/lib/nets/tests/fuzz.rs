//! The fuzz target of model files on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.
//! `cargo fuzz` runs the same target without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/model.rs"]
mod model;
#[path = "../../../../fuzz/byte_mutations.rs"]
mod mutations;

/// Pieces that mean something to a reader of headers and architectures.
const PIECES: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\"",
    b":",
    b"0",
    b"-1",
    b"1e308",
    b"null",
    b"18446744073709551615",
    b"4294967296",
    b"\n",
    b"\"F32\"",
    b"\"U8\"",
    b"\"type\":\"conv\"",
    b"\"layers\":[",
    b"\"outputs\":0",
    b"\"data_offsets\":[0,4]",
];

#[test]
fn any_safetensors() {
    mutations::run("safetensors", &PIECES, |bytes| model::safetensors(&String::from_utf8_lossy(bytes)));
}
