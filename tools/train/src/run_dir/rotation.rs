//! Rotation: a new run in the folder of another first keeps that one as `previous/`, so that no run is lost by mistake.
//!
//! The files are hard-linked into `previous/` before any is deleted, so one of the two is complete at every moment.

use crate::{checkpoints, run_dir, settings::Settings};
use anyhow::{Context, ensure};
use runs::Run;
use std::{fs, io, path::Path};

/// The run that is kept; there is one.
const PREVIOUS: &str = "previous";
/// `previous/` while it is filled.
const NEW: &str = ".previous.new";
/// The `previous/` that is replaced, until it is deleted.
const OLD: &str = ".previous.old";
/// Most settings that a note names.
const MAX_NAMED: usize = 3;

/// Keeps the run in `folder` as `folder/previous`: a finished run, or a resumable one unless `previous` holds a finished
/// run. Returns a note, if the kept run differs from the one that starts.
///
/// # Errors
/// When `previous` is not a run folder.
pub fn rotate(
    folder: &Path,
    settings: &Settings,
    data_sha256: &str,
    continues: bool,
) -> anyhow::Result<Option<String>> {
    recover(folder)?;
    if continues && !run_dir::is_finished(folder) {
        return Ok(None);
    }
    let (previous, name) = (folder.join(PREVIOUS), folder.display());
    let is_finished = run_dir::is_finished(folder);
    // A run without its settings cannot be resumed: DVC deletes them, and the model, before it runs a stage.
    let is_resumable = folder.join(run_dir::CONFIG).exists() && has_checkpoints(folder);
    if !is_finished && !is_resumable {
        return Ok(None);
    }
    if !is_finished && run_dir::is_finished(&previous) {
        return Ok(Some(format!("{name} held an unfinished run, which is replaced; {} stays", previous.display())));
    }
    let is_run = [run_dir::CONFIG, run_dir::METRICS].iter().any(|name| previous.join(name).exists());
    ensure!(
        previous.symlink_metadata().is_err() || (is_folder(&previous) && is_run),
        "{}: not a run that {name} has kept; move it away",
        previous.display()
    );
    let differences = differences(folder, settings, data_sha256);
    let new = folder.join(NEW);
    link_all(folder, &new).with_context(|| new.display().to_string())?;
    replace(folder, &new).with_context(|| previous.display().to_string())?;
    let previous = previous.display();
    Ok(match (is_finished, differences.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("{name} held a finished run with {differences}; it is now in {previous}")),
        (false, _) => Some(format!("{name} held an unfinished run; it is now in {previous}")),
    })
}

fn has_checkpoints(folder: &Path) -> bool {
    let entries = folder.join(checkpoints::FOLDER).read_dir().into_iter().flatten().flatten();
    entries.into_iter().any(|entry| checkpoints::is_checkpoint(&entry.path()))
}

/// Completes or undoes a [`rotate`] that was killed.
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

/// Whether a folder is there; a link to one does not count, as its target is not this run's.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Links the files of the run in `from` into the new folder `to`; `metrics.json`, which marks it as finished, is last.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let checkpoints = from.join(checkpoints::FOLDER);
    if checkpoints.is_dir() {
        fs::create_dir(to.join(checkpoints::FOLDER))?;
        for entry in checkpoints.read_dir()? {
            let entry = entry?;
            // Temporary files of a killed run are left out.
            if entry.file_type()?.is_file() && checkpoints::is_checkpoint(&entry.path()) {
                link(&entry.path(), &to.join(checkpoints::FOLDER).join(entry.file_name()))?;
            }
        }
    }
    // Copied, as a resumed run appends to its log in place.
    if run_dir::is_regular(&from.join(run_dir::LOG)) {
        fs::copy(from.join(run_dir::LOG), to.join(run_dir::LOG))?;
    }
    for name in run_dir::files().chain([run_dir::CONFIG, run_dir::METRICS]) {
        match link(&from.join(name), &to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
    }
    sync(to)
}

/// Hard-links a file, or copies it where the file system has no hard links. Files of a run other than the log are
/// replaced, never changed in place.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(_) if run_dir::is_regular(from) => fs::copy(from, to).map(drop),
        linked => linked,
    }
}

/// Replaces `previous/` by `new`.
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

/// In words, how the run in the folder differs from the one that starts; empty if it does not.
fn differences(folder: &Path, settings: &Settings, data_sha256: &str) -> String {
    let Ok(before) = Run::read(folder) else { return "settings that cannot be read".into() };
    let now = Run::of_settings(folder.to_owned(), runs::settings_of(&settings.json));
    let mut keys = runs::differing(&[&before, &now]);
    let more = keys.len().saturating_sub(MAX_NAMED);
    keys.truncate(MAX_NAMED);
    let mut parts = Vec::new();
    if !keys.is_empty() {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("other settings ({}{more})", keys.join(", ")));
    }
    if before.data_sha256.is_some_and(|before| before != data_sha256) {
        parts.push("other data".into());
    }
    parts.join(" and ")
}
