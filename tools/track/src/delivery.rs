//! Bringing a spool to the server, from where its state says to its end.
//!
//! Every step may be cut off and done again. Metrics that the server has are not doubled: it knows them by
//! key, step, time and value, all of which come from the event. A run is looked for by what its start event says
//! before it is created, since its log may have been sent before, and by a tag of the spool where its creation was not
//! answered; should two come to be, one of them is deleted at the end.
//! The state moves on only after an answer.

use crate::{
    describe, files,
    lines::Lines,
    mlflow::{
        self, Answer, Artifact, Client, Failure, GROUP_FOLDER_TAG, GROUP_TAG, IDENTITY_TAG, MAX_METRICS, NewRun,
        RUN_TAG, RunInfo, Store, milliseconds, names,
    },
    model::{self, Model},
    settings::Settings,
    spool::{RunState, Spool, State},
};
use anyhow::{Context, anyhow};
use events::{Event, Start, Status};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;
use std::{
    io::{self, IsTerminal},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};
use walkdir::WalkDir;

/// A spool on its way to a server.
pub struct Delivery {
    spool: Arc<Spool>,
    settings: Settings,
    server: Client,
    artifacts: GlobSet,
    state: State,
    /// Metrics that were read and not sent yet: at most a batch, and an event's more.
    metrics: Vec<Value>,
    /// Whether it was told that links which lead out of the run folder are left out.
    told_of_links: bool,
}

impl Delivery {
    /// # Errors
    /// When the settings name no server, or a pattern is none.
    pub fn new(spool: Arc<Spool>, settings: Settings) -> anyhow::Result<Self> {
        let mut artifacts = GlobSetBuilder::new();
        for pattern in &settings.artifacts {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            artifacts.add(glob.context("tracking.artifacts")?);
        }
        let (server, state) = (Client::new(&settings)?, spool.state()?);
        Ok(Self {
            spool,
            settings,
            server,
            artifacts: artifacts.build()?,
            state,
            metrics: Vec::new(),
            told_of_links: false,
        })
    }

    /// Sends what there is. Once the input has `ended`, brings the last run to its end, too.
    pub fn advance(&mut self, ended: bool) -> Answer<()> {
        self.metrics.clear();
        let mut read = self.state.position;
        let mut lines = Lines::new(self.spool.reader(read)?);
        while let Some(piece) = lines.next().context("the spool")? {
            // The rest of the line is still to come.
            if !piece.ends() && !ended {
                break;
            }
            let before = read;
            read += piece.bytes.len() as u64;
            if piece.is_blank() {
                continue;
            }
            match piece.text().map(Event::from_line) {
                Some(Ok(Some(Event::Start(start)))) => {
                    self.flush(before)?;
                    self.start(&start, read)?;
                }
                Some(Ok(Some(event))) if self.state.run.is_some() => self.take(&event),
                // A kind that a later version wrote.
                Some(Ok(None)) => {}
                // What a killed writer left of its last line.
                _ if !piece.ends() => {
                    cli::note(&format!("{}: its last line was cut off: passed over", self.log()));
                }
                _ => {
                    self.flush(before)?;
                    let what = "damaged: no event of a run; it and what is behind it stay";
                    return Err(anyhow!("{}: byte {before}: {what}", self.log()).into());
                }
            }
            if self.metrics.len() >= MAX_METRICS {
                self.flush(read)?;
            }
        }
        self.flush(read)?;
        if ended { self.close(self.spool.was_killed()) } else { Ok(()) }
    }

    /// Runs that are done with.
    pub fn runs(&self) -> usize {
        self.state.runs
    }

    /// What messages call the events.
    fn log(&self) -> String {
        self.spool.folder().join("events.ndjson").display().to_string()
    }

    /// Takes an event of the current run into account. One that belongs to no run is passed over.
    fn take(&mut self, event: &Event) {
        let Some(run) = &mut self.state.run else { return };
        run.time = event.time();
        if let Event::End(end) = event {
            run.status = Some(word(end.status).to_owned());
        }
        if let Some((step, metrics)) = event.metrics() {
            self.metrics.extend(metrics.iter().map(|(name, value)| mlflow::metric(name, value, step, event.time())));
        }
    }

