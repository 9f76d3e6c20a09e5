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
use job::{Batch, Job, Measured};
use std::path::{Path, PathBuf};
use timing::Budget;

/// The measurements of one model.
pub struct Run {
    /// The path of its file or folder.
    pub model: String,
    pub backend: Backend,
    /// One for each batch size of the settings, or one for the size that the model fixes.
    pub cells: Vec<Cell>,
    /// Times of layers in ONNX Runtime.
    pub nodes: Option<NodeTimes>,
}

/// A row of the latency table.
pub struct Cell {
    pub batch_size: usize,
    /// The figures, or why there are none.
    pub measured: anyhow::Result<Measured>,
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
    let mut runs: Vec<Run> = paths.iter().map(run).collect::<Result<_, _>>()?;
    if runs.iter().flat_map(|run| &run.cells).any(|cell| cell.measured.is_ok()) {
        return Ok(runs);
    }
    let first = runs.iter_mut().flat_map(|run| run.cells.drain(..)).find_map(|cell| cell.measured.err());
    first.map_or(Ok(runs), Err)
}

fn measure_model(path: &Path, report: Option<&Report>, device: &Device, settings: &Settings) -> anyhow::Result<Run> {
    let backend = Backend::of(path, settings.run.runtime);
    let cells = cells(backend, path, settings);
    let ran = cells.iter().find_map(|cell| Some(cell.measured.as_ref().ok()?.backend));
    let backend = ran.unwrap_or(backend);
    let profiles = ran.is_some() && settings.run.node_runs > 0 && has_profile(backend, settings);
    let nodes = report.filter(|_| profiles).map(|report| node_times(path, report, device, settings)).transpose()?;
    Ok(Run { model: path.display().to_string(), backend, cells, nodes })
}

/// The measurements at each batch size; of a model that fixes it, one.
fn cells(backend: Backend, path: &Path, settings: &Settings) -> Vec<Cell> {
    let batch_sizes = &settings.run.batch_sizes;
    let mut cells = Vec::new();
    for &batch_size in batch_sizes {
        let measured = Job::new(backend, path, batch_size, settings).run();
        let fixed = measured.as_ref().ok().map(|measured| measured.batch).filter(|batch| batch.is_fixed);
        cells.push(Cell { batch_size: fixed.map_or(batch_size, |batch| batch.size), measured });
        if let Some(Batch { size, .. }) = fixed {
            if *batch_sizes != [size] {
                let path = path.display();
                cli::note(&format!("{path}: the batch size is fixed: {size}; profile.run.batch_sizes has no effect"));
            }
            break;
        }
    }
    cells
}

/// Whether ONNX Runtime can tell the times of layers of a model that runs on `backend`.
fn has_profile(backend: Backend, settings: &Settings) -> bool {
    match (backend, settings.run.runtime) {
        (Backend::OnnxRuntime, _) => true,
        (Backend::Native, runtime::Backend::Auto) => runtime::finds_library(settings.run.onnxruntime.as_deref()),
        _ => false,
    }
}

/// One more measurement, of ONNX Runtime, with its profile: taking it makes every node slower, so latencies are measured without.
fn node_times(path: &Path, report: &Report, device: &Device, settings: &Settings) -> anyhow::Result<NodeTimes> {
    let folder = tempfile::tempdir().context("a folder for ONNX Runtime's profile")?;
    let mut job = Job::new(Backend::OnnxRuntime, path, settings.batch_size, settings);
    job.runtime = runtime::Backend::Ort;
    job.profile = Some(folder.path().join("onnxruntime"));
    // One warm-up run, and as many as are asked for.
    let runs = settings.run.node_runs;
    job.budget = Budget { warm_up_seconds: 0.0, seconds: 0.0, min_runs: runs, max_runs: runs };
    let measured = job.run()?;
    let path = measured.profile.context("ONNX Runtime wrote no profile")?;
    let limit = files::Limit { bytes: settings.run.profile_bytes, setting: Some("profile.run.profile_bytes") };
    let events = files::read_file(&path, limit)?;
    NodeTimes::new(&events, measured.runs, report, &device.name, measured.batch.size)
}
