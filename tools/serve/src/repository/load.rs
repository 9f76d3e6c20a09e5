//! Loading, reloading and unloading a model.

use super::{
    Repository,
    entry::{Entry, Version},
    layout::{self, CONFIGURATION, Found, Location, MODEL, inside},
    retire::retire,
};
use crate::{
    log::{self, Level},
    model::{self, Configuration, Model, Source},
    signature::Signature,
};
use anyhow::{Context, bail, ensure};
use open_inference::model_config::Versions;
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// What became of a version that was to be loaded.
enum Outcome {
    /// It is loaded, from the same files.
    Current,
    Loaded(Arc<Model>, Signature),
    Failed(anyhow::Error),
}

type Outcomes = BTreeMap<u64, Outcome>;

impl Repository {
    /// Loads the versions of a model that its configuration, or `given` in its place, asks for; those that are loaded
    /// from the same files stay. A version that cannot be loaded replaces none. Blocks for as long as it takes.
    ///
    /// # Errors
    /// When a version cannot be loaded, or there is none.
    pub(super) fn load_found(&self, found: &Found, given: Option<&str>) -> anyhow::Result<()> {
        let changing = self.changing(&found.name);
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match self.load_versions(found, given) {
            Ok((configuration, outcomes)) => self.change(&found.name, configuration, outcomes),
            Err(problem) => {
                self.fail(&found.name, &cli::describe(&problem));
                Err(problem)
            }
        };
        loaded.with_context(|| format!("load failed for model '{}'", found.name))
    }

    fn load_versions(&self, found: &Found, given: Option<&str>) -> anyhow::Result<(Arc<Configuration>, Outcomes)> {
        if let Some(problem) = &found.problem {
            bail!("{problem}");
        }
        // Of the files before they are read: what changes meanwhile is a change.
        let signatures = found.signatures();
        let configuration = Arc::new(configuration(found, given)?);
        for field in configuration.ignored() {
            log::write(Level::Warn, "configuration", json!({ "model": found.name, "ignored": field }));
        }
        let versions = selected(configuration.versions(), found);
        ensure!(!versions.is_empty(), "at least one version must be available under the version policy");
        let old = self.entries().get(&found.name).and_then(|entry| entry.configuration.clone());
        let is_configured_so = old.is_some_and(|old| old == configuration);
        let mut outcomes = BTreeMap::new();
        for version in versions {
            let signature = signatures.get(&version).cloned().unwrap_or_default();
            let outcome = match is_configured_so && self.is_loaded(&found.name, version, &signature) {
                true => Outcome::Current,
                false => self.load_version(found, version, signature, &configuration),
            };
            outcomes.insert(version, outcome);
        }
        Ok((configuration, outcomes))
    }

    fn load_version(
        &self,
        found: &Found,
        version: u64,
        signature: Signature,
        configuration: &Arc<Configuration>,
    ) -> Outcome {
        let begin = Instant::now();
        self.entries_mut().entry(found.name.clone()).or_default().versions.entry(version).or_default().is_loading =
            true;
        let source = source(found, version, configuration);
        match source.and_then(|source| model::load(&source, self.settings())) {
            Ok(model) => {
                let (sizes, took) = (model.warm_sizes, begin.elapsed().as_millis() as u64);
                let fields = json!({
                    "model": found.name,
                    "version": version,
                    "runtime": model.runtime,
                    "after_ms": took,
                    "batch_sizes": sizes,
                });
                log::write(Level::Info, "model_ready", fields);
                Outcome::Loaded(Arc::new(model), signature)
            }
            Err(problem) => Outcome::Failed(problem),
        }
    }

    fn is_loaded(&self, name: &str, version: u64, signature: &Signature) -> bool {
        let entries = self.entries();
        let version = entries.get(name).and_then(|entry| entry.versions.get(&version));
        version.is_some_and(|version| version.model.is_some() && version.signature == *signature)
    }

