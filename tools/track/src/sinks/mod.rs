//! Log files of one run, written while its events are read.

mod csv_logger;
mod dvclive;
mod owner;
mod tensorboard;

pub use owner::{Owner, identity};

use crate::settings::Settings;
use anyhow::ensure;
use events::{Event, Metrics, Start};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Log files of one run, in one folder.
pub trait Sink: Send {
    /// The flag that enables it, for messages.
    fn flag(&self) -> &'static str;

    /// The folder of the files.
    fn folder(&self) -> &Path;

    /// Whether the folder holds files of a run.
    fn has_files(&self) -> bool;

    /// Starts a run; existing files are replaced.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn start(&mut self, start: &Start) -> anyhow::Result<()>;

    /// Continues the run in the files of an earlier invocation; values of steps after `step` are removed.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    fn resume(&mut self, start: &Start, step: usize) -> anyhow::Result<()>;

    /// The run is resumed from `step`: values of later steps, and those of the end of the run (see [`is_final`]), are
    /// removed.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    fn rewind(&mut self, step: usize) -> anyhow::Result<()>;

    /// Adds the metrics of an event.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn log(&mut self, measurement: &Measurement) -> anyhow::Result<()>;

    /// Completes the files, at the end of the input.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Starts a run in the files, or continues it if they belong to the run that it was resumed from.
///
/// # Errors
/// If a file cannot be read or written.
pub fn begin(sink: &mut dyn Sink, start: &Start) -> anyhow::Result<()> {
    let (new, old) = (Owner::of(start), Owner::read(sink.folder()));
    if let (Some(resumed), Some(old)) = (&start.resumed, old.as_ref().filter(|old| old.is_resumed_by(start))) {
        sink.resume(start, resumed.step)?;
        return Owner { id: old.id.clone(), ..new }.write(sink.folder());
    }
    if sink.has_files() && old.as_ref().is_none_or(|old| old.id != new.id) {
        let run = old.map_or("another run".to_owned(), |old| format!("run {:?} ({})", old.name, old.run_dir));
        let (flag, folder) = (sink.flag(), sink.folder().display());
        cli::note(&format!("{flag} {folder}: replacing the files of {run}"));
    }
    sink.start(start)?;
    new.write(sink.folder())
}

/// Whether a metric is measured at the end of a run, and therefore void if the run is resumed.
fn is_final(metric: &str) -> bool {
    metric.starts_with("test_")
}

/// The metrics of an event.
pub struct Measurement<'a> {
    /// From 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
    pub metrics: &'a Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

impl<'a> Measurement<'a> {
    /// None for an event without metrics.
    pub fn of(event: &'a Event) -> Option<Self> {
        let (step, metrics) = event.metrics()?;
        let epoch = match event {
            Event::Step(event) => event.epoch,
            Event::Validation(event) => event.epoch,
            Event::Epoch(event) => event.epoch,
            Event::Test(event) => event.epoch,
            Event::Start(_) | Event::Checkpoint(_) | Event::End(_) => return None,
        };
        Some(Self { epoch, step, metrics, time: event.time() })
    }
}

/// Opens the log files of each given folder, which is created if it does not exist.
///
/// # Errors
/// If a folder cannot be created.
pub fn open(
    dvclive: Option<PathBuf>,
    csv: Option<PathBuf>,
    tensorboard: Option<PathBuf>,
    settings: &Settings,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(folder) = dvclive {
        sinks.push(Box::new(dvclive::DvcLive::open(folder, settings.interval.0)?));
    }
    if let Some(folder) = csv {
        sinks.push(Box::new(csv_logger::CsvLogger::open(folder, settings.csv_cells)?));
    }
    if let Some(folder) = tensorboard {
        sinks.push(Box::new(tensorboard::TensorBoard::open(folder)?));
    }
    Ok(sinks)
}

/// A value as text; NaN and infinity are `nan`, which Python reads.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "nan".to_owned() }
}

/// Fails if the path exists and is not a regular file: writing to a named pipe would block until it has a reader.
fn ensure_writable(path: &Path) -> anyhow::Result<()> {
    let other = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    ensure!(!other, "{}: not a regular file", path.display());
    Ok(())
}

/// The result of removing a file that need not exist.
fn ignore_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
