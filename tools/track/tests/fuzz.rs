//! The fuzz target of spools on the checked-in corpus and on mutations of it: bounded, seeded, on any compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;
#[path = "../../../fuzz/mutations.rs"]
mod mutations;
#[path = "../../../fuzz/run_log.rs"]
#[allow(dead_code, reason = "one target of several")]
mod run_log;
mod server;

use common::{log, outcome, track};
use server::Server;
use std::{fs, path::Path};
use testkit::Folder;

const PIECES: [&str; 14] =
    ["{", "}", ",", ":", "\"", "\n", "\n---\n", "null", "-1", "99999999", "\"run\":", "\"position\":", "true", "\0"];

#[test]
fn any_spool() {
    let folder = Folder::new();
    let (_, _, error) = outcome(track(&folder, &["uri=http://127.0.0.1:9", "wait=0"]), log(1));
    let spool = folder.join(error.trim().split_once("track --resume ").unwrap().1);
    let config = fs::read_to_string(spool.join("settings.yaml")).unwrap();
    let count = std::env::var("FUZZ_MUTATIONS").map_or(60, |count| count.parse().unwrap());
    mutations::run(&mutations::corpus("spool"), &PIECES, count, |text| {
        let (folder, server) = (Folder::new(), Server::start(&[]));
        run_log::spool(text, Path::new(env!("CARGO_BIN_EXE_track")), &server.uri(), &config, &folder);
    });
}
