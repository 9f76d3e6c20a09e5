//! TensorBoard's event files: TFRecords of `tensorflow.Event` (`tensorflow/core/util/event.proto`).
//!
//! A record is its length (u64), a checksum of that, the message, and a checksum of that, little-endian.
//! A checksum is the masked CRC-32C of `tensorflow/core/lib/hash/crc32c.h`.

use super::{Measured, Sink};
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

/// How names of event files begin, as TensorBoard knows them, and who wrote them.
const PREFIX: &str = "events.out.tfevents.";
const WRITER: &str = ".pipegrad.";

/// What the first event says.
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

/// What happened to the run itself.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// A session began: readers forget what other sessions said of its step and those after it.
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

    /// The event files that `track` wrote, with the second in which their run began.
    fn files(&self) -> Vec<(i64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let second = |entry: &fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(PREFIX)?.split_once(WRITER)?.0.parse().ok()
        };
        entries.filter_map(|entry| Some((second(&entry)?, entry.path()))).collect()
    }

    /// Removes those of runs that began in `second` or later.
    fn remove_from(&self, second: i64) -> anyhow::Result<()> {
        for (_, path) in self.files().into_iter().filter(|(began, _)| *began >= second) {
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

    fn is_used(&self) -> bool {
        !self.files().is_empty()
    }

    /// TensorBoard reads all event files of a folder as one run, so that those of another go.
    fn start(&mut self, start: &Start) -> anyhow::Result<()> {
        self.remove_from(i64::MIN)?;
        self.create(start)
    }

    /// TensorBoard reads the files by name: what the same log left when it was read before would come again.
    fn take_up(&mut self, start: &Start, step: usize) -> anyhow::Result<()> {
        self.remove_from(second(start))?;
        self.create(start)?;
        self.go_back(step)
    }

    fn go_back(&mut self, step: usize) -> anyhow::Result<()> {
        let step = whole(step)?.saturating_add(1);
        self.write(&Event { step, session_log: Some(SessionLog { status: START }), ..Event::default() })
    }

    fn measure(&mut self, measured: &Measured) -> anyhow::Result<()> {
        let scalar = |(name, value): (&str, f64)| Scalar { tag: name.to_owned(), simple_value: Some(value as f32) };
        let summary = Some(Summary { value: measured.metrics.iter().map(scalar).collect() });
        let step = whole(measured.step)?;
        self.write(&Event { wall_time: measured.time, step, summary, ..Event::default() })
    }
}

/// The second in which a run began, whatever its clock said.
fn second(start: &Start) -> i64 {
    milliseconds(start.time) / 1000
}

fn whole(step: usize) -> anyhow::Result<i64> {
    i64::try_from(step).with_context(|| format!("--tensorboard: step {step}: larger than its files can hold"))
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    /// TensorFlow's: a checksum of data that holds checksums would be weak without it.
    const MASK: u32 = 0xa282_ead8;
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK).to_le_bytes()
}
