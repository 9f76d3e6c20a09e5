//! What is served: what the command line names, or as KServe starts a container, its folder.

use anyhow::{Context, ensure};
use cli::Common;
use std::{
    env,
    path::{Path, PathBuf},
};

/// Where KServe puts the models of a predictor.
const MOUNTED: &str = "/mnt/models";
/// The environment's variable for the port of HTTP, where [`MOUNTED`] is served.
const PORT: &str = "PORT";
/// The setting that it stands for.
const PORT_SETTING: &str = "serve.http_port=";

/// The paths that are served.
///
/// # Errors
/// When none is named and there is no folder of KServe's.
pub fn served(common: &Common) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(!common.names_stdin, "-: a model is a file or folder; standard input is none");
    let named: Vec<PathBuf> = common.inputs.iter().flatten().cloned().collect();
    if !named.is_empty() {
        return Ok(named);
    }
    ensure!(is_mounted(), "name what to serve: an .onnx file, a run folder or a folder of models");
    Ok(vec![MOUNTED.into()])
}

/// The port of HTTP that comes with KServe's folder; None where models or a port are named.
///
/// # Errors
/// When `PORT` is no port.
pub fn port(common: &Common) -> anyhow::Result<Option<usize>> {
    let is_named = common.inputs.iter().any(Option::is_some);
    let is_set = common.overrides.iter().any(|it| it.trim_start_matches('+').starts_with(PORT_SETTING));
    let Ok(text) = env::var(PORT) else { return Ok(None) };
    if is_named || is_set || !is_mounted() {
        return Ok(None);
    }
    let port: u16 = text.parse().with_context(|| format!("{PORT}={text}: expected a port (of the environment)"))?;
    Ok(Some(usize::from(port)))
}

fn is_mounted() -> bool {
    Path::new(MOUNTED).is_dir()
}
