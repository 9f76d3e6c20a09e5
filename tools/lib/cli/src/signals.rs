//! SIGHUP, SIGINT and SIGTERM: the first lets the tool save its state, the second ends it at once.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, iterator,
};
use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Signals within this time are one: `timeout` sends its own twice, to its child and to the group of both.
const TOGETHER: Duration = Duration::from_millis(300);

/// Remembers the first SIGHUP, SIGINT or SIGTERM; a later one ends the process at once.
#[derive(Debug, Clone)]
pub struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen() -> anyhow::Result<Self> {
        Self::start(None)
    }

    /// As [`Signals::listen`]; `first` is called with the first signal, on a thread of its own.
    ///
    /// # Errors
    /// What the operating system says, or that no thread can be had.
    pub fn listen_with(first: impl FnMut(Signal) + Send + 'static) -> anyhow::Result<Self> {
        Self::start(Some(Box::new(first)))
    }

    fn start(mut on_first: Option<Box<dyn FnMut(Signal) + Send>>) -> anyhow::Result<Self> {
        files::disable_signal_cleanup();
        let received = Arc::new(AtomicUsize::new(0));
        let mut signals = iterator::Signals::new(files::termination_signals())?;
        let listener = Arc::clone(&received);
        let is_required = on_first.is_some();
        let listening = thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first = None;
            for signal in signals.forever() {
                if first.get_or_insert_with(Instant::now).elapsed() >= TOGETHER {
                    files::remove_temporary_files();
                    process::exit(exit_status(signal).into());
                }
                listener.store(signal as usize, Ordering::Relaxed);
                if let (Some(mut on_first), Some(signal)) = (on_first.take(), Signal::of(signal)) {
                    on_first(signal);
                }
            }
        });
        if is_required {
            listening?;
        } else if listening.is_err() {
            // Where no thread can be had, a second signal is as the first.
            for signal in files::termination_signals() {
                flag::register_usize(signal, Arc::clone(&received), signal as usize)?;
            }
        }
        Ok(Self { received })
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        Signal::of(self.received.load(Ordering::Relaxed) as i32)
    }
}

/// A signal that ends a run.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Its name, `SIGINT`.
    pub name: &'static str,
    /// 128 + the signal's number, as a shell reports it.
    pub exit_status: u8,
}

impl Signal {
    /// The signal of that number; None where it is none that [`Signals`] listens for.
    pub fn of(number: i32) -> Option<Self> {
        let name = match number {
            SIGHUP => "SIGHUP",
            SIGINT => "SIGINT",
            SIGTERM => "SIGTERM",
            _ => return None,
        };
        Some(Self { name, exit_status: exit_status(number) })
    }
}

fn exit_status(signal: i32) -> u8 {
    128 + signal as u8
}
