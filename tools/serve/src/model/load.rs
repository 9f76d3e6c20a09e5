//! From a file to a model that is ready.

use super::{Model, Spec, warm_up};
use crate::{
    engine::{Engine, Policy},
    settings::Settings,
};
use anyhow::Context;
use dataset::Features;
use files::Limit;
use runtime::Options;
use std::{path::PathBuf, sync::Arc};

/// Key of the metadata under which `export` writes the features.
const FEATURES: &str = "pipegrad.features";

/// Where a version of a model comes from.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub version: String,
    pub file: PathBuf,
}

/// Loads a model and runs it with made-up rows until it is warm.
///
/// # Errors
/// When the file is no model that can be run.
pub fn load(source: &Source, settings: &Settings) -> anyhow::Result<Model> {
    let options = Options { library: settings.onnxruntime.as_deref(), threads: settings.threads() };
    let limit = Limit { bytes: settings.model_bytes, setting: Some("serve.model_bytes") };
    let open = || runtime::Model::open(&source.file, limit, &options);
    let first = open()?;
    let spec = Spec::of_graph(first.inputs(), first.outputs(), settings.max_batch_size);
    let features = first.metadata(FEATURES).map(|text| Features::from_json(&text)).transpose();
    let features = features.with_context(|| source.file.display().to_string())?;
    let classes = features.as_ref().and_then(|features| features.target.classes.clone()).unwrap_or_default();
    let outputs: Vec<_> = spec.outputs.iter().map(|output| (output.name.clone(), output.data_type)).collect();
    let labels = outputs.iter().map(|_| classes.clone()).collect();
    let mut instances = vec![first];
    for _ in 1..settings.instances {
        instances.push(open()?);
    }
    let policy = Policy {
        max_rows: spec.max_batch_size,
        preferred: Vec::new(),
        delay: settings.queue_delay(),
        max_queue: settings.max_queue,
        timeout: settings.timeout(),
        inline: settings.inline(),
    };
    let count = instances.len();
    let engine = Arc::new(Engine::new(source.name.clone(), outputs, instances, policy, settings.network_threads()));
    let model = Model { name: source.name.clone(), version: source.version.clone(), spec, features, labels, engine };
    warm_up::run(&model, count, settings.warmup())?;
    Ok(model)
}