    /// Sends the metrics that were read; then all up to `position` is done.
    fn flush(&mut self, position: u64) -> Answer<()> {
        if position == self.state.position {
            return Ok(());
        }
        if let Some(run) = &self.state.run {
            self.server.log_metrics(&run.info.run_id, &self.metrics)?;
        }
        self.metrics.clear();
        self.state.position = position;
        Ok(self.spool.save(&self.state)?)
    }

    /// Begins a run, whose start event ends at `position`.
    fn start(&mut self, start: &Start, position: u64) -> Answer<()> {
        if self.state.run.as_ref().is_some_and(|run| run.start != position) {
            self.close(false)?;
        }
        if self.state.run.is_none() {
            self.state.run = Some(self.create(start, position)?);
            self.spool.save(&self.state)?;
        }
        if let Some(run) = &self.state.run {
            let id = &run.info.run_id;
            self.server.log_pairs(id, "params", &describe::params(start))?;
            self.server.log_pairs(id, "tags", &describe::tags(start, &self.settings, run.parent.as_deref()))?;
            self.server.log_dataset(id, &describe::dataset(start))?;
        }
        self.state.position = position;
        Ok(self.spool.save(&self.state)?)
    }

    /// Creates the run, or finds the one that was created without our knowing, or when its log was sent before.
    fn create(&mut self, start: &Start, position: u64) -> Answer<RunState> {
        let experiment_id = &self.server.experiment(&self.settings.experiment)?;
        let folder = self.spool.run_folder(self.state.runs, start)?;
        let again = mem::replace(&mut self.state.creating, true);
        self.spool.save(&self.state)?;
        let parent = match &self.settings.parent_run {
            None if self.settings.group => Some(self.group(experiment_id, &folder.path)?),
            parent => parent.clone(),
        };
        let (mark, identity) = (self.mark(), self.identity(start));
        let (mark, identity) = ((RUN_TAG, mark.as_str()), (IDENTITY_TAG, identity.as_str()));
        let found = if again { self.server.find_runs(experiment_id, mark)?.into_iter().next() } else { None };
        let found = match found {
            None => self.server.find_runs(experiment_id, identity)?.into_iter().next(),
            found => found,
        };
        let info = match found {
            Some(info) => info,
            None => {
                let name = &names::run_name(self.settings.run_name.as_deref().unwrap_or(&start.name));
                let start_time = milliseconds(start.time);
                self.server.create_run(&NewRun { experiment_id, name, start_time, mark, tags: &[identity] })?
            }
        };
        self.state.creating = false;
        if io::stderr().is_terminal() {
            let (server, run) = (self.server.address(), &info.run_id);
            cli::note(&format!("{server}/#/experiments/{experiment_id}/runs/{run}"));
        }
        let (status, uploaded) = (None, Vec::new());
        let identity = files::identity(start);
        let count = self.state.last.take().filter(|(last, _)| *last == identity).map_or(0, |(_, count)| count);
        self.state.last = Some((identity, count + 1));
        Ok(RunState { info, parent, start: position, folder, status, time: start.time, twins: again, uploaded })
    }

    /// What a run is known by whenever its log is sent. A log may hold the same start event twice: each is a run.
    fn identity(&self, start: &Start) -> String {
        let identity = files::identity(start);
        match &self.state.last {
            Some((last, count)) if *last == identity => format!("{identity}/{count}"),
            _ => identity,
        }
    }

    /// What the current run, or the next, is known by.
    fn mark(&self) -> String {
        format!("{}/{}", self.state.id, self.state.runs)
    }

    /// The run of all runs whose folders are beside this one. The oldest counts, so it begins now.
    fn group(&self, experiment_id: &str, run_dir: &Path) -> Answer<String> {
        let group = Group::of(run_dir);
        let (mark, tags) = ((GROUP_TAG, group.mark.as_str()), &[(GROUP_FOLDER_TAG, group.folder.as_str())]);
        let start_time = milliseconds(events::now());
        self.server.group_run(&NewRun { experiment_id, name: &group.name, start_time, mark, tags })
    }

