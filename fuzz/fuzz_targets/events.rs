// A fuzz target; ../run_log.rs says what must hold.

#![no_main]

#[path = "../run_log.rs"]
#[allow(dead_code, reason = "one target of several")]
mod run_log;

libfuzzer_sys::fuzz_target!(|text: &str| run_log::events(text));
