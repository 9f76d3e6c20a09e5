//! Logging a run while its events are read.

use crate::{
    settings::Settings,
    sinks::Sink,
    source::Source,
    spool::Spool,
    tee::Tee,
    upload::{UploadThread, Uploader},
};
use cli::{Outcome, Signals};
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// Interval at which signals are checked for.
const POLL: Duration = Duration::from_millis(50);

/// Copies `source` to standard output and logs it: to the server in the settings, if any, and to `sinks`. `config` is
/// the document of settings, for a later `--resume`.
///
/// # Errors
/// If the input cannot be read or a file cannot be written. A server that does not respond is not an error.
pub fn run(settings: &Settings, config: &str, source: Source, sinks: Vec<Box<dyn Sink>>) -> anyhow::Result<Outcome> {
    let signals = Signals::listen()?;
    let upload = if settings.mlflow { Some(Upload::start(settings, config)?) } else { None };
    let spool = upload.as_ref().map(|upload| upload.spool.writer(source.run_folder.as_deref())).transpose()?;
    let tee = Tee::new(source.input, spool, sinks)?;
    let outcome = in_background(tee);
    let waiter = Waiter { signals: &signals, grace: settings.stop_wait.0 };
    let result = waiter.receive(&outcome, None);
    if let Some(upload) = upload {
        upload.finish(&waiter, settings.wait.0)?;
    }
    match (signals.received(), result) {
        (Some(signal), _) => Ok(Outcome::Signal(signal.exit_status)),
        (None, Some(Err(error))) => Err(error),
        (None, _) => Ok(Outcome::Done),
    }
}

/// Runs `tee` in a thread of its own, while this thread watches for signals; if the system cannot start a thread, runs it
/// here first.
fn in_background(tee: Tee) -> Receiver<anyhow::Result<()>> {
    let (result, outcome) = mpsc::channel();
    let (give, taken) = mpsc::channel::<Tee>();
    let thread_result = result.clone();
    let work = move || {
        if let Ok(tee) = taken.recv() {
            // If the receiver is gone, a signal came, and everything that was read is on disk.
            let _ = thread_result.send(tee.run());
        }
    };
    let tee = match thread::Builder::new().name("events".into()).spawn(work) {
        Ok(_) => give.send(tee).err().map(|unsent| unsent.0),
        Err(_) => Some(tee),
    };
    if let Some(tee) = tee {
        let _ = result.send(tee.run());
    }
    outcome
}

/// Waits for threads, but not long after a signal.
struct Waiter<'a> {
    signals: &'a Signals,
    /// Longest wait after a signal. Ctrl-C reaches all tools of a pipe, and `train` has yet to write its end event.
    grace: Duration,
}

impl Waiter<'_> {
    /// The result that a thread sends; None after `limit`, or after the grace period that begins with a signal.
    fn receive<T>(&self, thread: &Receiver<T>, limit: Option<Duration>) -> Option<T> {
        let mut deadline = limit.map(|limit| Instant::now() + limit);
        let mut stopped = false;
        loop {
            match thread.recv_timeout(POLL) {
                Ok(result) => return Some(result),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !stopped && self.signals.received().is_some() {
                stopped = true;
                let end = Instant::now() + self.grace;
                deadline = Some(deadline.map_or(end, |deadline| deadline.min(end)));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
        }
    }
}

/// A new spool, and the thread that uploads it.
struct Upload {
    spool: Arc<Spool>,
    thread: UploadThread,
}

impl Upload {
    fn start(settings: &Settings, config: &str) -> anyhow::Result<Self> {
        let spool = Arc::new(Spool::create(&settings.spool, config)?);
        let uploader = Uploader::new(Arc::clone(&spool), settings.clone());
        match uploader.and_then(|uploader| UploadThread::start(uploader, settings)) {
            Ok(thread) => Ok(Self { spool, thread }),
            Err(error) => {
                spool.remove()?;
                Err(error)
            }
        }
    }

    /// Waits up to `limit` for the rest to be sent. Otherwise keeps the spool, and says how to send it later.
    fn finish(self, waiter: &Waiter, limit: Duration) -> anyhow::Result<()> {
        if waiter.signals.received().is_some() {
            self.spool.mark_killed()?;
        }
        let reason = match waiter.receive(&self.thread.end_input(), Some(limit)) {
            Some(Ok(())) => return self.spool.remove(),
            Some(Err(error)) => error.to_string(),
            None => "not all events were sent".to_owned(),
        };
        let folder = self.spool.folder().display();
        cli::note(&format!("{reason}; send the rest with: track --resume {folder}"));
        Ok(())
    }
}
