//! What a run log says of a run that has not finished, from its two ends: a log may be long.

use crate::{Error, Status, file};
use events::Event;
use std::path::Path;

/// Bytes that are read at either end. The first line holds all settings, the last one a reason.
const END_BYTES: u64 = 1 << 20;

/// What `train` writes as the reason of a run whose loss is no number any more.
pub const DIVERGED: &str = "is not finite";

/// What a log tells.
#[derive(Default)]
pub struct Log {
    pub data_sha256: Option<String>,
    /// How the run ended; None where it was cut off, or goes on.
    pub ended: Option<Status>,
}

/// Reads the first and the last line of a log.
pub fn read(path: &Path) -> Result<Log, Error> {
    let Some([front, back]) = file::ends(path, END_BYTES)? else { return Ok(Log::default()) };
    Ok(Log { data_sha256: data_sha256(&front), ended: ended(&back).map_err(|e| malformed(path, &e))? })
}

fn malformed(path: &Path, error: &events::Error) -> Error {
    Error::Log { path: path.to_owned(), problem: error.to_string() }
}

fn data_sha256(front: &[u8]) -> Option<String> {
    let line = front.split(|byte| *byte == b'\n').next()?;
    match Event::from_line(std::str::from_utf8(line).ok()?) {
        Ok(Some(Event::Start(start))) => Some(start.data_sha256),
        _ => None,
    }
}

fn ended(back: &[u8]) -> Result<Option<Status>, events::Error> {
    // What follows the last newline is a line that is being written, or was cut off.
    let Some(end) = back.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    if !back[end + 1..].trim_ascii().is_empty() {
        return Ok(None);
    }
    let Some(line) = back[..end].split(|byte| *byte == b'\n').next_back() else { return Ok(None) };
    Ok(match Event::from_line(&String::from_utf8_lossy(line))? {
        // Without metrics.json it has not finished, whatever the log says.
        Some(Event::End(end)) => Some(Status::of_end(&end)).filter(|status| *status != Status::Finished),
        _ => None,
    })
}
