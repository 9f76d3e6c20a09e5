//! `serve`: an inference server for ONNX models.

mod connection;
mod engine;
mod error;
mod front;
mod grpc;
mod histogram;
mod http;
mod lifecycle;
mod listen;
mod log;
mod model;
mod page;
mod probe;
mod repository;
mod server;
mod settings;
mod statistics;
mod stream;
mod threads;

use anyhow::Context;
use cli::{Common, Outcome};
use repository::Repository;
use settings::Settings;
use std::process::ExitCode;

cli::arguments! {
    groups: ["serve"],
    input: File,
    /// Serves ONNX models over HTTP and gRPC.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   pipegrad export runs/entropy -o entropy.onnx\n  \
                   {command_name} entropy.onnx",
        note = "Settings: config group serve."
    )]
    struct Args {
        /// address to listen on (the setting serve.host)
        #[argh(option)]
        host: Option<String>,
        /// ask the server that runs with these settings whether it is ready, and stop: exit status 0 or 1
        #[argh(switch)]
        probe: bool,
    }
}

fn main() -> ExitCode {
    cli::run("serve", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([cli::set("serve.host", args.host.take())])?;
    let settings = Settings::read(&document)?;
    if args.probe {
        return Ok(probe::refusal(&settings).map_or(Outcome::Done, Outcome::No));
    }
    let path = common.input.context("name what to serve: an .onnx file, a run folder or a model repository")?;
    let repository = Repository::open(&path, &settings)?;
    server::run(repository, &settings)?;
    Ok(Outcome::Done)
}
