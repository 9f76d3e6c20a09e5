//! The models that are served.

use crate::{
    error::{Error, Result},
    model::{self, Model, Source},
    settings::Settings,
};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

/// The version of a model that has no folder of versions.
const ONLY_VERSION: &str = "1";

/// The models that are served, by name and version.
pub struct Repository {
    settings: Settings,
    models: RwLock<BTreeMap<String, BTreeMap<u64, Arc<Model>>>>,
}

impl Repository {
    /// Loads the model or models at `path`: an .onnx file or a run folder.
    ///
    /// # Errors
    /// When there is no model, or one cannot be loaded.
    pub fn open(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let source = source(path)?;
        let model = Arc::new(model::load(&source, settings)?);
        let versions = BTreeMap::from([(1, model)]);
        let models = RwLock::new(BTreeMap::from([(source.name, versions)]));
        Ok(Self { settings: settings.clone(), models })
    }

    /// The version of a model, or its newest.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Error::NotFound(format!("Request for unknown model: '{name}' is not found"));
        let versions = models.get(name).ok_or_else(unknown)?;
        let found = match version.filter(|version| !version.is_empty()) {
            None => versions.values().next_back(),
            Some(version) => versions.values().find(|model| model.version == version),
        };
        found.cloned().ok_or_else(|| {
            Error::NotFound(format!(
                "Request for unknown model: '{name}' version {} is not found",
                version.unwrap_or("")
            ))
        })
    }

    /// Every version of every model.
    pub fn all(&self) -> Vec<Arc<Model>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether every model that should be served is warm.
    pub fn is_ready(&self) -> bool {
        true
    }

    /// The settings that models are loaded with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let file = if path.is_dir() { path.join("model.onnx") } else { path.to_owned() };
    if !file.exists() {
        bail!("{}: no such model", file.display());
    }
    let named = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = named.context("the model has no name")?.to_string_lossy().into_owned();
    Ok(Source { name, version: ONLY_VERSION.into(), file })
}
