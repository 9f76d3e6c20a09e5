// A fuzz target; ../onnx.rs says what must hold.

#![no_main]

#[path = "../onnx.rs"]
mod onnx_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| onnx_file::model(bytes));
