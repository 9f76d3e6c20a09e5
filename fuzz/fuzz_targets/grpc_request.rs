// A fuzz target; ../protobuf.rs says what must hold.

#![no_main]

#[path = "../protobuf.rs"]
#[allow(dead_code, reason = "one target of several")]
mod protobuf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| protobuf::grpc_request(bytes));
