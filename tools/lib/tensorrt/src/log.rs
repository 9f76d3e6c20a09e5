//! What TensorRT logs: the only place where it says why something failed, and what an engine consists of.

use crate::{Error, reason};
use std::sync::{Arc, Mutex, PoisonError};
use trtx::{LogHandler, Logger, Severity};

/// Most bytes of messages that are kept. An engine of 1000 layers has 3 MB.
const KEPT: usize = 256 << 20;

/// The messages of a request; a clone shares them. Each also goes to standard error, as `E`, `W`, `I` or `V` and the
/// message.
#[derive(Debug, Clone, Default)]
pub struct Log {
    kept: Arc<Mutex<Kept>>,
    is_verbose: bool,
}

#[derive(Debug, Default)]
struct Kept {
    messages: Vec<Message>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Message {
    severity: Severity,
    text: String,
}

impl Log {
    /// An empty log; standard error gets the verbose messages too if `is_verbose`.
    pub fn new(is_verbose: bool) -> Self {
        Self { kept: Arc::default(), is_verbose }
    }

    /// A logger that TensorRT writes to.
    pub(crate) fn logger(&self) -> trtx::Result<Logger> {
        Logger::new(self.clone())
    }

    /// The errors so far.
    pub(crate) fn errors(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = kept.messages.iter().filter(|message| message.severity <= Severity::Error);
        errors.map(|message| message.text.clone()).collect()
    }

    /// The reason for `error` as it was logged, or else what the error says itself.
    pub(crate) fn reason(&self, error: &trtx::Error) -> String {
        match self.errors() {
            errors if errors.is_empty() => error.to_string(),
            errors => reason::of_builder(&errors),
        }
    }

    /// An error of an engine.
    pub(crate) fn error(&self, error: &trtx::Error) -> Error {
        Error::Engine(self.reason(error))
    }

    /// The last message that begins with `start`, for instance a listing.
    pub(crate) fn last(&self, start: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.messages.iter().rfind(|message| message.text.starts_with(start));
        found.map(|message| message.text.clone())
    }
}

impl LogHandler for Log {
    fn log(&self, severity: Severity, message: &str) {
        if self.is_verbose || severity <= Severity::Info {
            show(severity, message);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + message.len() <= KEPT {
            kept.bytes += message.len();
            kept.messages.push(Message { severity, text: message.to_owned() });
        }
    }
}

/// A message on standard error; nobody can be told if that is closed.
fn show(severity: Severity, message: &str) {
    use std::io::Write;
    let letter = match severity {
        Severity::InternalError | Severity::Error => 'E',
        Severity::Warning => 'W',
        Severity::Info => 'I',
        Severity::Verbose => 'V',
    };
    for line in message.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(std::io::stderr(), "{letter} {line}");
    }
}
