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
    time::{Duration, Instant, SystemTime},
};

/// Lines that wait to be written.
const QUEUE: usize = 4096;
/// Bytes that are written together at most, but for the last line.
const WRITE: usize = 1 << 16;
/// How long lines are gathered for the next write.
const GATHER: Duration = Duration::from_millis(10);
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
    let deadline = Instant::now() + FLUSH;
    let (done, written) = mpsc::sync_channel(1);
    while log.lines.try_send(Message::Flush(done.clone())).is_err() {
        if Instant::now() >= deadline {
            return;
        }
        thread::sleep(GATHER);
    }
    let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
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
    let mut lines = Vec::new();
    while let Ok(first) = waiting.recv() {
        let mut done = None;
        for message in std::iter::once(first).chain(waiting.try_iter()) {
            match message {
                Message::Line(line) => lines.extend_from_slice(&line),
                Message::Flush(reply) => done = Some(reply),
            }
            if lines.len() >= WRITE || done.is_some() {
                break;
            }
        }
        let dropped = LOG.get().map_or(0, |log| log.dropped.swap(0, Relaxed));
        if dropped > 0 {
            let fields = serde_json::json!({ "lines": dropped });
            lines.extend(line(Level::Warn, "log_lines_dropped", fields).unwrap_or_default());
        }
        // Where standard error is closed or its disk full, there is nobody to tell.
        let _ = io::stderr().write_all(&lines);
        lines.clear();
        match done {
            Some(done) => drop(done.try_send(())),
            // A request then wakes no thread for its line.
            None => thread::sleep(GATHER),
        }
    }
}
