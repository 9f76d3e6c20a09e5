//! `--run`: how long models take on this machine, by batch size. A model's file tells what runs it.
//!
//! - `job` is one measurement; `worker` is the process that makes it, alone in its memory, and `backend` what it runs.
//! - `timing` sums up the times; `nodes` reads ONNX Runtime's own profile and lays it beside the floors.
//! - `table` writes them.

mod backend;
mod job;
mod nodes;
mod table;
mod timing;
mod worker;

pub use backend::Backend;
pub use job::RunSettings;
pub use nodes::NodeTimes;
pub use table::{csv, json, tables};
pub use worker::work;

use crate::{device::Device, report::Report, settings::Settings};
use anyhow::Context;
use job::{Job, Measured};
use std::path::{Path, PathBuf};
use timing::Budget;

/// The measurements of one model.
pub struct Run {
    /// The path of its file or folder.
    pub model: String,
    pub backend: Backend,
    /// One for each batch size of the settings.
    pub cells: Vec<Cell>,
    /// Times of layers in ONNX Runtime, at the batch size of the settings.
    pub nodes: Option<NodeTimes>,
}

/// A row of the latency table.
pub struct Cell {
    pub batch_size: usize,
    /// The figures, or why there are none.
    pub measured: Result<Measured, String>,
}

/// Measures every model at every batch size, one process after the other. `reports` are those of the ONNX models among them.
/// A model that cannot run is rows without figures.
///
/// # Errors
/// When no model can run: its message is that of the first process that failed.
pub fn measure(
    paths: &[PathBuf],
    reports: &[Report],
    device: &Device,
    settings: &Settings,
) -> anyhow::Result<Vec<Run>> {
    let run = |path: &PathBuf| {
        let report = reports.iter().find(|report| Path::new(&report.model) == path);
        measure_model(path, report, device, settings)
    };
    let runs: Vec<Run> = paths.iter().map(run).collect::<Result<_, _>>()?;
    let mut cells = runs.iter().flat_map(|run| &run.cells);
    if cells.all(|cell| cell.measured.is_err())
        && let Some(Err(reason)) = runs.iter().flat_map(|run| &run.cells).map(|cell| &cell.measured).next()
    {
        anyhow::bail!("{reason}");
    }
    Ok(runs)
}

fn measure_model(path: &Path, report: Option<&Report>, device: &Device, settings: &Settings) -> anyhow::Result<Run> {
    let backend = Backend::of(path);
    let cell = |&batch_size: &usize| Cell {
        batch_size,
        measured: Job::new(backend, path, batch_size, settings).run().map_err(|error| format!("{error:#}")),
    };
    let cells: Vec<Cell> = settings.run.batch_sizes.iter().map(cell).collect();
    let ran = settings.run.node_runs > 0 && cells.iter().any(|cell| cell.measured.is_ok());
    let nodes = report.filter(|_| ran).map(|report| node_times(path, report, device, settings)).transpose()?;
    Ok(Run { model: path.display().to_string(), backend, cells, nodes })
}

/// One more measurement of ONNX Runtime, with its profile: taking it makes every node slower, so latencies are measured without.
fn node_times(path: &Path, report: &Report, device: &Device, settings: &Settings) -> anyhow::Result<NodeTimes> {
    let folder = tempfile::tempdir().context("a folder for ONNX Runtime's profile")?;
    let batch_size = settings.batch_size;
    let mut job = Job::new(Backend::OnnxRuntime, path, batch_size, settings);
    job.profile = Some(folder.path().join("onnxruntime"));
    // One warm-up run, and as many as are asked for.
    let runs = settings.run.node_runs;
    job.budget = Budget { warm_up_seconds: 0.0, seconds: 0.0, min_runs: runs, max_runs: runs };
    let measured = job.run()?;
    let path = measured.profile.context("ONNX Runtime wrote no profile")?;
    let limit = files::Limit { bytes: settings.run.profile_bytes, setting: Some("profile.run.profile_bytes") };
    let events = files::read_file(&path, limit)?;
    NodeTimes::new(&events, measured.runs, report, &device.name, batch_size)
}
