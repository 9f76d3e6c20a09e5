//! Loading ONNX Runtime's shared library.

use crate::{Error, Result, one_line};
use dylib::Search;
use ort::{environment::Environment, logging::LogLevel};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The library of PyPI's `onnxruntime`, which has only its versioned name.
const SEARCH: Search<'_> =
    Search { variable: "ORT_DYLIB_PATH", package: "onnxruntime/capi", prefix: "libonnxruntime." };

/// ONNX Runtime, once it is started: a process can have one.
static STARTED: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment of ONNX Runtime. The first call loads the library at `named`, or else the first that is found; later
/// calls give the same.
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
    let path = named.map_or_else(|| SEARCH.find(), |path| Ok(path.to_owned()))?;
    let unusable = |e: &dyn std::fmt::Display| Error::Library { path: path.clone(), reason: one_line(e) };
    let environment = ort::init_from(&path).map_err(|e| unusable(&e))?;
    // Its log would add lines to stderr, with unescaped text of the model; errors have the message.
    let environment = environment.with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    let environment = environment.build().map_err(|e| unusable(&e))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}
