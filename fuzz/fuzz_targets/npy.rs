// A fuzz target; ../wire.rs says what must hold.

#![no_main]

#[path = "../wire.rs"]
#[allow(dead_code, reason = "one target of several")]
mod wire;

use std::sync::OnceLock;
use tempfile::TempDir;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| TempDir::new().expect("a temporary folder"));
    wire::npy(bytes, folder.path());
});
