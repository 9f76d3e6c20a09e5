//! Ending on a signal, in good order.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Remembers that SIGINT or SIGTERM came. A second one ends the process at once.
#[derive(Debug, Clone)]
pub struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen() -> anyhow::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds `again` unset and sets it.
            flag::register_conditional_shutdown(signal, exit_status(signal).into(), Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&received), signal as usize)?;
        }
        Ok(Self { received })
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        match self.received.load(Ordering::Relaxed) as i32 {
            SIGINT => Some(Signal { name: "SIGINT", exit_status: exit_status(SIGINT) }),
            SIGTERM => Some(Signal { name: "SIGTERM", exit_status: exit_status(SIGTERM) }),
            _ => None,
        }
    }
}

/// A signal that ends a run.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Its name, `SIGINT`.
    pub name: &'static str,
    /// What a shell says of a process that the signal ended.
    pub exit_status: u8,
}

fn exit_status(signal: i32) -> u8 {
    128 + signal as u8
}
