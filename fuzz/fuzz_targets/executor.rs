// A fuzz target; ../executor.rs says what must hold.

#![no_main]

#[path = "../executor.rs"]
mod graph;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graph::runs(bytes));
