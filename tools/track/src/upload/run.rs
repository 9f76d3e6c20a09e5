//! Creating, finding and ending runs on the server.

use super::Uploader;
use crate::{
    describe,
    mlflow::{self, Error, GROUP_FOLDER_TAG, GROUP_TAG, IDENTITY_TAG, NewRun, RUN_TAG, RunInfo, milliseconds, names},
    sinks,
    spool::{RunState, State},
};
use events::{Start, Status};
use std::{
    io::{self, IsTerminal},
    mem,
    path::Path,
};

impl Uploader {
    /// Starts the run whose start event ends at byte `position`, or continues it.
    pub(super) fn start_run(&mut self, start: &Start, position: u64) -> mlflow::Result<()> {
        if self.state.run.as_ref().is_some_and(|run| run.start != position) {
            self.end_run(false)?;
        }
        if self.state.run.is_none() {
            self.state.run = Some(self.find_or_create_run(start, position)?);
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

    fn find_or_create_run(&mut self, start: &Start, position: u64) -> mlflow::Result<RunState> {
        let experiment_id = &self.server.experiment(&self.settings.experiment)?;
        let folder = self.spool.run_folder(self.state.runs, start)?;
        let again = mem::replace(&mut self.state.creating, true);
        self.spool.save(&self.state)?;
        let parent = match &self.settings.parent_run {
            None if self.settings.group => Some(self.group_run(experiment_id, &folder.path)?),
            parent => parent.clone(),
        };
        let (spool_tag, identity) = (self.spool_tag(), self.identity(start));
        let (spool_tag, identity) = ((RUN_TAG, spool_tag.as_str()), (IDENTITY_TAG, identity.as_str()));
        let found = if again { self.server.find_runs(experiment_id, spool_tag)?.into_iter().next() } else { None };
        let found = match found {
            None => self.server.find_runs(experiment_id, identity)?.into_iter().next(),
            found => found,
        };
        let info = match found {
            Some(info) => info,
            None => {
                let name = &names::run_name(self.settings.run_name.as_deref().unwrap_or(&start.name));
                let start_time = milliseconds(start.time);
                let tags = &[identity];
                self.server.create_run(&NewRun { experiment_id, name, start_time, unique_tag: spool_tag, tags })?
            }
        };
        self.state.creating = false;
        if io::stderr().is_terminal() {
            let (server, run) = (self.server.address(), &info.run_id);
            cli::note(&format!("{server}/#/experiments/{experiment_id}/runs/{run}"));
        }
        let (status, uploaded) = (None, Vec::new());
        let identity = sinks::identity(start);
        let count = self.state.last.take().filter(|(last, _)| *last == identity).map_or(0, |(_, count)| count);
        self.state.last = Some((identity, count + 1));
        Ok(RunState { info, parent, start: position, folder, status, time: start.time, duplicates: again, uploaded })
    }

    /// The value of [`IDENTITY_TAG`]: the same whenever the log is sent. If a log repeats a start event, each repetition
    /// is a run of its own.
    fn identity(&self, start: &Start) -> String {
        let identity = sinks::identity(start);
        match &self.state.last {
            Some((last, count)) if *last == identity => format!("{identity}/{count}"),
            _ => identity,
        }
    }

    /// The value of [`RUN_TAG`] of the current run or, between runs, of the next one.
    fn spool_tag(&self) -> String {
        format!("{}/{}", self.state.id, self.state.runs)
    }

    /// The id of the parent of all runs whose folders are side by side with `run_dir`. If several clients create it at
    /// once, the oldest is used.
    fn group_run(&self, experiment_id: &str, run_dir: &Path) -> mlflow::Result<String> {
        let group = Group::of(run_dir);
        let start_time = milliseconds(events::now());
        let unique_tag = (GROUP_TAG, group.digest.as_str());
        let tags = &[(GROUP_FOLDER_TAG, group.folder.as_str())];
        self.server.group_run(&NewRun { experiment_id, name: &group.name, start_time, unique_tag, tags })
    }

    /// Uploads the artifacts of the current run, if there is one, and sets its status. A run without an end event is
    /// `KILLED` if a signal ended `track`, else `FAILED`.
    pub(super) fn end_run(&mut self, killed: bool) -> mlflow::Result<()> {
        let Some(run) = &self.state.run else { return Ok(()) };
        let interrupted = if killed { Status::Killed } else { Status::Failed };
        let status = run.status.unwrap_or(interrupted);
        let mut uploaded = self.upload_artifacts();
        if uploaded.is_ok() && status == Status::Finished {
            uploaded = self.register_model();
        }
        if matches!(uploaded, Err(Error::Unavailable(_))) {
            return uploaded;
        }
        if let Some(run) = &self.state.run {
            self.server.end_run(&run.info.run_id, status, milliseconds(run.time))?;
            if run.duplicates {
                self.delete_duplicates(run)?;
            }
        }
        // The status is set even if an upload was refused; --resume repeats the upload.
        uploaded?;
        let State { id, position, runs, last, .. } = mem::take(&mut self.state);
        self.state = State { id, position, runs: runs + 1, last, ..State::default() };
        Ok(self.spool.save(&self.state)?)
    }

    /// Deletes runs that the server created for requests whose response was lost. A duplicate of the parent run is
    /// ended instead of deleted: another run may already use it as its parent.
    fn delete_duplicates(&self, run: &RunState) -> mlflow::Result<()> {
        let RunInfo { experiment_id, run_id, .. } = &run.info;
        for duplicate in self.server.find_runs(experiment_id, (RUN_TAG, &self.spool_tag()))? {
            if duplicate.run_id != *run_id {
                self.server.delete_run(&duplicate.run_id)?;
            }
        }
        let Some(parent) = run.parent.as_ref().filter(|_| self.settings.group) else { return Ok(()) };
        for duplicate in self.server.find_runs(experiment_id, (GROUP_TAG, &Group::of(&run.folder.path).digest))? {
            if duplicate.run_id != *parent {
                self.server.end_run(&duplicate.run_id, Status::Finished, milliseconds(run.time))?;
            }
        }
        Ok(())
    }
}

/// The runs whose folders are in the same folder.
struct Group {
    folder: String,
    name: String,
    /// SHA-256 of the path: the server's filters cannot hold every character of a path.
    digest: String,
}

impl Group {
    fn of(run_dir: &Path) -> Self {
        let folder = run_dir.parent().unwrap_or(run_dir);
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let digest = files::sha256(folder.as_os_str().as_encoded_bytes());
        Self { folder: folder.to_string_lossy().into_owned(), name, digest }
    }
}
