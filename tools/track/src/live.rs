//! Logging a run while it goes on.

use crate::{
    delivery::Delivery, files::Sink, pass::Pass, sender::Sending, settings::Settings, source::Source, spool::Spool,
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

/// How often it is looked whether a signal came.
const TICK: Duration = Duration::from_millis(50);

/// Passes `source` on to standard output and logs it: to the server that the settings name, and to `sinks`.
/// `config` is the settings' document, for a later `--resume`.
///
/// # Errors
/// What reading, or writing a file, says. A server that is away is none.
pub fn run(settings: &Settings, config: &str, source: Source, sinks: Vec<Box<dyn Sink>>) -> anyhow::Result<Outcome> {
    let signals = Signals::listen()?;
    let upload = if settings.mlflow { Some(Upload::start(settings, config)?) } else { None };
    let spool = upload.as_ref().map(|upload| upload.spool.recorder(source.run_folder.as_deref())).transpose()?;
    let pass = Pass::new(source.input, spool, sinks)?;
    let outcome = in_background(pass);
    let patience = Patience { signals: &signals, grace: settings.stop_wait.0 };
    let passed = patience.last_word(&outcome, None);
    if let Some(upload) = upload {
        upload.finish(&patience, settings.wait.0)?;
    }
    match (signals.received(), passed) {
        (Some(signal), _) => Ok(Outcome::Signal(signal.exit_status)),
        (None, Some(Err(error))) => Err(error),
        (None, _) => Ok(Outcome::Done),
    }
}

/// Passes the events on while this thread looks for signals; where no other thread can be had, before that.
fn in_background(pass: Pass) -> Receiver<anyhow::Result<()>> {
    let (tell, outcome) = mpsc::channel();
    let (hand, taken) = mpsc::channel::<Pass>();
    let teller = tell.clone();
    let work = move || {
        if let Ok(pass) = taken.recv() {
            // Where nobody listens any more, a signal came, and what there was is on disk.
            let _ = teller.send(pass.run());
        }
    };
    let pass = match thread::Builder::new().name("events".into()).spawn(work) {
        Ok(_) => hand.send(pass).err().map(|refused| refused.0),
        Err(_) => Some(pass),
    };
    if let Some(pass) = pass {
        let _ = tell.send(pass.run());
    }
    outcome
}

/// How long threads are waited for.
struct Patience<'a> {
    signals: &'a Signals,
    /// What is left after a signal. In a pipe, Ctrl-C reaches all its tools, and what trains has still to say
    /// how it ended.
    grace: Duration,
}

impl Patience<'_> {
    /// What a thread sends when it is done; None where that takes longer than `limit`, or than the grace
    /// after a signal.
    fn last_word<T>(&self, thread: &Receiver<T>, limit: Option<Duration>) -> Option<T> {
        let mut deadline = limit.map(|limit| Instant::now() + limit);
        let mut stopped = false;
        loop {
            match thread.recv_timeout(TICK) {
                Ok(word) => return Some(word),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !stopped && self.signals.received().is_some() {
                stopped = true;
                let soon = Instant::now() + self.grace;
                deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
        }
    }
}

/// A spool and what sends it.
struct Upload {
    spool: Arc<Spool>,
    sending: Sending,
}

impl Upload {
    fn start(settings: &Settings, config: &str) -> anyhow::Result<Self> {
        let spool = Arc::new(Spool::create(&settings.spool, config)?);
        let delivery = Delivery::new(Arc::clone(&spool), settings.clone());
        let sending = match delivery.and_then(|delivery| Sending::start(delivery, settings)) {
            Ok(sending) => sending,
            Err(error) => {
                spool.remove()?;
                return Err(error);
            }
        };
        Ok(Self { spool, sending })
    }

    /// Waits for what is left to be sent, and says where it is if it is not.
    fn finish(self, patience: &Patience, limit: Duration) -> anyhow::Result<()> {
        if patience.signals.received().is_some() {
            self.spool.mark_killed()?;
        }
        let unsent = match patience.last_word(&self.sending.close(), Some(limit)) {
            Some(Ok(())) => return self.spool.remove(),
            Some(Err(why)) => why,
            None => "not all is sent".to_owned(),
        };
        cli::note(&format!("{unsent}; send the rest by: track --resume {}", self.spool.folder().display()));
        Ok(())
    }
}
