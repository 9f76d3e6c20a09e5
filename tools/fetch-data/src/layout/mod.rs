//! Layouts: reading the files of a dataset as rows.

mod cifar;
mod decode;
mod idx;
mod image_files;
mod image_folder;
mod images;

use crate::{
    fetch::{Checksum, Fetched, Fetcher},
    settings::{Layout, Settings},
};
use anyhow::{Context, ensure};
use cli::Report;
use indexmap::IndexMap;
use records::{DType, Field, Schema};
use std::{collections::HashSet, path::Path, sync::Arc};

/// Name of the field with the pixels, `[channels, height, width]`.
pub const IMAGE: &str = "image";
/// Name of the field with the class.
const LABEL: &str = "label";

/// Names of splits.
pub const TRAIN: &str = "train";
pub const TEST: &str = "test";
/// Name of the only split of images without classes.
pub const IMAGES: &str = "images";

/// Most classes whose labels fit into a byte.
const BYTE_CLASSES: usize = 1 << u8::BITS;

/// Bytes of rows that are decoded at a time.
const CHUNK_BYTES: usize = 8 << 20;

/// An open dataset.
pub struct Dataset {
    pub schema: Arc<Schema>,
    /// For each field of labels, the names of the classes, from label 0.
    pub classes: IndexMap<String, Vec<String>>,
    /// At least one; the first is that of the statistics.
    pub splits: Vec<Split>,
    /// The path of each row of the first split; None for datasets with classes.
    pub paths: Option<Vec<String>>,
    /// The checksum of each file that it was read from, by the key of `dataset.files`.
    pub files: IndexMap<String, Checksum>,
}

/// The rows of one output file.
pub struct Split {
    pub name: &'static str,
    pub rows: Box<dyn Rows>,
}

/// Reads rows, packed in the order of the schema. The order of rows depends only on the contents of the files.
pub trait Rows {
    /// The number of rows.
    fn count(&self) -> u64;

    /// The next rows, some [`CHUNK_BYTES`]; None at the end.
    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>>;
}

/// Fetches and opens the dataset in the settings. Archives are unpacked into a temporary file in `scratch`.
pub fn open(settings: &Settings, fetcher: &Fetcher<'_>, scratch: &Path, report: &Report) -> anyhow::Result<Dataset> {
    match &settings.layout {
        Layout::Cifar(cifar) => {
            let archive = fetcher.fetch("archive", &cifar.files.archive)?;
            cifar::open(cifar, archive, settings.unpacked_bytes, scratch)
        }
        Layout::Idx(idx) => idx::open(idx, settings.unpacked_bytes, fetcher),
        Layout::ImageFolder(folder) => {
            let archive = fetcher.fetch("archive", &folder.files.archive)?;
            image_folder::open(folder, archive, settings.unpacked_bytes, scratch, report)
        }
        Layout::ImageFiles(files) => {
            let archive = fetcher.fetch("archive", &files.files.archive)?;
            image_files::open(files, archive, settings.unpacked_bytes, scratch, report)
        }
    }
}

/// The schema of rows with an image of `u1`, and one label for each field in `classes`.
fn schema(shape: [usize; 3], classes: &IndexMap<String, Vec<String>>) -> anyhow::Result<Arc<Schema>> {
    let mut fields = vec![Field::new(IMAGE, DType::U1, &shape)];
    for (name, names) in classes {
        let dtype = if names.len() <= BYTE_CLASSES { DType::U1 } else { DType::I4 };
        fields.push(Field::new(name, dtype, &[]));
    }
    Ok(Arc::new(Schema::new(fields).map_err(|e| anyhow::anyhow!("the images: {e}"))?))
}

/// The number of rows, of `row_bytes` each, that are read at a time.
fn chunk_rows(row_bytes: usize) -> usize {
    (CHUNK_BYTES / row_bytes).max(1)
}

/// Checks names of classes: at least one, and no duplicates. `source` is where they are from, for the message.
fn check_names(source: &str, names: &[String]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        ensure!(seen.insert(name), "{source}: class {name:?} occurs twice");
    }
    ensure!(!names.is_empty(), "{source}: no classes");
    Ok(())
}

/// The checksum of each file, by its key in `dataset.files`. Folders have none.
fn checksums<'a>(fetched: impl IntoIterator<Item = (&'a str, Fetched)>) -> IndexMap<String, Checksum> {
    fetched.into_iter().filter_map(|(key, fetched)| Some((key.to_owned(), fetched.checksum?))).collect()
}

/// The lines of a text file that are not blank. `name` is that of the file, for the message.
fn lines(name: &str, bytes: Vec<u8>) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8(bytes).with_context(|| format!("{name}: not UTF-8"))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
