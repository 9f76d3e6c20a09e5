//! Loading ONNX Runtime's shared library.

use crate::{Error, Result, one_line};
use dylib::Search;
use ort::{environment::Environment, logging::LogLevel};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The library of PyPI's `onnxruntime`, which has only its versioned name.
const SEARCH: Search<'_> =
    Search { variable: "ORT_DYLIB_PATH", package: "onnxruntime/capi", prefix: "libonnxruntime.", with: &[] };

/// ONNX Runtime and the path of its library, once it is started: a process can have one.
static STARTED: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// The environment of ONNX Runtime. The first call loads the library at `named`, or else the first that is found; later
/// calls give the same.
pub(crate) fn load(named: Option<&Path>) -> Result<Environment> {
    started(named).map(|(environment, _)| environment)
}

/// The version of ONNX Runtime, `1.31.1`, from the name of its library, which is found as a model's is; where that has none,
/// what the library says of its build.
///
/// # Errors
/// When the library is missing or cannot be started.
pub fn library_version(named: Option<&Path>) -> Result<String> {
    let (_, path) = started(named)?;
    let path = path.canonicalize().unwrap_or(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = name.split_once(".so.").map(|(_, version)| version.to_owned());
    Ok(version.unwrap_or_else(|| {
        let build = one_line(&ort::info());
        build.split(", build type").next().unwrap_or_default().trim_start_matches("ORT Build Info: ").to_owned()
    }))
}

fn started(named: Option<&Path>) -> Result<(Environment, PathBuf)> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = &*started {
        return Ok(running.clone());
    }
    let path = named.map_or_else(|| SEARCH.find(), |path| Ok(path.to_owned()))?;
    let running = (start(&path)?, path);
    *started = Some(running.clone());
    Ok(running)
}

fn start(path: &Path) -> Result<Environment> {
    let unusable = |e: &dyn std::fmt::Display| Error::Library { path: path.to_owned(), reason: one_line(e) };
    let environment = ort::init_from(path).map_err(|e| unusable(&e))?;
    // Its log would add lines to stderr, with unescaped text of the model; errors have the message.
    let environment = environment.with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    let environment = environment.build().map_err(|e| unusable(&e))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}
