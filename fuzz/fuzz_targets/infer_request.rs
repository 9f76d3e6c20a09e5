// A fuzz target; ../infer_request.rs says what must hold.

#![no_main]

#[path = "../infer_request.rs"]
mod infer_request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| infer_request::infer_request(bytes));
