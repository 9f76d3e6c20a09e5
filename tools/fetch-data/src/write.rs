//! The files that a dataset becomes: `train.npy`, `test.npy`, and last `dataset.json`, which says what they are.

use crate::{
    fetch::Sum,
    layout::{Dataset, Rows},
    report::Report,
    statistics::Statistics,
};
use anyhow::Context;
use records::{Batch, Encoding, Field, Output, Schema, Writer, write_file};
use serde_json::{Map, Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

const TRAIN: &str = "train.npy";
const TEST: &str = "test.npy";
const DESCRIPTION: &str = "dataset.json";

/// The folder for the result. Folders that had to be made go away again with nothing in them.
pub struct Folder {
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl Folder {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let folder = Self { path: path.to_owned(), made };
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        Ok(folder)
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

/// Converts the rows and writes the files. Until all is converted, what was in the folder stays as it is.
pub fn write(folder: &Folder, name: &str, mut dataset: Dataset, report: &Report) -> anyhow::Result<()> {
    let path = |file: &str| folder.path.join(file);
    let mut statistics = Statistics::new(&dataset.schema)?;
    let train_writer =
        convert(&mut *dataset.train, &dataset.schema, &path(TRAIN), report, |rows| statistics.add(rows))?;
    let test_writer = match &mut dataset.test {
        Some(test) => Some(convert(&mut **test, &dataset.schema, &path(TEST), report, |_| {})?),
        None => None,
    };
    let description = format!("{:#}\n", describe(name, &dataset, &statistics));
    // The description goes first and comes last: it is there only with the rows that it describes.
    remove(&path(DESCRIPTION))?;
    train_writer.finish()?;
    match test_writer {
        Some(writer) => writer.finish()?,
        None => remove(&path(TEST))?,
    }
    write_file(&path(DESCRIPTION), description.as_bytes())?;
    let tests = dataset.test.map_or(String::new(), |test| format!(", {} for testing", test.count()));
    report.say(&format!("{}: {} rows for training{tests}", folder.path.display(), dataset.train.count()));
    Ok(())
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
fn convert(
    rows: &mut dyn Rows,
    schema: &Arc<Schema>,
    path: &Path,
    report: &Report,
    mut each: impl FnMut(&[u8]),
) -> anyhow::Result<Writer> {
    let mut writer = Writer::new(Output::create(Some(path))?, Encoding::Npy, Some(rows.count()));
    let bar = report.rows(&path.display().to_string(), rows.count());
    let mut done = 0;
    while let Some(packed) = rows.next()? {
        each(&packed);
        let batch = Batch::from_packed("the dataset", schema, done, packed)?;
        done += batch.rows() as u64;
        writer.write(&batch)?;
        bar.add(batch.rows() as u64);
    }
    Ok(writer)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}
