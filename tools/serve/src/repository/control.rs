//! Who may change what is served: nobody, the files, or clients.

use super::{Found, Repository};
use crate::{
    error::{Error, Result},
    log::{self, Level},
    signature::Signature,
};
use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
};
use tokio::sync::oneshot;

/// In `serve.load_models`: every model.
pub const EVERY: &str = "*";
/// The parameter of a load request that stands for `config.pbtxt`.
const CONFIG: &str = "config";
/// What the names of parameters begin with that would replace files.
const FILE: &str = "file:";

/// How the set of models changes while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// It does not: every model is loaded at the start.
    None,
    /// As the files of the repository do.
    Poll,
    /// As clients ask for.
    Explicit,
}

/// How the models of the start fared.
pub type Started = oneshot::Receiver<anyhow::Result<()>>;

impl Repository {
    /// Loads the models of the start, and then looks for changes if it is to, on a thread of its own.
    ///
    /// # Errors
    /// When the system has no thread to give. What is received is an error if a model cannot be loaded and the server is
    /// to end then.
    pub fn start(self: &Arc<Self>) -> anyhow::Result<Started> {
        let (sender, started) = oneshot::channel();
        let repository = Arc::clone(self);
        let work = move || {
            let mut seen = Seen::default();
            let result = repository.load_at_start(&mut seen);
            repository.is_started.store(result.is_ok(), Relaxed);
            // Nobody listens any more if the server ends.
            let _ = sender.send(result);
            if repository.settings.model_control == Control::Poll {
                repository.poll_for_ever(&mut seen);
            }
        };
        thread::Builder::new().name("repository".into()).spawn(work).context("cannot start a thread for models")?;
        Ok(started)
    }

    fn load_at_start(&self, seen: &mut Seen) -> anyhow::Result<()> {
        let all = self.scan()?;
        let is_explicit = self.settings.model_control == Control::Explicit;
        let named = |name: &String| self.settings.load_models.iter().any(|it| it == name || it == EVERY);
        let found: Vec<Found> = all.into_values().filter(|found| !is_explicit || named(&found.name)).collect();
        for found in &found {
            self.entries_mut().entry(found.name.clone()).or_default().is_wanted = true;
        }
        let ends = self.settings.exit_on_error && self.settings.model_control != Control::Poll;
        for found in &found {
            seen.note(found);
            let loaded = self.load_found(found, None);
            if ends {
                loaded?;
            } else if let Err(problem) = loaded {
                log_failure(&found.name, &problem);
            }
        }
        Ok(())
    }

    fn poll_for_ever(&self, seen: &mut Seen) -> ! {
        loop {
            thread::sleep(self.settings.poll_period());
            self.poll(seen);
        }
    }

    /// Loads what is new or has changed, and unloads what is gone.
    fn poll(&self, seen: &mut Seen) {
        let all = match self.scan() {
            Ok(all) => all,
            Err(problem) => return seen.complain(cli::describe(&problem)),
        };
        seen.problem = None;
        for found in all.values() {
            if !seen.note(found) {
                continue;
            }
            if let Err(problem) = self.load_found(found, None) {
                log_failure(&found.name, &problem);
            }
        }
        let gone: Vec<String> = seen.models.keys().filter(|name| !all.contains_key(*name)).cloned().collect();
        for name in gone {
            seen.models.remove(&name);
            self.unload_all_versions(&name);
            self.entries_mut().remove(&name);
        }
    }

    /// Loads or reloads a model for a client. `parameters` are those of the request: `config` is a configuration in JSON
    /// in place of `config.pbtxt`. Blocks for as long as it takes.
    ///
    /// # Errors
    /// When clients may not, there is no such model, or it cannot be loaded.
    pub fn load(&self, name: &str, parameters: &BTreeMap<String, String>) -> Result<()> {
        self.check_explicit()?;
        if let Some(other) = parameters.keys().find(|key| *key != CONFIG) {
            let what =
                if other.starts_with(FILE) { "files are read from the repository only" } else { "not supported" };
            return Err(Error::Unsupported(format!("failed to load '{name}', parameter '{other}': {what}")));
        }
        let all = self
            .scan()
            .map_err(|problem| Error::Internal(format!("failed to load '{name}', {}", cli::describe(&problem))))?;
        let unknown = || Error::Internal(format!("failed to load '{name}', failed to poll from model repository"));
        let found = all.get(name).ok_or_else(unknown)?;
        let given = parameters.get(CONFIG).map(String::as_str);
        self.load_found(found, given).map_err(|problem| {
            log_failure(name, &problem);
            Error::Invalid(cli::describe(&problem))
        })
    }

    /// Unloads a model for a client; one that is not loaded stays so.
    ///
    /// # Errors
    /// When clients may not.
    pub fn unload(&self, name: &str) -> Result<()> {
        self.check_explicit()?;
        self.unload_all_versions(name);
        Ok(())
    }

    fn check_explicit(&self) -> Result<()> {
        match self.settings.model_control {
            Control::Explicit => Ok(()),
            Control::None | Control::Poll => Err(Error::Unavailable(
                "explicit model load / unload is not allowed: the server runs without --model-control explicit".into(),
            )),
        }
    }
}

/// The index has it too.
fn log_failure(name: &str, problem: &anyhow::Error) {
    log::write(Level::Error, "model_failed", json!({ "model": name, "error": cli::describe(problem) }));
}

/// What polling has seen.
#[derive(Default)]
struct Seen {
    /// The files of each model when it was loaded last, or failed to.
    models: BTreeMap<String, BTreeMap<u64, Signature>>,
    /// Why the repository could not be read.
    problem: Option<String>,
}

impl Seen {
    /// Whether the model is new, or other than when it was seen last.
    fn note(&mut self, found: &Found) -> bool {
        let signature = found.signatures();
        let old = self.models.insert(found.name.clone(), signature.clone());
        old.is_none_or(|old| old != signature)
    }

    /// Notes a problem once.
    fn complain(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            log::write(Level::Error, "repository", json!({ "error": problem }));
            self.problem = Some(problem);
        }
    }
}
