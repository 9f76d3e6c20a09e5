//! The run as files, which are written as events come.

mod csv_logger;
mod dvclive;
mod tensorboard;

use events::{Event, Metrics, Start};
use std::{path::PathBuf, time::Duration};

/// A log that is made of files. It holds one run.
pub trait Sink: Send {
    /// The run begins.
    ///
    /// # Errors
    /// What the operating system says.
    fn start(&mut self, start: &Start) -> anyhow::Result<()>;

    /// The run goes on from `step`, after it was cut off: what it measured beyond is measured again.
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

/// Opens the logs that are asked for, each by its folder, which is made where it is missing. `interval` is the
/// least time between two versions of a file that is written anew.
///
/// # Errors
/// When a folder cannot be written.
pub fn open(
    dvclive: Option<PathBuf>,
    csv: Option<PathBuf>,
    tensorboard: Option<PathBuf>,
    interval: Duration,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(folder) = dvclive {
        sinks.push(Box::new(dvclive::DvcLive::open(folder, interval)?));
    }
    if let Some(folder) = csv {
        sinks.push(Box::new(csv_logger::CsvLogger::open(folder)?));
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