    /// Brings the current run, if there is one, to its end. Without an end event it was cut off.
    fn close(&mut self, killed: bool) -> Answer<()> {
        let Some(run) = &self.state.run else { return Ok(()) };
        let cut_off = if killed { Status::Killed } else { Status::Failed };
        let status = run.status.clone().unwrap_or_else(|| word(cut_off).to_owned());
        let mut kept = self.upload();
        if kept.is_ok() && status == word(Status::Finished) {
            kept = self.register();
        }
        if matches!(kept, Err(Failure::Unreachable(_))) {
            return kept;
        }
        if let Some(run) = &self.state.run {
            self.server.end_run(&run.info.run_id, &status, milliseconds(run.time))?;
            if run.twins {
                self.end_twins(run)?;
            }
        }
        // What was refused can be tried again with --resume; how the run ended is known by now.
        kept?;
        let State { id, position, runs, last, .. } = mem::take(&mut self.state);
        self.state = State { id, position, runs: runs + 1, last, ..State::default() };
        Ok(self.spool.save(&self.state)?)
    }

    /// Takes away what came of requests that the server carried out after we had given them up. Another run may
    /// have taken a twin of the parent for the parent, so that one stays.
    fn end_twins(&self, run: &RunState) -> Answer<()> {
        let RunInfo { experiment_id, run_id, .. } = &run.info;
        for twin in self.server.find_runs(experiment_id, (RUN_TAG, &self.mark()))? {
            if twin.run_id != *run_id {
                self.server.delete_run(&twin.run_id)?;
            }
        }
        let Some(parent) = run.parent.as_ref().filter(|_| self.settings.group) else { return Ok(()) };
        for twin in self.server.find_runs(experiment_id, (GROUP_TAG, &Group::of(&run.folder.path).mark))? {
            if twin.run_id != *parent {
                self.server.end_run(&twin.run_id, word(Status::Finished), milliseconds(run.time))?;
            }
        }
        Ok(())
    }

    /// Sends the files of the run folder that are artifacts, and the model. What was sent is not sent again.
    fn upload(&mut self) -> Answer<()> {
        let Some(run) = &self.state.run else { return Ok(()) };
        let folder = run.folder.path.clone();
        if !folder.is_dir() {
            return self.miss(run);
        }
        if !run.folder.there {
            if !self.artifacts.is_empty() {
                let what =
                    "not the folder of this run: its events.ndjson is of another, or none; no artifacts are sent";
                cli::note(&format!("{}: {what}", folder.display()));
            }
            return Ok(());
        }
        let Chosen { files: chosen, outside } = Chosen::of(&folder, &self.artifacts);
        let Some(store) = Store::of(&run.info, self.settings.artifact_root.as_deref()) else {
            if !chosen.is_empty() {
                self.tell_of_store(&run.info.artifact_uri);
            }
            return Ok(());
        };
        self.tell_of_links(&outside);
        for (path, name) in chosen {
            self.send(&store, Artifact::File(&path), name)?;
        }
        self.send_model(&store)
    }

    /// A run folder that has gone since is missed; of one that never was here, the artifacts are elsewhere.
    fn miss(&self, run: &RunState) -> Answer<()> {
        let folder = run.folder.path.display();
        if self.artifacts.is_empty() {
            return Ok(());
        }
        if run.folder.there {
            let hint = "bring it back, or leave its files out by artifacts=[]";
            return Err(anyhow!("{folder}: the run folder is gone, and its artifacts are not sent; {hint}").into());
        }
        cli::note(&format!("{folder}: no such run folder is here: no artifacts are sent"));
        Ok(())
    }

    /// Says once which files are left out.
    fn tell_of_links(&mut self, outside: &[PathBuf]) {
        let Some(first) = outside.first().filter(|_| !self.told_of_links) else { return };
        let more = if outside.len() > 1 { format!(", as {} more", outside.len() - 1) } else { String::new() };
        let what = "not sent: a link that leads out of the run folder; put the file itself there to keep it";
        cli::note(&format!("{}{more}: {what}", first.display()));
        self.told_of_links = true;
    }

