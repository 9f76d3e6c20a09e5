//! The configuration of a model: `config.pbtxt`, or what a client sends in its place, held against the graph.

mod complete;
mod policy;
mod tensors;

pub use complete::PLATFORM;
pub use policy::policy;

use crate::settings::Settings;
use anyhow::{Context, anyhow, ensure};
use files::Limit;
use open_inference::{
    grpc::proto::model_instance_group::Kind,
    model_config::{self, ModelConfig, Versions},
};
use std::path::Path;

/// Instances of a model at most: each has the weights in memory once more.
const MOST_INSTANCES: usize = 64;
/// The parameter of Triton's ONNX Runtime backend for the threads of a run.
const THREADS: &str = "intra_op_thread_count";
/// What errors call a configuration that a client sent.
const PARAMETER: &str = "parameter config";

/// The configuration of a model, as it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    message: ModelConfig,
    /// What errors call it; None where there is none.
    source: Option<String>,
}

impl Configuration {
    /// For a model that has none.
    pub fn none() -> Self {
        Self { message: ModelConfig::default(), source: None }
    }

    /// The configuration in the file at `path` of model `name`.
    ///
    /// # Errors
    /// When it cannot be read, or the model cannot be served as it says.
    pub fn read(path: &Path, name: &str) -> anyhow::Result<Self> {
        let limit = Limit { bytes: model_config::MAX_BYTES as u64, setting: None };
        let source = path.display().to_string();
        let text = String::from_utf8(files::read_file(path, limit)?);
        let text = text.with_context(|| format!("{source}: no UTF-8"))?;
        Self::new(model_config::parse(&text, &source)?, source, name)
    }

    /// The configuration in JSON that a client sent for model `name`.
    ///
    /// # Errors
    /// When it is none, or the model cannot be served as it says.
    pub fn from_json(text: &str, name: &str) -> anyhow::Result<Self> {
        Self::new(model_config::from_json(text, PARAMETER)?, PARAMETER.into(), name)
    }

    fn new(message: ModelConfig, source: String, name: &str) -> anyhow::Result<Self> {
        let configuration = Self { message, source: Some(source) };
        configuration.check(name).map_err(|problem| configuration.refuse(problem))?;
        Ok(configuration)
    }

    fn check(&self, name: &str) -> anyhow::Result<()> {
        let message = &self.message;
        let called = &message.name;
        ensure!(called.is_empty() || called == name, "name: {called:?}, but the model's folder is {name:?}");
        let is_gpu = |group: &_| kind(group) == Kind::Gpu;
        if let Some(index) = message.instance_group.iter().position(is_gpu) {
            return Err(anyhow!("instance_group[{index}].kind: KIND_GPU; only KIND_CPU is served"));
        }
        let instances = message.instances().unwrap_or(0);
        ensure!(
            instances <= MOST_INSTANCES,
            "instance_group: {instances} instances, at most {MOST_INSTANCES} are served"
        );
        self.own_threads()?;
        match model_config::unsupported(message).refused.first() {
            Some(refused) => Err(anyhow!("{refused}")),
            None => Ok(()),
        }
    }

    /// Fields that have no effect, each with the reason.
    pub fn ignored(&self) -> Vec<String> {
        let parameters = self.message.parameters.keys().filter(|key| *key != THREADS);
        let parameters = parameters.map(|key| format!("parameters {key:?}: only {THREADS} is read"));
        let mut ignored = model_config::unsupported(&self.message).ignored;
        ignored.extend(parameters);
        let levels = self.message.dynamic_batching().map_or(0, |batching| batching.priority_levels);
        if levels > 0 {
            ignored.push("dynamic_batching.priority_levels: requests run in the order in which they arrive".into());
        }
        let source = self.source.as_deref().unwrap_or_default();
        ignored.into_iter().map(|field| format!("{source}: {field} (no effect)")).collect()
    }

    /// The versions that are served.
    pub fn versions(&self) -> Versions {
        self.message.versions()
    }

    /// Name of the file in a version's folder; None for the usual one.
    pub fn file_name(&self) -> Option<&str> {
        Some(self.message.default_model_filename.as_str()).filter(|name| !name.is_empty())
    }

    /// Threads of a run; 0 for one a core.
    pub fn threads(&self, settings: &Settings) -> usize {
        self.own_threads().ok().flatten().unwrap_or_else(|| settings.threads())
    }

    fn own_threads(&self) -> anyhow::Result<Option<usize>> {
        let Some(parameter) = self.message.parameters.get(THREADS) else { return Ok(None) };
        let value = &parameter.string_value;
        let threads =
            value.parse().map_err(|_| anyhow!("parameters {THREADS:?}: {value:?}, expected a whole number"))?;
        Ok(Some(cli::limited_threads(THREADS, threads)))
    }

    /// The error that names this configuration.
    fn refuse(&self, problem: impl std::fmt::Display) -> anyhow::Error {
        match &self.source {
            Some(source) => anyhow!("{source}: {problem}"),
            None => anyhow!("{problem}"),
        }
    }
}

fn kind(group: &open_inference::grpc::proto::ModelInstanceGroup) -> Kind {
    group.kind()
}