    /// Serves what was loaded in place of what was there. Versions that are no longer asked for stay until all that are
    /// asked for are there.
    fn change(&self, name: &str, configuration: Arc<Configuration>, outcomes: Outcomes) -> anyhow::Result<()> {
        let mut old = Vec::new();
        let mut problems = Vec::new();
        {
            let mut entries = self.entries_mut();
            let entry = entries.entry(name.to_owned()).or_default();
            entry.problem = None;
            let asked: Vec<u64> = outcomes.keys().copied().collect();
            for (number, outcome) in outcomes {
                let version = entry.versions.entry(number).or_default();
                match outcome {
                    Outcome::Current => version.reason.clear(),
                    Outcome::Loaded(model, signature) => old.extend(version.replace(model, signature)),
                    Outcome::Failed(problem) => {
                        version.fail(&cli::describe(&problem));
                        problems.push(problem.context(format!("version {number}")));
                    }
                }
            }
            if problems.is_empty() {
                entry.configuration = Some(configuration);
                entry.is_wanted = true;
                let others = entry.versions.iter_mut().filter(|(number, _)| !asked.contains(number));
                old.extend(others.filter_map(|(_, version)| version.unload()));
            }
        }
        retire(old);
        problems.into_iter().next().map_or(Ok(()), Err)
    }

    /// Notes why a model could not be loaded, or not be replaced.
    fn fail(&self, name: &str, problem: &str) {
        let mut entries = self.entries_mut();
        let entry = entries.entry(name.to_owned()).or_default();
        entry.problem = Some(problem.to_owned());
        entry.versions.values_mut().filter(|version| version.model.is_some()).for_each(|version| version.fail(problem));
    }

    /// Stops serving a model: its requests end on it, then its memory is free.
    pub(super) fn unload_all_versions(&self, name: &str) {
        if !self.entries().contains_key(name) {
            return;
        }
        let changing = self.changing(name);
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = Vec::new();
        if let Some(entry) = self.entries_mut().get_mut(name) {
            old.extend(entry.versions.values_mut().filter_map(Version::unload));
            *entry = Entry { versions: std::mem::take(&mut entry.versions), ..Entry::default() };
        }
        if !old.is_empty() {
            log::write(Level::Info, "model_unloaded", json!({ "model": name }));
        }
        retire(old);
    }

    fn changing(&self, name: &str) -> Arc<Mutex<()>> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(changing.entry(name.to_owned()).or_default())
    }
}

/// The configuration that a client gave, or that of the model's folder, or none.
fn configuration(found: &Found, given: Option<&str>) -> anyhow::Result<Configuration> {
    if let Some(text) = given {
        return Configuration::from_json(text, &found.name);
    }
    let path = found.folder.join(CONFIGURATION);
    if !found.is_configurable || !path.exists() {
        return Ok(Configuration::none());
    }
    inside(&found.root, &path)?;
    Configuration::read(&path, &found.name)
}

/// The versions that a policy selects among those that are there, ascending.
fn selected(policy: Versions, found: &Found) -> Vec<u64> {
    let there = found.versions.keys().copied();
    match policy {
        Versions::All => there.collect(),
        Versions::Latest(count) => there.skip(found.versions.len().saturating_sub(count)).collect(),
        Versions::Specific(versions) => there.filter(|version| versions.contains(version)).collect(),
    }
}

fn source(found: &Found, version: u64, configuration: &Arc<Configuration>) -> anyhow::Result<Source> {
    let location = found.versions.get(&version).context("the version is gone")?;
    let name = configuration.file_name().unwrap_or(MODEL);
    let file = match location {
        Location::File(file) => file.clone(),
        Location::Folder(folder) => in_version(folder.join(name), name),
    };
    if let Location::Folder(folder) = location {
        let there = layout::other(folder).map(|what| format!(", but {what}")).unwrap_or_default();
        ensure!(file.is_file(), "{}: no {name}{there}", folder.display());
    }
    if found.is_configurable {
        inside(&found.root, &file)?;
    }
    Ok(Source {
        name: found.name.clone(),
        version: version.to_string(),
        file,
        folder: found.folder.clone(),
        root: found.root.clone(),
        configuration: Arc::clone(configuration),
    })
}

/// A model with files of weights may be a folder of the file's name, with the file in it.
fn in_version(path: PathBuf, name: &str) -> PathBuf {
    if path.is_dir() { path.join(name) } else { path }
}
