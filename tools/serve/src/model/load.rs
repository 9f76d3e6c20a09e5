//! From a file to a model that is ready.

use super::{
    Model, Spec,
    configuration::{Configuration, policy},
    labels, warm_up,
};
use crate::{
    engine::Engine,
    log::{self, Level},
    settings::Settings,
};
use anyhow::Context;
use dataset::Features;
use open_inference::model_config::ModelConfig;
use runtime::Options;
use serde_json::json;
use std::{path::PathBuf, sync::Arc};

/// Where a version of a model comes from.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub version: String,
    pub file: PathBuf,
    /// Where labels and warm-up data are.
    pub folder: PathBuf,
    /// Links do not lead out of this folder.
    pub root: PathBuf,
    pub configuration: Arc<Configuration>,
}

/// Loads a model and runs it with made-up rows until it is warm.
///
/// # Errors
/// When the file is no model that can be run, or not as its configuration says.
pub fn load(source: &Source, settings: &Settings) -> anyhow::Result<Model> {
    let configuration = &source.configuration;
    let options = Options { threads: configuration.threads(settings), ..settings.runtime_options() };
    let open = || runtime::Model::open(&source.file, settings.model_limit(), &options);
    let first = open()?;
    let spec = configuration.spec(first.inputs(), first.outputs(), settings)?;
    for name in configuration.unlisted(&spec) {
        let fields =
            json!({ "model": source.name, "ignored": format!("output {name:?} is left out; it is served too") });
        log::write(Level::Warn, "configuration", fields);
    }
    let config = configuration.complete(&source.name, &spec, settings);
    let features = first.metadata(prediction::FEATURES_KEY).map(|text| Features::from_json(&text)).transpose();
    let features = features.with_context(|| source.file.display().to_string())?;
    let labels = labels(source, &spec, &config, features.as_ref(), settings)?;
    let samples = warm_up::samples(source, &spec, &config, settings)?;
    let runtime = first.backend();
    let mut instances = vec![first];
    for _ in 1..config.instances().unwrap_or(1) {
        instances.push(open()?);
    }
    let count = instances.len();
    let outputs = spec.outputs.iter().map(|output| (output.name.clone(), output.data_type)).collect();
    let (name, version) = (source.name.clone(), source.version.clone());
    let engine = Engine::new(name.clone(), outputs, instances, policy(&config, settings), settings.network_threads());
    let engine = Arc::new(engine);
    let mut model = Model { name, version, spec, config, features, labels, runtime, engine, warm_sizes: 0 };
    model.warm_sizes = warm_up::run(&model, &samples, count, settings)?;
    Ok(model)
}

/// Class names of each output: those that its configuration names, or those of the features.
fn labels(
    source: &Source,
    spec: &Spec,
    config: &ModelConfig,
    features: Option<&Features>,
    settings: &Settings,
) -> anyhow::Result<Vec<Vec<String>>> {
    let classes = features.and_then(|features| features.target.classes.clone()).unwrap_or_default();
    let of_output = |name: &str| {
        let configured = config.output.iter().find(|output| output.name == name && !output.label_filename.is_empty());
        match configured {
            Some(output) => labels::read(&source.folder, &source.root, &output.label_filename, settings.model_limit()),
            None => Ok(classes.clone()),
        }
    };
    spec.outputs.iter().map(|output| of_output(&output.name)).collect()
}
