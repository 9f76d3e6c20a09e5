//! A finished run is not lost by a slip: a new run in its folder first moves it to `previous/` in there.
//!
//! The files are linked into `previous/` before any of them is deleted, so at every moment one of the two is whole.

use crate::{folder, settings::Settings};
use anyhow::Context;
use events::Event;
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the finished run goes. One is kept.
const PREVIOUS: &str = "previous";
/// The folder while it is filled, and the one that it replaces.
const NEW: &str = ".previous.new";
const OLD: &str = ".previous.old";
const CHECKPOINTS: &str = "checkpoints";
/// Settings named at most where two runs differ.
const MOST_NAMED: usize = 3;

/// Keeps the finished run that is in `folder`, if one is, as `folder/previous`. Returns what to tell of it, where
/// it was another run than the one that now begins.
pub fn keep(folder: &Path, settings: &Settings, data_sha256: &str) -> anyhow::Result<Option<String>> {
    recover(folder)?;
    if !folder::is_finished(folder) {
        return Ok(None);
    }
    let differences = differences(folder, settings, data_sha256);
    let new = folder.join(NEW);
    link_all(folder, &new).with_context(|| new.display().to_string())?;
    replace(folder, &new).with_context(|| folder.join(PREVIOUS).display().to_string())?;
    let told = || {
        let kept = folder.join(PREVIOUS);
        format!("{} held a finished run with {}; it is now in {}", folder.display(), differences, kept.display())
    };
    Ok((!differences.is_empty()).then(told))
}

/// Mends what a run that was killed in [`keep`] has left.
fn recover(folder: &Path) -> anyhow::Result<()> {
    let (previous, old) = (folder.join(PREVIOUS), folder.join(OLD));
    let recovered = (|| {
        if is_folder(&old) && !previous.exists() {
            fs::rename(&old, &previous)?;
        }
        [NEW, OLD].iter().map(|name| folder.join(name)).filter(|path| is_folder(path)).try_for_each(fs::remove_dir_all)
    })();
    recovered.with_context(|| previous.display().to_string())
}

/// A link to a folder is none: what it leads to is not ours.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Links the files of the run in `from` into the new folder `to`, the one that marks it as finished last.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let checkpoints = from.join(CHECKPOINTS);
    if checkpoints.is_dir() {
        fs::create_dir(to.join(CHECKPOINTS))?;
        for entry in checkpoints.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                link(&entry.path(), &to.join(CHECKPOINTS).join(entry.file_name()))?;
            }
        }
    }
    // A resumed run adds to its log in place.
    copy(from, to, folder::LOG)?;
    for name in folder::files().chain([folder::CONFIG, folder::METRICS]) {
        match link(&from.join(name), &to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
    }
    sync(to)
}

/// A second name for a file, or a copy where the file system has no such names. Files of a run are replaced, never
/// changed in place.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => fs::copy(from, to).map(drop),
        linked => linked,
    }
}

fn copy(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    match fs::copy(from.join(name), to.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts `new` in the place of the run that was kept before.
fn replace(folder: &Path, new: &Path) -> io::Result<()> {
    let (previous, old) = (folder.join(PREVIOUS), folder.join(OLD));
    if previous.symlink_metadata().is_ok() {
        fs::rename(&previous, &old)?;
    }
    fs::rename(new, &previous)?;
    sync(folder)?;
    if is_folder(&old) { fs::remove_dir_all(&old) } else { Ok(()) }
}

fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// In words, what the run in the folder and the one that begins differ in; empty where it is the same run again.
fn differences(folder: &Path, settings: &Settings, data_sha256: &str) -> String {
    let Some(before) = config(&folder.join(folder::CONFIG)) else { return "settings that cannot be read".into() };
    let mut keys = Vec::new();
    differing(&before, &settings.json, &mut String::new(), &mut keys);
    keys.retain(|key| key != "trainer.run_dir");
    let more = keys.len().saturating_sub(MOST_NAMED);
    keys.truncate(MOST_NAMED);
    let mut parts = Vec::new();
    if !keys.is_empty() {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("other settings ({}{more})", keys.join(", ")));
    }
    if last_data(&folder.join(folder::LOG)).is_some_and(|before| before != data_sha256) {
        parts.push("other data".into());
    }
    parts.join(" and ")
}

fn config(path: &PathBuf) -> Option<Value> {
    let document = config::Document::from_yaml(&path.display().to_string(), &fs::read_to_string(path).ok()?).ok()?;
    serde_json::from_str(&document.to_json().ok()?).ok()
}

/// The dotted keys whose values differ.
fn differing(a: &Value, b: &Value, path: &mut String, keys: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        if a != b {
            keys.push(path.clone());
        }
        return;
    };
    for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        differing(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), path, keys);
        path.truncate(length);
    }
}

/// The digest of the data of the last run in a log.
fn last_data(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let start = text.lines().rev().filter_map(|line| Event::from_line(line).ok().flatten());
    start.into_iter().find_map(|event| match event {
        Event::Start(start) => Some(start.data_sha256),
        _ => None,
    })
}
