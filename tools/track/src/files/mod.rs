//! The run as files, which are written as events come.

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

/// A log that is made of files. It holds one run.
pub trait Sink: Send {
    /// The flag that asks for it.
    fn flag(&self) -> &'static str;

    /// Where the files are.
    fn folder(&self) -> &Path;

    /// Whether a run's files are there.
    fn is_used(&self) -> bool;

    /// The run begins: what is there of another is replaced.
    ///
    /// # Errors
    /// What the operating system says.
    fn start(&mut self, start: &Start) -> anyhow::Result<()>;

    /// The run goes on in files that an earlier invocation wrote: what they hold beyond `step` goes.
    ///
    /// # Errors
    /// What the operating system says.
    fn take_up(&mut self, start: &Start, step: usize) -> anyhow::Result<()>;

    /// The run goes on from `step`, after it was cut off: what it measured beyond is measured again, and so is what is
    /// measured at the end alone.
    ///
    /// # Errors
    /// What the operating system says.
    fn go_back(&mut self, step: usize) -> anyhow::Result<()>;

    /// Numbers were measured.
    ///
    /// # Errors
    /// What the operating system says.
    fn measure(&mut self, measured: &Measured) -> anyhow::Result<()>;

    /// The input has ended.
    ///
    /// # Errors
    /// What the operating system says.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Begins a run in the files, or goes on with it where they hold what it was resumed from.
///
/// # Errors
/// What the operating system says.
pub fn begin(sink: &mut dyn Sink, start: &Start) -> anyhow::Result<()> {
    let (new, there) = (Owner::of(start), Owner::read(sink.folder()));
    if let (Some(resumed), Some(there)) = (&start.resumed, there.as_ref().filter(|there| there.goes_on_in(start))) {
        sink.take_up(start, resumed.step)?;
        return Owner { id: there.id.clone(), ..new }.write(sink.folder());
    }
    if sink.is_used() && there.as_ref().is_none_or(|there| there.id != new.id) {
        let whose = there.map_or("another run".to_owned(), |there| format!("run {:?} ({})", there.name, there.run_dir));
        let (flag, folder) = (sink.flag(), sink.folder().display());
        cli::note(&format!("{flag} {folder}: replaces the files of {whose}, which it held"));
    }
    sink.start(start)?;
    new.write(sink.folder())
}

/// Whether a metric is measured once a run has ended, and thus void where the run goes on.
fn is_final(metric: &str) -> bool {
    metric.starts_with("test_")
}

/// What an event has measured.
pub struct Measured<'a> {
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    pub metrics: &'a Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

impl<'a> Measured<'a> {
    /// None for an event that has no numbers.
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

/// Opens the logs that are asked for, each by its folder, which is made where it is missing.
///
/// # Errors
/// When a folder cannot be written.
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

/// A number as Python writes it, so that its readers know what is not finite.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "nan".to_owned() }
}

/// Refuses what is there and no file: a named pipe would hold the lines back until it has a reader.
fn ensure_writable(path: &Path) -> anyhow::Result<()> {
    let other = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    ensure!(!other, "{}: no regular file", path.display());
    Ok(())
}

/// Removing what is not there is done at once.
fn if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
