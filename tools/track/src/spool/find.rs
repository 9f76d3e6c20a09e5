//! Names of spools, and finding the spools in a folder.

use super::{FOLDERS, STATE};
use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// Number of random characters in a spool's name, which make it unique across machines.
pub const RANDOM_CHARACTERS: usize = 12;

/// The beginning of a new spool's name: the current second, as `20260131T235959Z-`, so that names sort by age.
pub fn prefix() -> String {
    /// The last second of the year 9999.
    const MAX_SECOND: u64 = 253_402_300_799;
    let second = Duration::from_secs((events::now() as u64).min(MAX_SECOND));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + second).to_string().replace([':', '-'], "") + "-"
}

/// The folder itself if it is a spool, else all spools in it, oldest first.
///
/// # Errors
/// If there is no such folder, or no spool in it.
pub fn find(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if is_spool(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    found.retain(|path| path.is_dir() && (is_spool(path) || has_name_of_spool(path)));
    found.sort();
    if found.is_empty() {
        bail!("{}: no spool in this folder: nothing is left to send", folder.display());
    }
    Ok(found)
}

/// By the two files that a run folder, which has events and settings as well, lacks.
pub fn is_spool(folder: &Path) -> bool {
    [STATE, FOLDERS].iter().any(|name| folder.join(name).exists())
}

/// Whether a folder has the name of a spool: it may be one that lost its state.
fn has_name_of_spool(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.split_once("Z-").is_some_and(|(second, random)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        second.split_once('T').is_some_and(|(day, time)| digits(day) && digits(time))
            && random.len() == RANDOM_CHARACTERS
    })
}
