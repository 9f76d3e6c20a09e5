//! A run is not lost by a slip: a new run in its folder first moves it to `previous/` in there.
//!
//! The files are linked into `previous/` before any of them is deleted, so at every moment one of the two is whole.

use crate::{folder, settings::Settings};
use anyhow::{Context, ensure};
use runs::Run;
use std::{fs, io, path::Path};

/// Where the run goes. One is kept.
const PREVIOUS: &str = "previous";
/// The folder while it is filled, and the one that it replaces.
const NEW: &str = ".previous.new";
const OLD: &str = ".previous.old";
const CHECKPOINTS: &str = "checkpoints";
/// Settings named at most where two runs differ.
const MOST_NAMED: usize = 3;

/// Keeps the run that is in `folder` as `folder/previous`: a finished one, or one that can go on where no finished one
/// is kept there. Returns what to tell of it, where it was another run than the one that now begins.
///
/// # Errors
/// When `previous` holds something else than a run.
pub fn keep(folder: &Path, settings: &Settings, data_sha256: &str) -> anyhow::Result<Option<String>> {
    recover(folder)?;
    let (previous, name) = (folder.join(PREVIOUS), folder.display());
    let is_finished = folder::is_finished(folder);
    // Without its settings it is no run that could go on: DVC deletes them, and the model, before it runs a stage.
    let can_go_on = folder.join(folder::CONFIG).exists() && has_checkpoints(folder);
    if !is_finished && !can_go_on {
        return Ok(None);
    }
    if !is_finished && folder::is_finished(&previous) {
        return Ok(Some(format!("{name} held an unfinished run, which is replaced; {} stays", previous.display())));
    }
    let is_run = [folder::CONFIG, folder::METRICS].iter().any(|name| previous.join(name).exists());
    ensure!(
        previous.symlink_metadata().is_err() || (is_folder(&previous) && is_run),
        "{}: no run that {name} has kept; move it away",
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
    let entries = folder.join(CHECKPOINTS).read_dir().into_iter().flatten().flatten();
    entries.into_iter().any(|entry| is_checkpoint(&entry.path()))
}

fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
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
            // Not what a killed run was still writing.
            if entry.file_type()?.is_file() && is_checkpoint(&entry.path()) {
                link(&entry.path(), &to.join(CHECKPOINTS).join(entry.file_name()))?;
            }
        }
    }
    // A resumed run adds to its log in place.
    if folder::is_regular(&from.join(folder::LOG)) {
        fs::copy(from.join(folder::LOG), to.join(folder::LOG))?;
    }
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
        Err(_) if folder::is_regular(from) => fs::copy(from, to).map(drop),
        linked => linked,
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
    let Ok(before) = Run::read(folder) else { return "settings that cannot be read".into() };
    let now = Run::of_settings(folder.to_owned(), runs::settings_of(&settings.json));
    let mut keys = runs::differing(&[&before, &now]);
    let more = keys.len().saturating_sub(MOST_NAMED);
    keys.truncate(MOST_NAMED);
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
