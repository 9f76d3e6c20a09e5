//! From the files of a dataset to its rows.

mod cifar;
mod decode;
mod idx;
mod image_files;
mod image_folder;
mod images;

use crate::{
    fetch::{Fetched, Fetcher, Sum},
    settings::{Layout, Settings},
};
use anyhow::{Context, ensure};
use cli::Report;
use indexmap::IndexMap;
use records::{DType, Field, Schema};
use std::{collections::HashSet, path::Path, sync::Arc};

/// The field with the pixels, `[channels, height, width]`, and the one with the class.
pub const IMAGE: &str = "image";
const LABEL: &str = "label";

/// The names of splits.
pub const TRAIN: &str = "train";
pub const TEST: &str = "test";
/// Images without classes.
pub const IMAGES: &str = "images";

/// As many classes as a byte can tell apart.
const BYTE_CLASSES: usize = 1 << u8::BITS;

/// Bytes of rows made at a time: enough for every thread, and little memory.
const CHUNK_BYTES: usize = 8 << 20;

/// A dataset that is here.
pub struct Dataset {
    pub schema: Arc<Schema>,
    /// The names of the classes, label 0 on, of each field of labels.
    pub classes: IndexMap<String, Vec<String>>,
    /// At least one.
    pub splits: Vec<Split>,
    /// The file of each row of the first split, where that is all that there is to know a row by.
    pub paths: Option<Vec<String>>,
    /// What it was made from.
    pub files: IndexMap<String, Sum>,
}

/// Rows of one file.
pub struct Split {
    pub name: &'static str,
    pub rows: Box<dyn Rows>,
}

/// Rows, packed as the schema says, in an order that depends on the files' contents alone.
pub trait Rows {
    /// How many there are.
    fn count(&self) -> u64;

    /// The next rows, about [`CHUNK_BYTES`] of them; none at the end.
    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>>;
}

/// Fetches and opens the dataset of the settings; what has to be unpacked goes to a file in `scratch`.
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

/// An image of bytes, and a label of each of these fields.
fn schema(shape: [usize; 3], classes: &IndexMap<String, Vec<String>>) -> anyhow::Result<Arc<Schema>> {
    let mut fields = vec![Field::new(IMAGE, DType::U1, &shape)];
    for (name, names) in classes {
        let dtype = if names.len() <= BYTE_CLASSES { DType::U1 } else { DType::I4 };
        fields.push(Field::new(name, dtype, &[]));
    }
    Ok(Arc::new(Schema::new(fields).map_err(|e| anyhow::anyhow!("the images: {e}"))?))
}

/// Rows in a chunk, of rows with so many bytes.
fn chunk_rows(row_bytes: usize) -> usize {
    (CHUNK_BYTES / row_bytes).max(1)
}

/// Names of classes: each there, and once.
fn check_names(place: &str, names: &[String]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        ensure!(seen.insert(name), "{place}: class {name:?} comes twice");
    }
    ensure!(!names.is_empty(), "{place}: no classes");
    Ok(())
}

/// The checksum under the name of its setting, if there is one: a folder has none.
fn sums<'a>(fetched: impl IntoIterator<Item = (&'a str, Fetched)>) -> IndexMap<String, Sum> {
    fetched.into_iter().filter_map(|(key, fetched)| Some((key.to_owned(), fetched.sum?))).collect()
}

/// One line a name, as text files have them.
fn lines(place: &str, bytes: Vec<u8>) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8(bytes).with_context(|| format!("{place}: not UTF-8"))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
