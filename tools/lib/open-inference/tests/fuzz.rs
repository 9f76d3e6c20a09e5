//! The fuzz targets of protocol buffers and of HTTP bodies on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.
//! `cargo fuzz` runs the same targets without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/infer_request.rs"]
mod infer_request;
#[path = "../../../../fuzz/byte_mutations.rs"]
mod mutations;
#[path = "../../../../fuzz/protobuf.rs"]
mod protobuf;

use open_inference::{
    Limits,
    grpc::{self, proto::ModelInferRequest},
    http, model_config,
};
use prost::Message;

/// Pieces that mean something to a parser of the text format.
const TEXT: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"<",
    b">",
    b":",
    b",",
    b"\"",
    b"'",
    b"\\",
    b"#",
    b"\n",
    b"-",
    b"0x",
    b"1e999",
    b"18446744073709551616",
    b"inf",
    b"input [ {",
    b"dims: [ -1, 0 ]",
    b"key: \"x\"",
    b"\xff",
    b"\xc3\xa9",
    b"/",
];

/// And to one of messages: tags, lengths and numbers.
const WIRE: [&[u8]; 12] = [
    b"\x0a",
    b"\x12",
    b"\x1a\x02",
    b"\x2a\x00",
    b"\x3a\x04",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\x00",
    b"FP16",
    b"BYTES",
    b"\x03\x00\x00\x00abc",
];

/// And to one of JSON requests.
const JSON: [&[u8]; 30] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\ud83d\\ude00",
    b"\\ud800",
    b":",
    b",",
    b" ",
    b"\n",
    b"null",
    b"true",
    b"NaN",
    b"-0",
    b"1e39",
    b"0.1234567890123456789",
    b"18446744073709551616",
    b"4294967296,4294967296",
    b"\"data\":[",
    b"\"datatype\":\"FP32\"",
    b"\"shape\":[0]",
    b"\"parameters\":{\"binary_data_size\":4}",
    b"\"BYTES\"",
    b"\"BOOL\"",
    b"\"FP16\"",
    b"\xff",
    b"\xc3\xa9",
    b"\x03\x00\x00\x00abc",
];

#[test]
fn any_infer_request() {
    mutations::run("infer_request", &JSON, infer_request::infer_request);
}

#[test]
fn any_config_pbtxt() {
    mutations::run("config_pbtxt", &TEXT, |bytes| protobuf::config_pbtxt(&String::from_utf8_lossy(bytes)));
}

#[test]
fn any_grpc_request() {
    mutations::run("grpc_request", &WIRE, protobuf::grpc_request);
}

#[test]
fn the_corpus_is_read() {
    let corpus =
        |path: &str| std::fs::read(format!("{}/../../../fuzz/corpus/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for name in ["batching", "sequence", "warmup"] {
        let text = String::from_utf8(corpus(&format!("config_pbtxt/{name}"))).unwrap();
        model_config::parse(&text, name).unwrap();
    }
    for name in ["raw", "typed"] {
        let message = ModelInferRequest::decode(corpus(&format!("grpc_request/{name}")).as_slice()).unwrap();
        grpc::to_request(message, &Limits { tensors: 4, dimensions: 2, elements: 8 }).unwrap();
    }
}

#[test]
fn the_corpus_of_bodies_is_read() {
    for (name, binary) in
        [("escapes", 0), ("integers", 0), ("mixed", 12), ("nested", 0), ("numbers", 0), ("order", 0), ("outputs", 4)]
    {
        let path = format!("{}/../../../fuzz/corpus/infer_request/{name}", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        let header = body.len() - binary;
        let limits = Limits { tensors: 8, dimensions: 3, elements: 64 };
        let request = http::parse_request(&body.into(), Some(header), &limits).unwrap();
        assert!(!request.inputs.is_empty(), "{name}");
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for text in ["[".repeat(1 << 19), "input {".repeat(1 << 17), "input [ {".repeat(1 << 16)] {
        assert!(model_config::parse(&text, "deep").is_err());
    }
}
