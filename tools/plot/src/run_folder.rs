//! Run folders as inputs: the file with the metrics, and the settings beside it.

use anyhow::Context;
use indexmap::IndexMap;
use serde_json::Value;
use std::{
    fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
};

/// The files of a run folder that hold metrics, the preferred one first.
const RUN_FILES: [&str; 3] = ["events.ndjson", "history.csv", "finder.csv"];

/// The file of a run folder that holds its metrics.
///
/// # Errors
/// When there is none; where there are run folders below, a pattern for them.
pub fn metrics_file(folder: &Path) -> anyhow::Result<PathBuf> {
    regular_file(folder, &RUN_FILES)?.with_context(|| {
        let (name, lacking) = (folder.display(), RUN_FILES.join(" and no "));
        let remedy = match runs_below(folder) {
            Some(pattern) => format!("it holds run folders, which plot {pattern} draws together"),
            None => format!("train -o {name} makes one"),
        };
        format!("{name}: no run folder: there is no {lacking}; {remedy}")
    })
}

/// A shell pattern for the run folders below a folder, such as a sweep's; `None` where there are none.
///
/// It has the depth of the first one. Where it would match other entries too, it ends in the name of the logs.
fn runs_below(folder: &Path) -> Option<String> {
    let found = runs::find(folder).ok()?;
    let depth = found.first()?.strip_prefix(folder).ok()?.components().count();
    let name = folder.to_str()?;
    let name = shlex::try_quote(name.trim_end_matches('/')).ok()?;
    let stars = "/*".repeat(depth);
    let matches_runs_alone = depth == 1 && only_runs(folder).unwrap_or(false);
    Some(if matches_runs_alone { format!("{name}{stars}") } else { format!("{name}{stars}/{}", RUN_FILES[0]) })
}

/// Whether all entries of a folder, but hidden ones, are run folders.
fn only_runs(folder: &Path) -> std::io::Result<bool> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && !regular_file(&entry.path(), &RUN_FILES).is_ok_and(|file| file.is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first of `names` that a folder has. One that is not a regular file is an error: a pipe would block, and a device never
/// end.
fn regular_file(folder: &Path, names: &[&str]) -> anyhow::Result<Option<PathBuf>> {
    for path in names.iter().map(|name| folder.join(name)) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
            Ok(_) => anyhow::bail!("{}: not a regular file; expected what train writes", path.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(None)
}

/// The settings of the run folder that a file is in; `None` of a file elsewhere.
pub fn settings_beside(file: &Path) -> anyhow::Result<Option<IndexMap<String, Value>>> {
    let is_of_run = file.file_name().is_some_and(|name| RUN_FILES.iter().any(|known| name == *known));
    let Some(folder) = file.parent().filter(|_| is_of_run) else { return Ok(None) };
    Ok(runs::read_settings(folder)?.filter(|settings| !settings.is_empty()))
}

/// The components of a file's path that name a run: without the name that the file has in every run folder.
pub fn path_components(file: &Path) -> Vec<String> {
    let mut components: Vec<String> = file
        .components()
        .filter(|component| !matches!(component, Component::CurDir | Component::RootDir))
        .map(|component| component.as_os_str().to_string_lossy().into_owned())
        .collect();
    if components.last().is_some_and(|last| RUN_FILES.contains(&last.as_str())) {
        components.pop();
    }
    components
}
