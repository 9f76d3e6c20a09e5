//! The first and the last line of a run log, without reading the whole: a log may be long.

use crate::{Error, Status, file};
use events::Event;
use std::path::Path;

/// Bytes that are read at either end: the first line holds all settings, the last one a reason.
const END_BYTES: u64 = 1 << 20;

/// Part of the reason that `train` writes when the loss or a gradient is NaN or infinite.
pub const DIVERGED: &str = "is not finite";

/// The result of reading a log.
#[derive(Default)]
pub struct Log {
    /// SHA-256 of the training data, in hexadecimal; None if the first line is not a `start` event.
    pub data_sha256: Option<String>,
    /// How the run ended; None if it was interrupted or is still running.
    pub ended: Option<Status>,
}

/// Reads the first and the last line of a log.
pub fn read(path: &Path) -> Result<Log, Error> {
    let Some([front, back]) = file::ends(path, END_BYTES)? else { return Ok(Log::default()) };
    let ended = ended(&back).map_err(|error| Error::Log { path: path.to_owned(), error })?;
    Ok(Log { data_sha256: data_sha256(&front), ended })
}

fn data_sha256(front: &[u8]) -> Option<String> {
    let line = front.split(|byte| *byte == b'\n').next()?;
    match Event::from_line(std::str::from_utf8(line).ok()?) {
        Ok(Some(Event::Start(start))) => Some(start.data_sha256),
        _ => None,
    }
}

fn ended(back: &[u8]) -> Result<Option<Status>, events::Error> {
    // Behind the last newline is a line that is being written, or was cut off.
    let Some(end) = back.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    if !back[end + 1..].trim_ascii().is_empty() {
        return Ok(None);
    }
    let Some(line) = back[..end].split(|byte| *byte == b'\n').next_back() else { return Ok(None) };
    Ok(match Event::from_line(&String::from_utf8_lossy(line))? {
        // Without metrics.json the run has not finished, whatever the log says.
        Some(Event::End(end)) => Some(Status::from(&end)).filter(|status| *status != Status::Finished),
        _ => None,
    })
}
