//! Bringing a spool to the server, from where its state says to its end.
//!
//! Every step may be cut off and done again. Metrics that the server has are not doubled: it knows them by
//! key, step, time and value, all of which come from the event. A run whose creation was not answered is
//! looked for by a tag before another is created; should both come to be, one of them is deleted at the end.
//! The state moves on only after an answer.

use crate::{
    describe,
    lines::Lines,
    mlflow::{
        self, Answer, Client, Failure, GROUP_FOLDER_TAG, GROUP_TAG, MAX_METRICS, NewRun, RUN_TAG, RunInfo, Store,
        milliseconds, names,
    },
    settings::Settings,
    spool::{RunState, Spool, State},
};
use anyhow::Context;
use events::{Event, Start, Status};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;
use std::{
    io::{self, IsTerminal, Seek, SeekFrom},
    mem,
    path::{self, Path},
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
        Ok(Self { spool, settings, server, artifacts: artifacts.build()?, state, metrics: Vec::new() })
    }

    /// Sends what there is. Once the input has `ended`, brings the last run to its end, too.
    pub fn advance(&mut self, ended: bool) -> Answer<()> {
        self.metrics.clear();
        let mut read = self.state.position;
        let mut log = self.spool.reader()?;
        log.seek(SeekFrom::Start(read)).context("the spool")?;
        let mut lines = Lines::new(log);
        while let Some(piece) = lines.next().context("the spool")? {
            // The rest of the line is still to come.
            if !piece.ends() && !ended {
                break;
            }
            let before = read;
            read += piece.bytes.len() as u64;
            match piece.text().and_then(|text| Event::from_line(text).ok().flatten()) {
                Some(Event::Start(start)) => {
                    self.flush(before)?;
                    self.start(&start, read)?;
                }
                Some(event) => self.take(&event),
                None => {}
            }
            if self.metrics.len() >= MAX_METRICS {
                self.flush(read)?;
            }
        }
        self.flush(read)?;
        if ended { self.close(self.spool.was_killed()) } else { Ok(()) }
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

    /// Creates the run, or finds the one that was created without our knowing.
    fn create(&mut self, start: &Start, position: u64) -> Answer<RunState> {
        let experiment_id = &self.server.experiment(&self.settings.experiment)?;
        let run_dir = path::absolute(&start.run_dir).with_context(|| format!("run_dir {:?}", start.run_dir))?;
        let again = mem::replace(&mut self.state.creating, true);
        self.spool.save(&self.state)?;
        let parent = match &self.settings.parent_run {
            None if self.settings.group => Some(self.group(experiment_id, &run_dir)?),
            parent => parent.clone(),
        };
        let mark = self.mark();
        let mark = (RUN_TAG, mark.as_str());
        let found = if again { self.server.find_runs(experiment_id, mark)?.into_iter().next() } else { None };
        let info = match found {
            Some(info) => info,
            None => {
                let name = self.settings.run_name.as_deref().unwrap_or(&start.name);
                let start_time = milliseconds(start.time);
                self.server.create_run(&NewRun { experiment_id, name, start_time, mark, tags: &[] })?
            }
        };
        self.state.creating = false;
        if io::stderr().is_terminal() {
            let (server, run) = (self.server.address(), &info.run_id);
            cli::complain("track", &format!("{server}/#/experiments/{experiment_id}/runs/{run}"));
        }
        let (status, uploaded) = (None, Vec::new());
        Ok(RunState { info, parent, start: position, run_dir, status, time: start.time, twins: again, uploaded })
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
        let State { id, position, runs, .. } = mem::take(&mut self.state);
        self.state = State { id, position, runs: runs + 1, ..State::default() };
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
        for twin in self.server.find_runs(experiment_id, (GROUP_TAG, &Group::of(&run.run_dir).mark))? {
            if twin.run_id != *parent {
                self.server.end_run(&twin.run_id, word(Status::Finished), milliseconds(run.time))?;
            }
        }
        Ok(())
    }

    fn upload(&mut self) -> Answer<()> {
        let Some(run) = &mut self.state.run else { return Ok(()) };
        let names = chosen(&run.run_dir, &self.artifacts);
        let Some(store) = Store::of(&run.info) else {
            if !names.is_empty() {
                let uri = &run.info.artifact_uri;
                let what =
                    "not kept: only a client of that store can write there; run the server with --serve-artifacts";
                cli::complain("track", &format!("{uri}: artifacts {what}"));
            }
            return Ok(());
        };
        for name in names {
            let Some(run) = &mut self.state.run else { break };
            if run.uploaded.contains(&name) {
                continue;
            }
            self.server.log_artifact(&store, &run.run_dir.join(&name), &name, self.settings.upload_timeout.0)?;
            run.uploaded.push(name);
            self.spool.save(&self.state)?;
        }
        Ok(())
    }

    fn register(&self) -> Answer<()> {
        match (&self.settings.registered_model, &self.state.run) {
            (Some(model), Some(run)) => self.server.register(model, &run.info),
            _ => Ok(()),
        }
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
        let mark = names::digest(folder.as_os_str().as_encoded_bytes());
        Self { folder: folder.to_string_lossy().into_owned(), name, mark }
    }
}

/// The files of the run folder that are artifacts, by name, in order.
fn chosen(folder: &Path, artifacts: &GlobSet) -> Vec<String> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    // Followed, where it is a link: DVC may keep what it tracks elsewhere.
    let files = files.filter(|entry| entry.path().is_file());
    let names = files.filter_map(|entry| {
        let name = entry.path().strip_prefix(folder).ok()?;
        artifacts.is_match(name).then(|| name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
    });
    names.collect()
}

/// MLflow's word.
fn word(status: Status) -> &'static str {
    match status {
        Status::Finished => "FINISHED",
        Status::Failed => "FAILED",
        Status::Killed => "KILLED",
    }
}