    fn tell_of_store(&self, uri: &str) {
        let what = "not kept: only a client of that store can write there; run the server with --serve-artifacts, or \
                    name a folder of this machine by artifact_root=";
        cli::note(&format!("{}: artifacts {what}", cli::redacted(&names::run_name(uri))));
    }

    fn send(&mut self, store: &Store, from: Artifact, name: String) -> Answer<()> {
        let Some(run) = &mut self.state.run else { return Ok(()) };
        if !run.uploaded.contains(&name) {
            self.server.log_artifact(store, from, &name, self.settings.upload_timeout.0)?;
            run.uploaded.push(name);
            self.spool.save(&self.state)?;
        }
        Ok(())
    }

    /// The ONNX file that becomes a model, if it is there.
    fn onnx(&self) -> Option<PathBuf> {
        let folder = &self.state.run.as_ref()?.folder.path;
        target_within(folder, &folder.join(&self.settings.model)).filter(|path| path.is_file())
    }

    fn send_model(&mut self, store: &Store) -> Answer<()> {
        let (Some(path), Some(run)) = (self.onnx(), &self.state.run) else { return Ok(()) };
        if self.artifacts.is_empty() && self.settings.registered_model.is_none() {
            return Ok(());
        }
        let model = Model::of(&path, &run.info.run_id, milliseconds(run.time), &self.settings)?;
        let history = mlflow::pair("mlflow.log-model.history", &model.history.to_string());
        self.server.log_pairs(&run.info.run_id, "tags", &[history])?;
        let name = |file: &str| format!("{}/{file}", model::FOLDER);
        self.send(store, Artifact::File(&path), name(model::DATA))?;
        for (file, bytes) in model.files {
            self.send(store, Artifact::Bytes(bytes), name(file))?;
        }
        Ok(())
    }

    fn register(&self) -> Answer<()> {
        let (Some(model), Some(run)) = (&self.settings.registered_model, &self.state.run) else { return Ok(()) };
        if run.uploaded.iter().any(|name| Path::new(name).starts_with(model::FOLDER)) {
            return self.server.register(model, &run.info, model::FOLDER);
        }
        let (folder, file) = (run.folder.path.display(), &self.settings.model);
        let what = format!("{folder}/{file}: not kept as a model, and {model:?} has no version of it");
        Err(anyhow!("{what}; if it is not there, write it by: pipegrad export {folder}").into())
    }
}

/// Runs whose folders are beside each other.
struct Group {
    folder: String,
    name: String,
    /// A digest of the folder: the server's filters cannot hold every character that a path can.
    mark: String,
}

impl Group {
    fn of(run_dir: &Path) -> Self {
        let folder = run_dir.parent().unwrap_or(run_dir);
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let mark = ::files::sha256(folder.as_os_str().as_encoded_bytes());
        Self { folder: folder.to_string_lossy().into_owned(), name, mark }
    }
}

/// The files of a run folder that are artifacts.
#[derive(Default)]
struct Chosen {
    /// Where each is, all links followed, and its name, in order.
    files: Vec<(PathBuf, String)>,
    /// Links that lead out of the folder: whoever made the folder could name any file of the user's by them.
    outside: Vec<PathBuf>,
}

impl Chosen {
    fn of(folder: &Path, artifacts: &GlobSet) -> Self {
        let mut chosen = Self::default();
        for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok) {
            let path = entry.path();
            let Ok(name) = path.strip_prefix(folder) else { continue };
            if !artifacts.is_match(name) || !path.is_file() {
                continue;
            }
            match target_within(folder, path) {
                Some(target) => {
                    let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                    chosen.files.push((target, parts.join("/")));
                }
                None => chosen.outside.push(path.to_owned()),
            }
        }
        chosen
    }
}

/// Where `path` leads, all links followed; None where that is not in `folder`.
fn target_within(folder: &Path, path: &Path) -> Option<PathBuf> {
    let (folder, target) = (folder.canonicalize().ok()?, path.canonicalize().ok()?);
    target.starts_with(folder).then_some(target)
}

/// MLflow's word.
fn word(status: Status) -> &'static str {
    match status {
        Status::Finished => "FINISHED",
        Status::Failed => "FAILED",
        Status::Killed => "KILLED",
    }
}
