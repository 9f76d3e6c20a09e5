// A fuzz target; ../run_log.rs says what must hold.

#![no_main]

#[path = "../run_log.rs"]
#[allow(dead_code, reason = "one target of several")]
mod run_log;

use std::{env, path::Path};

// The binary that is meant is named by PIPEGRAD_TRACK, the settings of a spool by PIPEGRAD_SPOOL_CONFIG; no server is
// there.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let track = env::var_os("PIPEGRAD_TRACK").expect("PIPEGRAD_TRACK");
    let config = env::var_os("PIPEGRAD_SPOOL_CONFIG").expect("PIPEGRAD_SPOOL_CONFIG");
    let config = std::fs::read_to_string(config).expect("the settings");
    run_log::spool(text, Path::new(&track), "http://127.0.0.1:9", &config, folder.path());
});
