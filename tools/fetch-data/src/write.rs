//! The files that a dataset becomes: `train.npy`, `test.npy`, and last `dataset.json`, which says what they are.

use crate::{
    layout::{Dataset, IMAGE, Rows},
    report::Report,
};
use anyhow::{Context, ensure};
use records::{Batch, Encoding, Output, Schema, Writer, write_file};
use serde_json::{Map, json};
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
pub fn write(folder: &Folder, name: &str, dataset: Dataset, report: &Report) -> anyhow::Result<()> {
    let path = |file: &str| folder.path.join(file);
    let Dataset { schema, classes, mut train, test, files } = dataset;
    let mut statistics = Statistics::new(&schema)?;
    let train_writer = convert(&mut *train, &schema, &path(TRAIN), report, |rows| statistics.add(rows))?;
    let mut test = test;
    let test_writer = match &mut test {
        Some(test) => Some(convert(&mut **test, &schema, &path(TEST), report, |_| {})?),
        None => None,
    };
    let mut description = json!({
        "name": name,
        "fields": schema.fields().iter().map(|field| {
            (field.name.clone(), json!({ "dtype": field.dtype.name(), "shape": field.shape }))
        }).collect::<Map<_, _>>(),
        "classes": classes,
        "train": { "rows": train.count(), "mean": statistics.mean(), "std": statistics.std() },
    });
    if let Some(test) = &test {
        description["test"] = json!({ "rows": test.count() });
    }
    description["files"] =
        files.iter().map(|(key, sum)| (key.clone(), json!({ "sha256": sum.sha256, "bytes": sum.bytes }))).collect();
    // The description goes first and comes last: it is there only with the rows that it describes.
    remove(&path(DESCRIPTION))?;
    train_writer.finish()?;
    match test_writer {
        Some(writer) => writer.finish()?,
        None => remove(&path(TEST))?,
    }
    write_file(&path(DESCRIPTION), format!("{description:#}\n").as_bytes())?;
    let tests = test.map_or(String::new(), |test| format!(", {} for testing", test.count()));
    report.say(&format!("{}: {} rows for training{tests}", folder.path.display(), train.count()));
    Ok(())
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

/// Mean and standard deviation of each channel's pixels, as shares of 255. Whole numbers are summed up, so that no
/// order of summation changes a bit.
struct Statistics {
    row_bytes: usize,
    /// Pixels of one channel of one image.
    plane: usize,
    /// For each channel: the sum of its pixels, and of their squares.
    sums: Vec<(u64, u128)>,
    rows: u64,
}

impl Statistics {
    fn new(schema: &Schema) -> anyhow::Result<Self> {
        let image = schema.fields().first().filter(|field| field.name == IMAGE);
        let shape = image.context("rows begin with an image")?.shape.clone();
        ensure!(shape.len() == 3, "an image has channels, height and width");
        Ok(Self { row_bytes: schema.row_bytes(), plane: shape[1] * shape[2], sums: vec![(0, 0); shape[0]], rows: 0 })
    }

    fn add(&mut self, packed: &[u8]) {
        for row in packed.chunks_exact(self.row_bytes) {
            for (plane, (sum, squares)) in row.chunks_exact(self.plane).zip(&mut self.sums) {
                *sum += plane.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                *squares += u128::from(plane.iter().map(|&pixel| u64::from(pixel) * u64::from(pixel)).sum::<u64>());
            }
            self.rows += 1;
        }
    }

    fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|(sum, _)| *sum as f64 / self.count() / WHITE).collect()
    }

    fn std(&self) -> Vec<f64> {
        let variance = |&(sum, squares): &(u64, u128)| {
            // n Σx² - (Σx)², exact as long as the sums are.
            let count = u128::from(self.rows) * self.plane as u128;
            (count * squares - u128::from(sum) * u128::from(sum)) as f64 / (self.count() * self.count())
        };
        self.sums.iter().map(|sums| variance(sums).sqrt() / WHITE).collect()
    }

    fn count(&self) -> f64 {
        self.rows as f64 * self.plane as f64
    }
}

/// The largest value of a pixel.
const WHITE: f64 = 255.0;
