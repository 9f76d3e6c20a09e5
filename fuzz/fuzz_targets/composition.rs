// A fuzz target; ../targets.rs says what must hold.

#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "one target of several")]
mod targets;

use std::sync::OnceLock;
use tempfile::TempDir;

libfuzzer_sys::fuzz_target!(|text: &str| {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| TempDir::new().expect("a temporary folder"));
    targets::composition(text, folder.path());
});
