//! The models that are served: where they are, which of them are loaded, and what becomes of changes.

mod control;
mod entry;
mod index;
mod layout;
mod load;
mod name;
mod retire;

use crate::{
    error::{Error, Result},
    model::Model,
    settings::Settings,
};
use anyhow::{bail, ensure};
use entry::Entry;
use layout::{Found, Root};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

pub use control::{Control, Started};
pub use entry::State;
pub use index::Indexed;
pub use layout::{MODEL, inside};

/// The models that are served, by name and version.
pub struct Repository {
    settings: Settings,
    roots: Vec<Root>,
    entries: RwLock<BTreeMap<String, Entry>>,
    /// Names of the models that were found at the start.
    found: BTreeSet<String>,
    /// One for each model that was loaded or unloaded: one change of a model at a time.
    changing: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// Whether everything that is loaded at the start was, or failed.
    is_started: AtomicBool,
    /// Whether the server ends.
    is_draining: AtomicBool,
}

impl Repository {
    /// The models at `paths`, none of them loaded: .onnx files, run folders, or folders of models. A single file or run
    /// folder is served as `name`, if there is one.
    ///
    /// # Errors
    /// When there is no model, or two have the same name.
    pub fn open(paths: &[PathBuf], name: Option<&str>, settings: &Settings) -> anyhow::Result<Self> {
        ensure!(name.is_none() || paths.len() == 1, "--name: with one model only, and there are {} paths", paths.len());
        let roots = paths.iter().map(|path| Root::open(path, name)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut repository = Self {
            settings: settings.clone(),
            roots,
            entries: RwLock::default(),
            found: BTreeSet::new(),
            changing: Mutex::default(),
            is_started: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        };
        let found = repository.scan_with(|note| cli::note(&note))?;
        if found.is_empty() && settings.model_control == Control::None {
            let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            bail!("{}: no model; expected NAME/VERSION/{MODEL}, an .onnx file or a run folder", paths.join(", "));
        }
        for name in settings.load_models.iter().filter(|name| *name != control::EVERY) {
            ensure!(found.contains_key(name), "serve.load_models: there is no model {name:?}");
        }
        repository.found = found.into_keys().collect();
        Ok(repository)
    }

    /// The version of a model, or its newest.
    ///
    /// # Errors
    /// When there is none, or it is not ready.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>> {
        let version = version.filter(|version| !version.is_empty()).map(parse_version).transpose()?;
        let not_found = |what: String| Error::NotFound(format!("Request for unknown model: '{name}' {what}"));
        let loading = || Error::Unavailable(format!("model '{name}' is being loaded"));
        let is_starting = !self.is_started.load(Relaxed);
        let entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| match is_starting && self.found.contains(name) {
            true => loading(),
            false => not_found("is not found".into()),
        })?;
        let Some(version) = version else {
            return entry.newest().cloned().ok_or_else(|| match entry.is_loading() || is_starting {
                true => loading(),
                false => not_found("has no available versions".into()),
            });
        };
        let known = entry.versions.get(&version).ok_or_else(|| not_found(format!("version {version} is not found")))?;
        known.model.clone().ok_or_else(|| {
            Error::Unavailable(format!("Request for unknown model: '{name}' version {version} is not at ready state"))
        })
    }

    /// The versions of a model that are ready, ascending.
    pub fn versions(&self, name: &str) -> Vec<String> {
        let entries = self.entries();
        let versions = entries.get(name).into_iter().flat_map(|entry| &entry.versions);
        versions.filter(|(_, it)| it.model.is_some()).map(|(version, _)| version.to_string()).collect()
    }

    /// The version of a model; without a version, all that are ready; without a name, those of every model.
    ///
    /// # Errors
    /// When there is none of that name or version.
    pub fn select(&self, name: &str, version: Option<&str>) -> Result<Vec<Arc<Model>>> {
        let version = version.filter(|version| !version.is_empty());
        if name.is_empty() {
            return Ok(self.all());
        }
        let found = self.find(name, version)?;
        if version.is_some() {
            return Ok(vec![found]);
        }
        Ok(self.all().into_iter().filter(|model| model.name == name).collect())
    }

    /// Every version of every model that is ready.
    pub fn all(&self) -> Vec<Arc<Model>> {
        let entries = self.entries();
        entries.values().flat_map(|entry| entry.versions.values()).filter_map(|it| it.model.clone()).collect()
    }

    /// The server ends: from here on it is not ready.
    pub fn drain(&self) {
        self.is_draining.store(true, Relaxed);
    }

    /// Whether the server can take requests: it does not end, the models of its start were loaded and, unless
    /// `serve.strict_readiness` is
    /// off, all that should be served are ready and warm.
    pub fn is_ready(&self) -> bool {
        let is_ready = || self.entries().values().filter(|entry| entry.is_wanted).all(Entry::is_ready);
        let is_serving = self.is_started.load(Relaxed) && !self.is_draining.load(Relaxed);
        is_serving && (!self.settings.strict_readiness || is_ready())
    }

    /// The settings that models are loaded with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The models in the repository now, loaded or not.
    fn scan(&self) -> anyhow::Result<BTreeMap<String, Found>> {
        self.scan_with(drop)
    }

    fn scan_with(&self, note: impl Fn(String)) -> anyhow::Result<BTreeMap<String, Found>> {
        let mut all: BTreeMap<String, Found> = BTreeMap::new();
        for root in &self.roots {
            let (found, notes) = root.scan()?;
            notes.into_iter().for_each(&note);
            for mut found in found {
                if all.contains_key(&found.name) {
                    let problem = format!("another model is called so, in {}", root.path().display());
                    found.problem = Some(problem);
                }
                all.insert(found.name.clone(), found);
            }
        }
        Ok(all)
    }

    fn entries(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_version(text: &str) -> Result<u64> {
    let invalid = || format!("failed to get model version from '{text}': version should be an integral value > 0");
    name::version(text).ok_or_else(|| Error::Invalid(invalid()))
}
