// A fuzz target; ../targets.rs says what must hold.

#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "one target of several")]
mod targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::overrides(text));
