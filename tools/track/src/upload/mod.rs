//! Uploads the events of a spool to a tracking server, from the position in the spool's state to the end.
//!
//! Every step may be interrupted and repeated; the state is saved only after the server's response.
//!
//! - Metrics are identified on the server by key, step, time and value, all of which come from the event: repeating them
//!   adds nothing.
//! - Before a run is created, it is looked up by a digest of its start event, since its log may have been sent before,
//!   and, if an earlier request to create it got no response, by a tag of the spool. A duplicate that the server creates
//!   all the same is deleted at the end of the run.

mod artifacts;
mod run;
mod thread;

pub use thread::UploadThread;

use crate::{
    lines::Lines,
    mlflow::{self, Client, MAX_METRICS},
    settings::Settings,
    spool::{Spool, State},
};
use anyhow::{Context, anyhow};
use events::Event;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;
use std::sync::Arc;

/// Uploads one spool to one server.
pub struct Uploader {
    spool: Arc<Spool>,
    settings: Settings,
    server: Client,
    artifacts: GlobSet,
    state: State,
    /// Metrics that were read but not sent: at most [`MAX_METRICS`] and those of one event.
    metrics: Vec<Value>,
    /// Whether a warning about links out of the run folder was printed.
    warned_of_links: bool,
}

impl Uploader {
    /// # Errors
    /// If `tracking.uri` or a pattern of `tracking.artifacts` is not valid, or the spool's state cannot be read.
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
            warned_of_links: false,
        })
    }

    /// Sends the events that are in the spool; once the input has `ended`, also ends the last run.
    pub fn advance(&mut self, ended: bool) -> mlflow::Result<()> {
        self.metrics.clear();
        let mut position = self.state.position;
        let mut lines = Lines::new(self.spool.reader(position)?);
        while let Some(line) = lines.next().context("the spool")? {
            // The rest of the line is still being written.
            if !line.has_newline() && !ended {
                break;
            }
            let begin = position;
            position += line.bytes.len() as u64;
            if line.is_blank() {
                continue;
            }
            match line.text().map(Event::from_line) {
                Some(Ok(Some(Event::Start(start)))) => {
                    self.flush(begin)?;
                    self.start_run(&start, position)?;
                }
                Some(Ok(Some(event))) if self.state.run.is_some() => self.add(&event),
                // A kind of a later version.
                Some(Ok(None)) => {}
                // The writer was killed while writing the last line.
                _ if !line.has_newline() => {
                    cli::note(&format!("{}: the last line is cut off and is skipped", self.events_path()));
                }
                _ => {
                    self.flush(begin)?;
                    let damage = "damaged: not an event of a run; the events from there on are not sent, and stay";
                    return Err(anyhow!("{}: byte {begin}: {damage}", self.events_path()).into());
                }
            }
            if self.metrics.len() >= MAX_METRICS {
                self.flush(position)?;
            }
        }
        self.flush(position)?;
        if ended { self.end_run(self.spool.was_killed()) } else { Ok(()) }
    }

    /// The number of runs that were sent completely.
    pub fn runs(&self) -> usize {
        self.state.runs
    }

    /// The path of the events, for messages.
    fn events_path(&self) -> String {
        self.spool.folder().join("events.ndjson").display().to_string()
    }

    /// Adds an event to the current run; without a run, it is ignored.
    fn add(&mut self, event: &Event) {
        let Some(run) = &mut self.state.run else { return };
        run.time = event.time();
        if let Event::End(end) = event {
            run.status = Some(end.status);
        }
        if let Some((step, metrics)) = event.metrics() {
            self.metrics.extend(metrics.iter().map(|(name, value)| mlflow::metric(name, value, step, event.time())));
        }
    }

    /// Sends the pending metrics and saves `position`, in bytes, as sent.
    fn flush(&mut self, position: u64) -> mlflow::Result<()> {
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
}
