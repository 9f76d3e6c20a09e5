//! Loading ONNX Runtime's shared library.

use crate::{Error, Result, one_line};
use dylib::ONNX_RUNTIME;
use ort::{environment::Environment, logging::LogLevel};
use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// ONNX Runtime and the path of its library, once it is started: a process can have one.
static STARTED: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// The environment of ONNX Runtime. The first call loads the library at `named`, or else the first that is found; later
/// calls give the same. Errors name `setting`, which `named` is the value of.
pub(crate) fn load(named: Option<&Path>, setting: &str) -> Result<Environment> {
    started(named, setting).map(|(environment, _)| environment)
}

/// The path of the library that [`load`] loads.
pub(crate) fn path(named: Option<&Path>, setting: &str) -> Result<PathBuf> {
    started(named, setting).map(|(_, path)| path)
}

/// The version of ONNX Runtime, `1.31.1`, from the name of its library, which is found as a model's is; where that has none,
/// what the library says of its build.
///
/// # Errors
/// When the library is missing or cannot be started.
pub fn library_version(named: Option<&Path>) -> Result<String> {
    let (_, path) = started(named, "")?;
    let path = path.canonicalize().unwrap_or(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = name.split_once(".so.").map(|(_, version)| version.to_owned());
    Ok(version.unwrap_or_else(|| {
        let build = one_line(&ort::info());
        build.split(", build type").next().unwrap_or_default().trim_start_matches("ORT Build Info: ").to_owned()
    }))
}

/// Whether there is a library: `named`, or one that is found. It is not loaded.
pub fn finds_library(named: Option<&Path>) -> bool {
    named.is_some() || ONNX_RUNTIME.find().is_ok()
}

fn started(named: Option<&Path>, setting: &str) -> Result<(Environment, PathBuf)> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = &*started {
        return Ok(running.clone());
    }
    let path = match named {
        Some(path) => path.to_owned(),
        None => ONNX_RUNTIME.find().map_err(|missing| Error::NoLibrary { missing, setting: setting.into() })?,
    };
    let named_by = match (named, env::var_os(ONNX_RUNTIME.variable)) {
        (Some(_), _) => setting,
        (None, Some(variable)) if path == Path::new(&variable) => ONNX_RUNTIME.variable,
        (None, _) => "",
    };
    let running = (start(&path, named_by)?, path);
    *started = Some(running.clone());
    Ok(running)
}

fn start(path: &Path, named_by: &str) -> Result<Environment> {
    let unusable = |e: &dyn std::fmt::Display| {
        let (path, named_by) = (path.to_owned(), named_by.to_owned());
        Error::Library { path, reason: one_line(e), named_by }
    };
    let environment = ort::init_from(path).map_err(|e| unusable(&e))?;
    // Its log would add lines to stderr, with unescaped text of the model; errors have the message.
    let environment = environment.with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    let environment = environment.build().map_err(|e| unusable(&e))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}
