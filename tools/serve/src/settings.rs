//! Config group `serve`.

use crate::{connection::Patience, log::Level, repository::Control, rows::Blocks, scoring, tls::TlsSettings};
use anyhow::ensure;
use files::Limit;
use open_inference::Limits;
use prediction::{OptionNames, OutputOptions};
use runtime::Backend;
use serde::Deserialize;
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Copies of a model at most.
const MAX_INSTANCES: usize = 64;

/// The settings of config group `serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub host: IpAddr,
    pub http_port: u16,
    pub grpc_port: Option<u16>,
    pub metrics_port: Option<u16>,
    network_threads: usize,
    threads: usize,
    pub instances: usize,
    pub model_control: Control,
    poll_seconds: u64,
    pub load_models: Vec<String>,
    pub exit_on_error: bool,
    pub strict_readiness: bool,
    pub max_batch_size: usize,
    queue_delay_us: u64,
    pub max_queue: usize,
    inline_us: u64,
    timeout_ms: u64,
    warmup_ms: u64,
    model_bytes: u64,
    pub runtime: Backend,
    /// Files of settings from before it existed lack it.
    #[serde(default)]
    pub device: runtime::Device,
    pub memory_bytes: u64,
    pub onnxruntime: Option<PathBuf>,
    pub max_body_bytes: usize,
    max_tensors: usize,
    max_dimensions: usize,
    max_elements: usize,
    pub out_field: String,
    pub label_field: String,
    pub probabilities: bool,
    pub scoring_model: Option<String>,
    pub max_streams: usize,
    stream_run_us: u64,
    pub max_connections: usize,
    pub max_header_bytes: usize,
    pub max_headers: usize,
    idle_timeout_ms: u64,
    header_timeout_ms: u64,
    body_timeout_ms: u64,
    body_bytes_per_second: u32,
    write_timeout_ms: u64,
    drain_delay_ms: u64,
    drain_timeout_ms: u64,
    pub log: Level,
    pub page: bool,
    pub histogram_us: Vec<u64>,
    pub tls: TlsSettings,
    pub api_keys: Option<PathBuf>,
    pub protect_metrics: bool,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let settings: Self = document.section("serve")?;
        let instances = settings.instances;
        ensure!(
            (1..=MAX_INSTANCES).contains(&instances),
            "serve.instances: {instances}; expected 1 to {MAX_INSTANCES}"
        );
        ensure!(settings.max_queue > 0, "serve.max_queue: 0; at least 1 is needed");
        ensure!(settings.max_streams > 0, "serve.max_streams: 0; at least 1 is needed");
        ensure!(settings.max_connections > 0, "serve.max_connections: 0; at least 1 is needed");
        ensure!(settings.max_headers > 0, "serve.max_headers: 0; at least 1 is needed");
        ensure!(settings.max_header_bytes > 0, "serve.max_header_bytes: 0; at least 1 is needed");
        ensure!(settings.body_bytes_per_second > 0, "serve.body_bytes_per_second: 0; at least 1 is needed");
        ensure!(settings.poll_seconds > 0, "serve.poll_seconds: 0; at least 1 is needed");
        ensure!(
            settings.load_models.is_empty() || settings.model_control == Control::Explicit,
            "serve.load_models: only with serve.model_control=explicit; otherwise every model is loaded"
        );
        ensure!(settings.histogram_us.is_sorted_by(|a, b| a < b), "serve.histogram_us: the bounds must ascend");
        ensure!(
            settings.api_keys.is_some() || !settings.protect_metrics,
            "serve.api_keys: missing, and metrics are to be protected by keys (--api-keys FILE)"
        );
        settings.outputs().check(&OptionNames::settings_of("serve"))?;
        Ok(settings)
    }

    /// How often changed models are looked for.
    pub fn poll_period(&self) -> Duration {
        Duration::from_secs(self.poll_seconds)
    }

    /// Threads that serve connections.
    pub fn network_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match self.network_threads {
            0 => cores(),
            threads => cli::limited_threads("serve.network_threads", threads),
        }
    }

    /// Threads of a model's run; 0 for one a core.
    pub fn threads(&self) -> usize {
        cli::limited_threads("serve.threads", self.threads)
    }

    /// How long a request waits for others to run with.
    pub fn queue_delay(&self) -> Duration {
        Duration::from_micros(self.queue_delay_us)
    }

    /// Runs that take less stay on the thread of their connection.
    pub fn inline(&self) -> Duration {
        Duration::from_micros(self.inline_us)
    }

    /// How long a request may take, waiting included; None for any time.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms))
    }

    /// How long a model runs with made-up rows before it is ready.
    pub fn warmup(&self) -> Duration {
        Duration::from_millis(self.warmup_ms)
    }

    /// How long a connection may wait for its client.
    pub fn patience(&self) -> Patience {
        Patience {
            idle: Duration::from_millis(self.idle_timeout_ms),
            header: Duration::from_millis(self.header_timeout_ms),
            body: Duration::from_millis(self.body_timeout_ms),
            body_bytes_per_second: self.body_bytes_per_second,
            write: Duration::from_millis(self.write_timeout_ms),
        }
    }

    /// From SIGTERM until no connection is accepted.
    pub fn drain_delay(&self) -> Duration {
        Duration::from_millis(self.drain_delay_ms)
    }

    /// How long running requests may take to end after that.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    /// How models are run, but for their threads.
    pub fn runtime_options(&self) -> runtime::Options<'_> {
        runtime::Options {
            backend: self.runtime,
            device: self.device,
            library: self.onnxruntime.as_deref(),
            group: "serve",
            memory_bytes: self.memory_bytes,
            ..runtime::Options::default()
        }
    }

    /// Limit on a model, and on each file beside it.
    pub fn model_limit(&self) -> Limit<'static> {
        Limit { bytes: self.model_bytes, setting: Some("serve.model_bytes") }
    }

    /// What records and rows of tables get.
    pub fn outputs(&self) -> OutputOptions {
        let (out_field, label_field) = (self.out_field.clone(), Some(self.label_field.clone()));
        OutputOptions { out_field, label_field, probabilities: self.probabilities }
    }

    /// How MLflow's protocol is answered.
    pub fn scoring(&self) -> scoring::Settings {
        scoring::Settings { limits: self.limits(), blocks: self.blocks(), outputs: self.outputs() }
    }

    /// How the rows of records are divided into runs.
    pub fn blocks(&self) -> Blocks {
        Blocks { run_time: Duration::from_micros(self.stream_run_us), patience: self.timeout() }
    }

    /// Limits on a request's tensors.
    pub fn limits(&self) -> Limits {
        Limits { tensors: self.max_tensors, dimensions: self.max_dimensions, elements: self.max_elements }
    }
}
