//! Finding ONNX Runtime's shared library.

use crate::{Error, Result, one_line, trust};
use ort::{environment::Environment, logging::LogLevel};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Entries that mark a project's root. A `.venv` above it is not searched.
const ROOT_MARKS: [&str; 3] = [".git", ".dvc", "dvc.yaml"];

/// ONNX Runtime, once it is started: a process can have one.
static STARTED: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment of ONNX Runtime. The first call loads the library at `named`, or else the first that [`find`] accepts;
/// later calls give the same.
pub(crate) fn load(named: Option<&Path>) -> Result<Environment> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*started {
        return Ok(environment.clone());
    }
    let environment = start(named)?;
    *started = Some(environment.clone());
    Ok(environment)
}

fn start(named: Option<&Path>) -> Result<Environment> {
    let path = named.map_or_else(find, |path| Ok(path.to_owned()))?;
    let unusable = |e: &dyn std::fmt::Display| Error::Library { path: path.clone(), reason: one_line(e) };
    let environment = ort::init_from(&path).map_err(|e| unusable(&e))?;
    // Its log would add lines to stderr, with unescaped text of the model; errors have the message.
    let environment = environment.with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    let environment = environment.build().map_err(|e| unusable(&e))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}

/// The first library in: `ORT_DYLIB_PATH`; the active virtual environment; then, where only the user may write it, the
/// folder of this program, its project's `.venv` and that of the working folder.
fn find() -> Result<PathBuf> {
    let named = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = named("ORT_DYLIB_PATH") {
        return Ok(path);
    }
    if let Some(path) = named("VIRTUAL_ENV").and_then(|venv| in_venv(&venv)) {
        return Ok(path);
    }
    let program = env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let beside = program.iter().filter_map(|folder| Some((folder.clone(), libraries(folder.clone()).pop()?)));
    let starts = program.iter().cloned().chain(env::current_dir().ok());
    let projects = starts.flat_map(|start| project(&start));
    let in_projects = projects.filter_map(|folder| Some((folder.clone(), in_venv(&folder.join(".venv"))?)));
    let mut refused: Vec<String> = Vec::new();
    for (folder, library) in beside.chain(in_projects) {
        match trust::refusal(&folder, &library) {
            None => return Ok(library),
            Some(why) if refused.contains(&why) => {}
            Some(why) => refused.push(why),
        }
    }
    Err(Error::NoLibrary { refused })
}

/// The folders from `start` up to the root of its project; up to the file system's root where there is no project.
fn project(start: &Path) -> Vec<PathBuf> {
    let is_root = |folder: &Path| ROOT_MARKS.iter().any(|mark| folder.join(mark).exists());
    let root = start.ancestors().position(is_root).unwrap_or(usize::MAX - 1);
    start.ancestors().take(root + 1).map(Path::to_owned).collect()
}

/// The library of PyPI's `onnxruntime`, which has only its versioned name.
fn in_venv(venv: &Path) -> Option<PathBuf> {
    names(venv.join("lib"), "python3")
        .into_iter()
        .find_map(|python| libraries(python.join("site-packages/onnxruntime/capi")).pop())
}

/// ONNX Runtime's libraries in a folder.
fn libraries(folder: PathBuf) -> Vec<PathBuf> {
    names(folder, "libonnxruntime.")
}

/// The paths in a folder whose names begin with `prefix`, sorted.
fn names(folder: PathBuf, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_ends_at_its_root() {
        let here = tempfile::tempdir().expect("a folder");
        let deep = here.path().join("a/b/c");
        fs::create_dir_all(&deep).expect("folders");
        fs::write(here.path().join("a/dvc.yaml"), "").expect("written");
        fs::create_dir(here.path().join(".git")).expect("a folder");
        assert_eq!(project(&deep), [deep.clone(), here.path().join("a/b"), here.path().join("a")]);
    }
}
