//! Finding ONNX Runtime's shared library.

use crate::{Error, Result, one_line};
use ort::{environment::Environment, logging::LogLevel};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Loads the library at `named`, or the first that is found, and starts ONNX Runtime.
pub(crate) fn load(named: Option<&Path>) -> Result<Environment> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => find().ok_or_else(|| Error::Library(String::new()))?,
    };
    let unusable = |e: &dyn std::fmt::Display| Error::Library(format!(" ({}: {})", path.display(), one_line(e)));
    let environment = ort::init_from(&path).map_err(|e| unusable(&e))?;
    let environment = environment.with_telemetry(false).build().map_err(|e| unusable(&e))?;
    environment.set_log_level(LogLevel::Error);
    Ok(environment)
}

/// `ORT_DYLIB_PATH`, then the active virtual environment, then a `.venv` beside or above the current
/// folder or this program.
fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    let above = starts.iter().flatten().flat_map(|start| start.ancestors().map(|folder| folder.join(".venv")));
    active.into_iter().chain(above).find_map(|venv| in_venv(&venv))
}

/// The library of PyPI's `onnxruntime`, which has only its versioned name.
fn in_venv(venv: &Path) -> Option<PathBuf> {
    let names = |folder: PathBuf, prefix: &'static str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = entries
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
            .collect();
        paths.sort();
        paths
    };
    names(venv.join("lib"), "python3").into_iter().find_map(|python| {
        let capi = python.join("site-packages/onnxruntime/capi");
        names(capi, "libonnxruntime.").pop()
    })
}
