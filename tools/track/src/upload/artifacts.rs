//! Artifacts of a run: files of the run folder, and its ONNX file as a model.

use super::Uploader;
use crate::{
    mlflow::{self, Artifact, ArtifactStore, milliseconds, names},
    model::{self, Model},
    spool::RunState,
};
use anyhow::anyhow;
use globset::GlobSet;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

impl Uploader {
    /// Sends the artifacts of the run folder, and the model. Files that were sent before are not sent again.
    pub(super) fn upload_artifacts(&mut self) -> mlflow::Result<()> {
        let Some(run) = &self.state.run else { return Ok(()) };
        let folder = run.folder.path.clone();
        if !folder.is_dir() {
            return self.missing_folder(run);
        }
        if !run.folder.exists {
            if !self.artifacts.is_empty() {
                let reason = "not the folder of this run: its events.ndjson is missing or of another run";
                cli::note(&format!("{}: {reason}; no artifacts are sent", folder.display()));
            }
            return Ok(());
        }
        let Matches { files, outside } = Matches::in_folder(&folder, &self.artifacts);
        let Some(store) = ArtifactStore::of(&run.info, self.settings.artifact_root.as_deref()) else {
            if !files.is_empty() {
                warn_of_store(&run.info.artifact_uri);
            }
            return Ok(());
        };
        self.warn_of_links(&outside);
        for (path, name) in files {
            self.send(&store, Artifact::File(&path), name)?;
        }
        self.send_model(&store)
    }

    /// An error if the run folder existed at the start of the run; else the artifacts are on another machine, and a
    /// warning is enough.
    fn missing_folder(&self, run: &RunState) -> mlflow::Result<()> {
        let folder = run.folder.path.display();
        if self.artifacts.is_empty() {
            return Ok(());
        }
        if run.folder.exists {
            let hint = "restore it, or send no artifacts with artifacts=[]";
            return Err(anyhow!("{folder}: the run folder is missing, and its artifacts are not sent; {hint}").into());
        }
        cli::note(&format!("{folder}: no such run folder; no artifacts are sent"));
        Ok(())
    }

    /// Warns, once, of links out of the run folder.
    fn warn_of_links(&mut self, outside: &[PathBuf]) {
        let Some(first) = outside.first().filter(|_| !self.warned_of_links) else { return };
        let more = if outside.len() > 1 { format!(" and {} more", outside.len() - 1) } else { String::new() };
        let reason = "not sent: a link out of the run folder; replace it by the file to send it";
        cli::note(&format!("{}{more}: {reason}", first.display()));
        self.warned_of_links = true;
    }

    fn send(&mut self, store: &ArtifactStore, from: Artifact, name: String) -> mlflow::Result<()> {
        let Some(run) = &mut self.state.run else { return Ok(()) };
        if !run.uploaded.contains(&name) {
            self.server.log_artifact(store, from, &name, self.settings.upload_timeout.0)?;
            run.uploaded.push(name);
            self.spool.save(&self.state)?;
        }
        Ok(())
    }

    /// The path of the ONNX file `tracking.model`, if it exists.
    fn onnx_path(&self) -> Option<PathBuf> {
        let folder = &self.state.run.as_ref()?.folder.path;
        target_within(folder, &folder.join(&self.settings.model)).filter(|path| path.is_file())
    }

    fn send_model(&mut self, store: &ArtifactStore) -> mlflow::Result<()> {
        let (Some(path), Some(run)) = (self.onnx_path(), &self.state.run) else { return Ok(()) };
        if self.artifacts.is_empty() && self.settings.registered_model.is_none() {
            return Ok(());
        }
        let model = Model::read(&path, &run.info.run_id, milliseconds(run.time), &self.settings)?;
        let history = mlflow::pair("mlflow.log-model.history", &model.history.to_string());
        self.server.log_pairs(&run.info.run_id, "tags", &[history])?;
        let name = |file: &str| format!("{}/{file}", model::FOLDER);
        self.send(store, Artifact::File(&path), name(model::DATA))?;
        for (file, bytes) in model.files {
            self.send(store, Artifact::Bytes(bytes), name(file))?;
        }
        Ok(())
    }

    /// Registers the model of the run as a version of `tracking.registered_model`, if that is set.
    pub(super) fn register_model(&self) -> mlflow::Result<()> {
        let (Some(model), Some(run)) = (&self.settings.registered_model, &self.state.run) else { return Ok(()) };
        if run.uploaded.iter().any(|name| Path::new(name).starts_with(model::FOLDER)) {
            return self.server.register(model, &run.info, model::FOLDER);
        }
        let (folder, file) = (run.folder.path.display(), &self.settings.model);
        let problem = format!("{folder}/{file}: not logged as a model, and {model:?} got no version of it");
        Err(anyhow!("{problem}; if it does not exist, create it with: pipegrad export {folder}").into())
    }
}

fn warn_of_store(uri: &str) {
    let uri = cli::redacted(&names::run_name(uri));
    let reason = "only a client of that store can write to it";
    let hint = "run the server with --serve-artifacts, or give its folder on this machine as artifact_root=";
    cli::note(&format!("{uri}: artifacts not sent: {reason}; {hint}"));
}

/// The files of a run folder that match the patterns.
#[derive(Default)]
struct Matches {
    /// The path of each, links resolved, and its name below the folder, sorted by name.
    files: Vec<(PathBuf, String)>,
    /// Links out of the folder. They are not sent: a run folder from elsewhere could name any file of the user's.
    outside: Vec<PathBuf>,
}

impl Matches {
    fn in_folder(folder: &Path, patterns: &GlobSet) -> Self {
        let mut matches = Self::default();
        for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok) {
            let path = entry.path();
            let Ok(name) = path.strip_prefix(folder) else { continue };
            if !patterns.is_match(name) || !path.is_file() {
                continue;
            }
            match target_within(folder, path) {
                Some(target) => {
                    let components: Vec<_> = name.iter().map(|component| component.to_string_lossy()).collect();
                    matches.files.push((target, components.join("/")));
                }
                None => matches.outside.push(path.to_owned()),
            }
        }
        matches
    }
}

/// `path` with links resolved; None if that is not in `folder`.
fn target_within(folder: &Path, path: &Path) -> Option<PathBuf> {
    let (folder, target) = (folder.canonicalize().ok()?, path.canonicalize().ok()?);
    target.starts_with(folder).then_some(target)
}
