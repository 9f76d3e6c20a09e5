//! The thread that sends, again and again until it is done. Nothing waits for it.

use crate::{delivery::Delivery, mlflow::Failure, settings::Settings};
use anyhow::Context;
use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// A sender at work.
pub struct Sending {
    /// Dropped when the input has ended.
    open: Sender<()>,
    outcome: Receiver<Result<(), String>>,
}

impl Sending {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(delivery: Delivery, settings: &Settings) -> anyhow::Result<Self> {
        let (open, closed) = mpsc::channel();
        let (tell, outcome) = mpsc::channel();
        let pace = Pace::new(settings);
        let work = move || {
            // Where nobody listens any more, the state on disk knows.
            let _ = tell.send(send(delivery, pace, &closed));
        };
        thread::Builder::new().name("sender".into()).spawn(work).context("a thread that sends")?;
        Ok(Self { open, outcome })
    }

    /// Says that the input has ended. What comes then is the outcome: all is sent, or why the rest will not
    /// be accepted at another time either.
    pub fn close(self) -> Receiver<Result<(), String>> {
        drop(self.open);
        self.outcome
    }
}

/// Pauses between attempts.
struct Pace {
    interval: Duration,
    first: Duration,
    max: Duration,
    retry: Duration,
}

impl Pace {
    fn new(settings: &Settings) -> Self {
        let first = settings.retry_first.0;
        Self { interval: settings.interval.0, first, max: settings.retry_max.0.max(first), retry: first }
    }

    fn reset(&mut self) -> Duration {
        self.retry = self.first;
        self.interval
    }

    fn next_retry(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (pause * 2).min(self.max);
        pause
    }
}

fn send(mut delivery: Delivery, mut pace: Pace, closed: &Receiver<()>) -> Result<(), String> {
    let (mut ended, mut told) = (false, false);
    let mut pause = pace.interval;
    loop {
        if ended {
            thread::sleep(pause);
        } else if !matches!(closed.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            // A server that was away for long is asked again at once, now that there is no more to wait for.
            ended = true;
            pace.reset();
        }
        pause = match delivery.advance(ended) {
            Ok(()) if ended => return Ok(()),
            Ok(()) => {
                told = false;
                pace.reset()
            }
            Err(Failure::Unreachable(why)) => {
                if !told {
                    cli::note(&format!("{why}; trying again, and training goes on"));
                    told = true;
                }
                pace.next_retry()
            }
            Err(failure) => return Err(failure.to_string()),
        };
    }
}
