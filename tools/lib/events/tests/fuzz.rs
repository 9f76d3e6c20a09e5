//! The fuzz target of the run log on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/mutations.rs"]
mod mutations;
#[path = "../../../../fuzz/run_log.rs"]
#[allow(dead_code, reason = "one target of several")]
mod run_log;

const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "1e999",
    "-1",
    "1e308",
    "\"event\":",
    "é",
    "\n",
];

#[test]
fn any_events() {
    let count = std::env::var("FUZZ_MUTATIONS").map_or(500, |count| count.parse().unwrap());
    mutations::run(&mutations::corpus("events"), &PIECES, count, run_log::events);
}
