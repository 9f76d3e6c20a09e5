//! What is known of a model: its versions, and the state of each.

use crate::model::{Configuration, Model};
use crate::signature::Signature;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// Why a version that was there is not: Triton's word.
const UNLOADED: &str = "unloaded";

/// The state of a version, as the repository's index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Loading,
    Ready,
    /// Requests still run on it.
    Unloading,
    Unavailable,
}

impl State {
    /// The word of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Ready => "READY",
            Self::Unloading => "UNLOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// A model of the repository.
#[derive(Default)]
pub struct Entry {
    pub versions: BTreeMap<u64, Version>,
    /// That of the versions that are served.
    pub configuration: Option<Arc<Configuration>>,
    /// Whether the server is ready only with it.
    pub is_wanted: bool,
    /// Why no version could be loaded.
    pub problem: Option<String>,
}

/// A version of a model.
#[derive(Default)]
pub struct Version {
    pub model: Option<Arc<Model>>,
    /// Of the files that `model` was loaded from.
    pub signature: Signature,
    pub is_loading: bool,
    /// Why it is not ready, or why another file has not replaced it.
    pub reason: String,
    /// The model that was here before.
    pub retired: Weak<Model>,
}

impl Version {
    pub fn state(&self) -> State {
        match &self.model {
            Some(_) => State::Ready,
            None if self.is_loading => State::Loading,
            None if self.retired.strong_count() > 0 => State::Unloading,
            None => State::Unavailable,
        }
    }

    /// Puts `model` in place of the one that is there, and returns that.
    pub fn replace(&mut self, model: Arc<Model>, signature: Signature) -> Option<Arc<Model>> {
        let old = self.model.replace(model);
        let retired = old.as_ref().map(Arc::downgrade).unwrap_or_default();
        *self = Self { model: self.model.take(), signature, retired, ..Self::default() };
        old
    }

    /// Notes that loading failed; a model that is there stays.
    pub fn fail(&mut self, problem: &str) {
        self.is_loading = false;
        self.reason = match &self.model {
            Some(_) => format!("not replaced: {problem}"),
            None => problem.to_owned(),
        };
    }

    /// Takes the model out.
    pub fn unload(&mut self) -> Option<Arc<Model>> {
        let model = self.model.take()?;
        *self = Self { retired: Arc::downgrade(&model), reason: UNLOADED.into(), ..Self::default() };
        Some(model)
    }
}

impl Entry {
    /// The newest version that is ready.
    pub fn newest(&self) -> Option<&Arc<Model>> {
        self.versions.values().rev().find_map(|version| version.model.as_ref())
    }

    /// Whether a version is ready.
    pub fn is_ready(&self) -> bool {
        self.newest().is_some()
    }

    /// Whether a version is being loaded.
    pub fn is_loading(&self) -> bool {
        self.versions.values().any(|version| version.is_loading)
    }
}
