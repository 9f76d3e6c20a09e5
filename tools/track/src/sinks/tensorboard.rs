//! TensorBoard's event files: TFRecords of `tensorflow.Event` (`tensorflow/core/util/event.proto`).
//!
//! A record is the length of the message (u64), the checksum of the length, the message, and its checksum, all
//! little-endian. A checksum is the masked CRC-32C of `tensorflow/core/lib/hash/crc32c.h`.

use super::{Measurement, Sink};
use crate::mlflow::milliseconds;
use anyhow::Context;
use events::Start;
use prost::Message;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process,
};

/// Prefix of the names of event files.
const PREFIX: &str = "events.out.tfevents.";
/// Follows the time in the names of files that `track` wrote.
const WRITER: &str = ".pipegrad.";

/// `file_version` of the first event.
const VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// `SessionLog` of `event.proto`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionStatus.START`: readers drop earlier values of this step and later ones.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

/// `Summary.Value` with its field `simple_value`.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

pub struct TensorBoard {
    folder: PathBuf,
    file: Option<File>,
}

impl TensorBoard {
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("--tensorboard {}", folder.display()))?;
        Ok(Self { folder, file: None })
    }

    /// The event files that `track` wrote, each with the start of its run in seconds since 1970-01-01 UTC.
    fn files(&self) -> Vec<(i64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let second = |entry: &fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(PREFIX)?.split_once(WRITER)?.0.parse().ok()
        };
        entries.filter_map(|entry| Some((second(&entry)?, entry.path()))).collect()
    }

    /// Removes the event files of runs that started in `second` or later.
    fn remove_from(&self, second: i64) -> anyhow::Result<()> {
        for (_, path) in self.files().into_iter().filter(|(start, _)| *start >= second) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn create(&mut self, start: &Start) -> anyhow::Result<()> {
        let name = format!("{PREFIX}{:010}{WRITER}{}", second(start), process::id());
        let path = self.folder.join(name);
        self.file = Some(File::create(&path).with_context(|| path.display().to_string())?);
        self.write(&Event { wall_time: start.time, file_version: Some(VERSION.into()), ..Event::default() })
    }

    fn write(&mut self, event: &Event) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&record(&event.encode_to_vec()))
            .with_context(|| format!("--tensorboard {}", self.folder.display()))
    }
}

impl Sink for TensorBoard {
    fn flag(&self) -> &'static str {
        "--tensorboard"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn has_files(&self) -> bool {
        !self.files().is_empty()
    }

    /// Removes all event files: TensorBoard reads all files in a folder as one run.
    fn start(&mut self, start: &Start) -> anyhow::Result<()> {
        self.remove_from(i64::MIN)?;
        self.create(start)
    }

    /// Removes the event files that an earlier reading of the same log wrote: TensorBoard would read both.
    fn resume(&mut self, start: &Start, step: usize) -> anyhow::Result<()> {
        self.remove_from(second(start))?;
        self.create(start)?;
        self.rewind(step)
    }

    fn rewind(&mut self, step: usize) -> anyhow::Result<()> {
        let step = as_i64(step)?.saturating_add(1);
        self.write(&Event { step, session_log: Some(SessionLog { status: START }), ..Event::default() })
    }

    fn log(&mut self, measurement: &Measurement) -> anyhow::Result<()> {
        let scalar = |(name, value): (&str, f64)| Scalar { tag: name.to_owned(), simple_value: Some(value as f32) };
        let summary = Some(Summary { value: measurement.metrics.iter().map(scalar).collect() });
        let step = as_i64(measurement.step)?;
        self.write(&Event { wall_time: measurement.time, step, summary, ..Event::default() })
    }
}

/// The start of a run in seconds since 1970-01-01 UTC, clamped to the years 1970 to 9999.
fn second(start: &Start) -> i64 {
    milliseconds(start.time) / 1000
}

fn as_i64(step: usize) -> anyhow::Result<i64> {
    i64::try_from(step).with_context(|| format!("--tensorboard: step {step}: larger than its files can hold"))
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    /// `kMaskDelta` of TensorFlow: the plain CRC of data that contains CRCs is weak.
    const MASK: u32 = 0xa282_ead8;
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK).to_le_bytes()
}
