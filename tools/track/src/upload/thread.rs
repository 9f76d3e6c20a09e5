//! The thread that uploads while the input is read.

use super::Uploader;
use crate::{
    mlflow::{self, Error},
    settings::Settings,
};
use anyhow::Context;
use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// An upload in a thread of its own. Requests without a response are retried without end.
pub struct UploadThread {
    /// Dropped at the end of the input.
    input_open: Sender<()>,
    outcome: Receiver<mlflow::Result<()>>,
}

impl UploadThread {
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(uploader: Uploader, settings: &Settings) -> anyhow::Result<Self> {
        let (input_open, input_closed) = mpsc::channel();
        let (sender, outcome) = mpsc::channel();
        let backoff = Backoff::new(settings);
        let work = move || {
            // If the receiver is gone, the state is in the spool.
            let _ = sender.send(upload(uploader, backoff, &input_closed));
        };
        thread::Builder::new().name("upload".into()).spawn(work).context("starting the upload thread")?;
        Ok(Self { input_open, outcome })
    }

    /// Signals the end of the input. The receiver gets the outcome: Ok once everything is sent, or an error that a
    /// retry cannot change.
    pub fn end_input(self) -> Receiver<mlflow::Result<()>> {
        drop(self.input_open);
        self.outcome
    }
}

/// Pauses between attempts: `interval` after a success, exponential from `first` to `max` after failures.
struct Backoff {
    interval: Duration,
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    fn new(settings: &Settings) -> Self {
        let first = settings.retry_first.0;
        Self { interval: settings.interval.0, first, max: settings.retry_max.0.max(first), next: first }
    }

    fn after_success(&mut self) -> Duration {
        self.next = self.first;
        self.interval
    }

    fn after_failure(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause
    }
}

fn upload(mut uploader: Uploader, mut backoff: Backoff, input_closed: &Receiver<()>) -> mlflow::Result<()> {
    let (mut ended, mut warned) = (false, false);
    let mut pause = backoff.interval;
    loop {
        if ended {
            thread::sleep(pause);
        } else if !matches!(input_closed.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            // At the end of the input, retry at once, whatever the backoff was.
            ended = true;
            backoff.after_success();
        }
        pause = match uploader.advance(ended) {
            Ok(()) if ended => return Ok(()),
            Ok(()) => {
                warned = false;
                backoff.after_success()
            }
            Err(Error::Unavailable(reason)) => {
                if !warned {
                    cli::note(&format!("{reason}; retrying, and training continues"));
                    warned = true;
                }
                backoff.after_failure()
            }
            Err(error) => return Err(error),
        };
    }
}
