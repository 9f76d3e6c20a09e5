//! Writing a dataset: `train.npy` and `test.npy`, or `images.npy` and `paths.csv`, and last `dataset.json`, which
//! describes them.

use crate::{
    fetch::Checksum,
    layout::{Dataset, IMAGES, Split, TEST, TRAIN},
};
use anyhow::{Context, bail};
use cli::{Bar, Outcome, Report, Signals, Unit};
use dataset::{ByteSums, Statistics};
use files::{Lock, NewFolders, Output, remove_stale, write_file};
use records::{Batch, Encoding, Field, Schema, Writer};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

const SPLITS: [&str; 3] = [TRAIN, TEST, IMAGES];
const DESCRIPTION: &str = "dataset.json";
/// The path of each row, for images without classes.
const PATHS: &str = "paths.csv";
/// The largest value of a pixel.
const WHITE: f64 = 255.0;

/// The output folder, locked against other processes. Folders that were created are deleted on drop if they are empty.
pub struct OutputFolder {
    path: PathBuf,
    _created: NewFolders,
    _lock: Option<Lock>,
}

impl OutputFolder {
    /// Creates and locks the folder, after waiting for another process that writes there, and deletes temporary files of
    /// killed processes.
    pub fn open(path: &Path, report: &Report) -> anyhow::Result<Self> {
        let context = || path.display().to_string();
        loop {
            let created = NewFolders::create(path).with_context(context)?;
            let lock = lock(path, report).with_context(context)?;
            // The process that held the lock may have deleted the folder.
            if path.is_dir() {
                let folder = Self { path: path.to_owned(), _created: created, _lock: lock };
                for split in SPLITS {
                    remove_stale(&folder.split(split))?;
                }
                for file in [PATHS, DESCRIPTION] {
                    remove_stale(&folder.path.join(file))?;
                }
                return Ok(folder);
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a split.
    fn split(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.npy"))
    }

    /// Fails if the folder has rows of the other kind of dataset, which a new `dataset.json` would not describe.
    fn ensure_same_kind(&self, dataset: &Dataset) -> anyhow::Result<()> {
        let others: &[&str] = if dataset.paths.is_some() { &[TRAIN, TEST] } else { &[IMAGES] };
        let mut others = others.iter().map(|name| self.split(name)).filter(|file| file.exists());
        match others.next() {
            Some(file) if self.path.join(DESCRIPTION).exists() => {
                bail!("{}: belongs to another dataset; choose another folder with -o", file.display())
            }
            _ => Ok(()),
        }
    }
}

/// None on systems that cannot open folders.
fn lock(path: &Path, report: &Report) -> io::Result<Option<Lock>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    let waiting = || report.say(&format!("{}: waiting for another fetch-data, which is writing there", path.display()));
    Lock::wait(folder, waiting).map(Some)
}

/// Converts the rows and writes the files. The existing files are replaced only after all rows are converted; a signal
/// before that leaves them unchanged.
pub fn write(folder: &OutputFolder, name: &str, mut dataset: Dataset, report: &Report) -> anyhow::Result<Outcome> {
    folder.ensure_same_kind(&dataset)?;
    // An image is the first field of every layout.
    let mut sums = ByteSums::new(&dataset.schema.fields()[0].shape);
    // From here on, a signal must delete temporary files.
    let signals = Signals::listen()?;
    let mut writers = Vec::new();
    for (number, split) in dataset.splits.iter_mut().enumerate() {
        let path = folder.split(split.name);
        let mut converter = Converter::new(&path, &dataset.schema, split.rows.count(), report)?;
        while let Some(packed) = split.rows.next()? {
            if let Some(signal) = signals.received() {
                return Ok(Outcome::Signal(signal.exit_status));
            }
            if number == 0 {
                packed.chunks_exact(dataset.schema.row_bytes()).for_each(|row| sums.add(row));
            }
            converter.write(packed)?;
        }
        writers.push(converter.writer);
    }
    finish(folder, &dataset, writers, &format!("{:#}\n", describe(name, &dataset, &sums.statistics())))?;
    report.say(&format!("{}: {}", folder.path.display(), count(&dataset.splits)));
    Ok(Outcome::Done)
}

/// Renames the files to their final names. The old description is removed first, and the new one written last: a
/// description always matches the rows.
fn finish(folder: &OutputFolder, dataset: &Dataset, writers: Vec<Writer>, description: &str) -> anyhow::Result<()> {
    let path = |file: &str| folder.path.join(file);
    remove(&path(DESCRIPTION))?;
    writers.into_iter().try_for_each(Writer::finish)?;
    if let Some(paths) = &dataset.paths {
        write_file(&path(PATHS), &table(paths)?)?;
    } else if dataset.splits.iter().all(|split| split.name != TEST) {
        remove(&folder.split(TEST))?;
    }
    Ok(write_file(&path(DESCRIPTION), description.as_bytes())?)
}

/// The content of `dataset.json`. `statistics` are those of the first split, one for each channel, in units of a pixel;
/// they are written divided by [`WHITE`].
fn describe(name: &str, dataset: &Dataset, statistics: &[Statistics]) -> Value {
    let scaled = |of: fn(&Statistics) -> f64| statistics.iter().map(|one| of(one) / WHITE).collect::<Vec<_>>();
    let field = |field: &Field| (field.name.clone(), json!({ "dtype": field.dtype.name(), "shape": field.shape }));
    let file = |(key, file): (&String, &Checksum)| (key.clone(), json!({ "sha256": file.sha256, "bytes": file.bytes }));
    let mut description = json!({
        "name": name,
        "fields": dataset.schema.fields().iter().map(field).collect::<Map<_, _>>(),
        "classes": dataset.classes,
    });
    for (number, split) in dataset.splits.iter().enumerate() {
        description[split.name] = match number {
            0 => {
                let (mean, std) = (scaled(|one| one.mean), scaled(Statistics::standard_deviation));
                json!({ "rows": split.rows.count(), "mean": mean, "std": std })
            }
            _ => json!({ "rows": split.rows.count() }),
        };
    }
    if let Some(paths) = &dataset.paths {
        description["paths"] = json!(paths);
    }
    description["files"] = dataset.files.iter().map(file).collect();
    description
}

/// The number of rows of each split, for a message.
fn count(splits: &[Split]) -> String {
    let count = |split: &Split| match (split.name, split.rows.count()) {
        (TRAIN, rows) => format!("{rows} rows for training"),
        (TEST, rows) => format!("{rows} for testing"),
        (_, rows) => format!("{rows} images"),
    };
    splits.iter().map(count).collect::<Vec<_>>().join(", ")
}

/// The content of `paths.csv`: the index and the path of each row.
fn table(paths: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["row", "path"])?;
    for (row, path) in paths.iter().enumerate() {
        table.write_record([&row.to_string(), path])?;
    }
    Ok(table.into_inner()?)
}

/// Writes rows to a temporary file.
struct Converter<'a> {
    writer: Writer,
    schema: &'a Arc<Schema>,
    rows: u64,
    bar: Bar,
}

impl<'a> Converter<'a> {
    fn new(path: &Path, schema: &'a Arc<Schema>, rows: u64, report: &Report) -> anyhow::Result<Self> {
        let writer = Writer::new(Output::create(Some(path))?, Encoding::Npy, Some(rows));
        let bar = report.bar(Unit::Rows);
        bar.start(&path.display().to_string(), Some(rows), 0);
        Ok(Self { writer, schema, rows: 0, bar })
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
