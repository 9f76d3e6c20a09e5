//! Logs: one JSON object a line on standard error.
//!
//! A thread of its own writes them: a reader that does not read, or a disk that is full, never holds a request up. Lines
//! that find the queue full are dropped and counted.

use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, SystemTime},
};

/// Lines that wait to be written.
const QUEUE: usize = 4096;
/// How long the end of the process waits for lines to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// How much is logged: each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What the server cannot do.
    Error,
    /// What someone should look at.
    Warn,
    /// Every request.
    Info,
    /// What helps to find an error of the server's.
    Debug,
}

struct Log {
    level: AtomicU8,
    lines: SyncSender<Message>,
    dropped: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Logs from here on.
///
/// # Errors
/// When no thread can be had.
pub fn start(level: Level) -> io::Result<()> {
    let (lines, waiting) = mpsc::sync_channel(QUEUE);
    thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting))?;
    let _ = LOG.set(Log { level: AtomicU8::new(level as u8), lines, dropped: AtomicU64::new(0) });
    Ok(())
}

/// Whether lines of the level are logged.
pub fn is_on(level: Level) -> bool {
    LOG.get().is_some_and(|log| level as u8 <= log.level.load(Relaxed))
}

/// Logs an event with its fields, a struct or map.
pub fn write(level: Level, event: &str, fields: impl Serialize) {
    let Some(log) = LOG.get().filter(|_| is_on(level)) else { return };
    let Some(line) = line(level, event, fields) else { return };
    if log.lines.try_send(Message::Line(line)).is_err() {
        log.dropped.fetch_add(1, Relaxed);
    }
}

/// Waits a moment for what was logged to be written.
pub fn flush() {
    let Some(log) = LOG.get() else { return };
    let (done, written) = mpsc::sync_channel(1);
    if log.lines.try_send(Message::Flush(done)).is_ok() {
        let _ = written.recv_timeout(FLUSH);
    }
}

#[derive(Serialize)]
struct Line<'a, F> {
    time: String,
    level: Level,
    event: &'a str,
    #[serde(flatten)]
    fields: F,
}

fn line(level: Level, event: &str, fields: impl Serialize) -> Option<Vec<u8>> {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut line = serde_json::to_vec(&Line { time, level, event, fields }).ok()?;
    line.push(b'\n');
    Some(line)
}

fn write_lines(waiting: &Receiver<Message>) {
    for message in waiting {
        match message {
            // Where standard error is closed or its disk full, there is nobody to tell.
            Message::Line(line) => drop(io::stderr().write_all(&line)),
            Message::Flush(done) => drop(done.try_send(())),
        }
        let dropped = LOG.get().map_or(0, |log| log.dropped.swap(0, Relaxed));
        if dropped > 0 {
            let fields = serde_json::json!({ "lines": dropped });
            let note = line(Level::Warn, "log_lines_dropped", fields).unwrap_or_default();
            let _ = io::stderr().write_all(&note);
        }
    }
}
