//! Bringing a spool to the server, from where its state says to its end.
//!
//! Every step may be cut off and done again. Metrics that the server has are not doubled: it knows them by
//! key, step, time and value, all of which come from the event. A run whose creation was not answered is
//! looked for by a tag before another is created. The state moves on only after an answer.

use crate::{
    describe,
    lines::Lines,
    mlflow::{self, Answer, Client, Failure, GROUP_TAG, MAX_METRICS, NewRun, RUN_TAG, Store, milliseconds},
    settings::Settings,
    spool::{RunState, Spool, State},
};
use anyhow::Context;
use events::{Event, Start, Status};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;
use std::{
    io::{self, IsTerminal, Seek, SeekFrom},
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
        let start_time = milliseconds(start.time);
        let parent = match &self.settings.parent_run {
            None if self.settings.group => Some(self.group(experiment_id, &run_dir, start_time)?),
            parent => parent.clone(),
        };
        let mark = format!("{}/{}", self.spool.id(), self.state.runs);
        let mark = (RUN_TAG, mark.as_str());
        let mut found = None;
        if self.state.creating {
            found = self.server.find_runs(experiment_id, mark)?.into_iter().next();
        }
        let info = match found {
            Some(info) => info,
            None => {
                self.state.creating = true;
                self.spool.save(&self.state)?;
                let name = self.settings.run_name.as_deref().unwrap_or(&start.name);
                self.server.create_run(&NewRun { experiment_id, name, start_time, mark })?
            }
        };
        self.state.creating = false;
        if io::stderr().is_terminal() {
            let (server, run) = (self.server.address(), &info.run_id);
            cli::complain("track", &format!("{server}/#/experiments/{experiment_id}/runs/{run}"));
        }
        let (status, uploaded) = (None, Vec::new());
        Ok(RunState { info, parent, start: position, run_dir, status, time: start.time, uploaded })
    }

    /// The run of all runs whose folders are beside this one.
    fn group(&self, experiment_id: &str, run_dir: &Path, start_time: i64) -> Answer<String> {
        let folder = run_dir.parent().unwrap_or(run_dir);
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        let mark = folder.to_string_lossy();
        self.server.group_run(&NewRun { experiment_id, name: &name, start_time, mark: (GROUP_TAG, &mark) })
    }

    /// Brings the current run, if there is one, to its end. Without an end event it was cut off.
    fn close(&mut self, killed: bool) -> Answer<()> {
        let kept = self.upload().and_then(|()| self.register());
        if matches!(kept, Err(Failure::Unreachable(_))) {
            return kept;
        }
        let Some(run) = &self.state.run else { return Ok(()) };
        let status = run.status.as_deref().unwrap_or(word(if killed { Status::Killed } else { Status::Failed }));
        self.server.end_run(&run.info.run_id, status, milliseconds(run.time))?;
        // What was refused can be tried again with --resume; how the run ended is known by now.
        kept?;
        self.state = State { position: self.state.position, runs: self.state.runs + 1, ..State::default() };
        Ok(self.spool.save(&self.state)?)
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
