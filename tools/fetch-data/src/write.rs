//! The files that a dataset becomes: `train.npy`, `test.npy`, and last `dataset.json`, which says what they are.

use crate::{
    fetch::Sum,
    layout::Dataset,
    lock::lock,
    report::{Bar, Report},
    statistics::Statistics,
};
use anyhow::Context;
use cli::{Outcome, Signals};
use records::{Batch, Encoding, Field, Output, Schema, Writer, remove_unfinished, write_file};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

const TRAIN: &str = "train.npy";
const TEST: &str = "test.npy";
const DESCRIPTION: &str = "dataset.json";
const FILES: [&str; 3] = [TRAIN, TEST, DESCRIPTION];

/// The folder for the result, which no other `fetch-data` writes meanwhile. Folders that had to be made go away again
/// with nothing in them.
pub struct Folder {
    path: PathBuf,
    made: Vec<PathBuf>,
    /// Locked until it is closed.
    lock: Option<File>,
}

impl Folder {
    /// Makes the folder, waits for another process that writes there, and removes what killed ones have left.
    pub fn open(path: &Path, report: &Report) -> anyhow::Result<Self> {
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        loop {
            let made = path.ancestors().take_while(missing).map(Path::to_owned).collect();
            let mut folder = Self { path: path.to_owned(), made, lock: None };
            let locked = fs::create_dir_all(path).and_then(|()| folder.lock(report));
            locked.with_context(|| path.display().to_string())?;
            // Another process may have removed the folder that it had made, before it gave up the lock.
            if path.is_dir() {
                for file in FILES {
                    remove_unfinished(&folder.path.join(file))?;
                }
                return Ok(folder);
            }
        }
    }

    fn lock(&mut self, report: &Report) -> io::Result<()> {
        // Some systems open no folders; there, so be it.
        let Ok(folder) = File::open(&self.path) else { return Ok(()) };
        lock(&folder, || {
            report.say(&format!("{}: waiting for another fetch-data, which is writing there", self.path.display()));
        })?;
        self.lock = Some(folder);
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder with something in it is not removed.
        self.made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Converts the rows and writes the files. Until all is converted, what was in the folder stays as it is, also when a
/// signal comes.
pub fn write(folder: &Folder, name: &str, mut dataset: Dataset, report: &Report) -> anyhow::Result<Outcome> {
    let path = |file: &str| folder.path.join(file);
    let mut statistics = Statistics::new(&dataset.schema)?;
    // From here on there are files that a signal would leave behind.
    let signals = Signals::listen()?;
    let mut writers = Vec::new();
    for (file, rows) in [(TRAIN, Some(&mut dataset.train)), (TEST, dataset.test.as_mut())] {
        let Some(rows) = rows else { continue };
        let mut converter = Converter::new(&path(file), &dataset.schema, rows.count(), report)?;
        while let Some(packed) = rows.next()? {
            if let Some(signal) = signals.received() {
                return Ok(Outcome::Signal(signal.exit_status));
            }
            if file == TRAIN {
                statistics.add(&packed);
            }
            converter.write(packed)?;
        }
        writers.push(converter.writer);
    }
    let description = format!("{:#}\n", describe(name, &dataset, &statistics));
    // The description goes first and comes last: it is there only with the rows that it describes.
    remove(&path(DESCRIPTION))?;
    writers.into_iter().try_for_each(Writer::finish)?;
    if dataset.test.is_none() {
        remove(&path(TEST))?;
    }
    write_file(&path(DESCRIPTION), description.as_bytes())?;
    let tests = dataset.test.map_or(String::new(), |test| format!(", {} for testing", test.count()));
    report.say(&format!("{}: {} rows for training{tests}", folder.path.display(), dataset.train.count()));
    Ok(Outcome::Done)
}

/// What the rows are, and what they were made from.
fn describe(name: &str, dataset: &Dataset, statistics: &Statistics) -> Value {
    let field = |field: &Field| (field.name.clone(), json!({ "dtype": field.dtype.name(), "shape": field.shape }));
    let file = |(key, sum): (&String, &Sum)| (key.clone(), json!({ "sha256": sum.sha256, "bytes": sum.bytes }));
    let mut description = json!({
        "name": name,
        "fields": dataset.schema.fields().iter().map(field).collect::<Map<_, _>>(),
        "classes": dataset.classes,
        "train": { "rows": dataset.train.count(), "mean": statistics.mean(), "std": statistics.std() },
    });
    if let Some(test) = &dataset.test {
        description["test"] = json!({ "rows": test.count() });
    }
    description["files"] = dataset.files.iter().map(file).collect();
    description
}

/// Writes rows to a file that has no name yet.
struct Converter<'a> {
    writer: Writer,
    schema: &'a Arc<Schema>,
    rows: u64,
    bar: Bar,
}

impl<'a> Converter<'a> {
    fn new(path: &Path, schema: &'a Arc<Schema>, rows: u64, report: &Report) -> anyhow::Result<Self> {
        let writer = Writer::new(Output::create(Some(path))?, Encoding::Npy, Some(rows));
        Ok(Self { writer, schema, rows: 0, bar: report.rows(&path.display().to_string(), rows) })
    }

    fn write(&mut self, packed: Vec<u8>) -> anyhow::Result<()> {
        let batch = Batch::from_packed("the dataset", self.schema, self.rows, packed)?;
        self.rows += batch.rows() as u64;
        self.writer.write(&batch)?;
        self.bar.add(batch.rows() as u64);
        Ok(())
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}
