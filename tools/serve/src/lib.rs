//! `serve`: an inference server for ONNX models.

mod auth;
mod connection;
mod engine;
mod error;
mod front;
mod grpc;
mod http;
mod lifecycle;
mod listen;
mod log;
mod log_settings;
mod metadata;
mod metrics;
mod model;
mod page;
mod paths;
mod probe;
mod repository;
mod rows;
mod scoring;
mod server;
mod settings;
mod signature;
mod statistics;
mod stream;
mod threads;
mod tls;
mod trace_settings;
mod watched;

use cli::{Common, Outcome};
use config::overrides::Value;
use repository::Repository;
use settings::Settings;
use std::process::ExitCode;

cli::arguments! {
    groups: ["serve"],
    input: Paths,
    /// Serves ONNX models over HTTP and gRPC.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   pipegrad export runs/entropy -o entropy.onnx\n  \
                   {command_name} entropy.onnx &\n  \
                   gen-data rows=3 seed=1 | curl -sf --retry 9 --retry-connrefused localhost:8000/v2/models/entropy/records --data-binary @-\n  \
                   kill $!",
        note = "Settings: config group serve."
    )]
    struct Args {
        /// address to listen on (the setting serve.host)
        #[argh(option)]
        host: Option<String>,
        /// name of the model, where one file or folder is served (default: that of the file or folder)
        #[argh(option)]
        name: Option<String>,
        /// whether the set of models changes: none, poll (as their files do) or explicit (as clients ask for; the setting
        /// serve.model_control)
        #[argh(option, arg_name = "none|poll|explicit")]
        model_control: Option<String>,
        /// a model to load at the start, for --model-control explicit; may be given several times (the setting
        /// serve.load_models)
        #[argh(option)]
        load_model: Vec<String>,
        /// ask the server that runs with these settings whether it is ready, and stop: exit status 0 or 1
        #[argh(switch)]
        probe: bool,
        /// file of the TLS certificate and its chain, in PEM (the setting serve.tls.certificate)
        #[argh(option, arg_name = "file")]
        tls_cert: Option<String>,
        /// file of the certificate's private key, in PEM (the setting serve.tls.key)
        #[argh(option, arg_name = "file")]
        tls_key: Option<String>,
        /// file of API keys, one a line, KEY or NAME:KEY (the setting serve.api_keys)
        #[argh(option, arg_name = "file")]
        api_keys: Option<String>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("serve", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    let load_models: Vec<Value> = args.load_model.drain(..).map(Value::from).collect();
    let document = common.settings([
        cli::set("serve.host", args.host.take()),
        cli::set("serve.model_control", args.model_control.take()),
        cli::set("serve.load_models", (!load_models.is_empty()).then_some(Value::List(load_models))),
        cli::set("serve.http_port", paths::port(&common)?),
        cli::set("serve.tls.certificate", args.tls_cert.take()),
        cli::set("serve.tls.key", args.tls_key.take()),
        cli::set("serve.api_keys", args.api_keys.take()),
    ])?;
    let settings = Settings::read(&document)?;
    if args.probe {
        return Ok(probe::refusal(&settings).map_or(Outcome::Done, Outcome::No));
    }
    let repository = Repository::open(&paths::served(&common)?, args.name.as_deref(), &settings)?;
    // Before the ports: a server that cannot compute has no address.
    runtime::check_device(&settings.runtime_options())?;
    server::run(repository, &settings)?;
    Ok(Outcome::Done)
}
