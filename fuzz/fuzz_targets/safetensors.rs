// A fuzz target; ../model.rs says what must hold.

#![no_main]

#[path = "../model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|text: &str| model::safetensors(text));
