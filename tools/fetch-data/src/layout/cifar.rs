//! The binary version of CIFAR: rows of label bytes and 3 × 32 × 32 bytes of pixels, red plane first, row by row
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use super::{BYTE_CLASSES, Dataset, Rows, Split, TEST, TRAIN, check_names, checksums, chunk_rows, lines, schema};
use crate::{archive::Members, fetch::Fetched, settings::Cifar};
use anyhow::ensure;
use indexmap::IndexMap;
use std::{path::Path, rc::Rc};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// Opens a fetched archive, which is unpacked into a temporary file in `scratch`.
pub fn open(settings: &Cifar, archive: Fetched, unpacked_bytes: u64, scratch: &Path) -> anyhow::Result<Dataset> {
    let wanted: Vec<&String> = settings.train.iter().chain(&settings.test).chain(settings.labels.values()).collect();
    let members = Members::open(&archive, unpacked_bytes, scratch, |path| wanted.iter().any(|one| *one == path))?;
    let mut classes = IndexMap::new();
    for (field, path) in &settings.labels {
        let names = lines(&members.describe(path), members.read(path)?)?;
        check_names(&members.describe(path), &names)?;
        ensure!(
            names.len() <= BYTE_CLASSES,
            "{}: {} classes, but a byte holds at most 256",
            members.describe(path),
            names.len()
        );
        classes.insert(field.clone(), names);
    }
    let schema = schema(SHAPE, &classes)?;
    let (members, limits) = (Rc::new(members), Rc::new(classes.clone()));
    let rows = |paths: &[String]| CifarRows::new(&members, &limits, paths);
    let splits = vec![
        Split { name: TRAIN, rows: Box::new(rows(&settings.train)?) },
        Split { name: TEST, rows: Box::new(rows(&settings.test)?) },
    ];
    Ok(Dataset { schema, classes, splits, paths: None, files: checksums([("archive", archive)]) })
}

/// The rows of several members, one after the other.
struct CifarRows {
    members: Rc<Members>,
    classes: Rc<IndexMap<String, Vec<String>>>,
    /// Path and number of rows of each member.
    files: Vec<(String, u64)>,
    /// Index of the current member, and index of its next row.
    next: (usize, u64),
}

impl CifarRows {
    fn new(
        members: &Rc<Members>,
        classes: &Rc<IndexMap<String, Vec<String>>>,
        paths: &[String],
    ) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let (bytes, row) = (members.bytes(path)?, (classes.len() + PIXELS) as u64);
            let name = members.describe(path);
            ensure!(
                bytes > 0 && bytes.is_multiple_of(row),
                "{name}: {bytes} bytes, not a multiple of the {row} of a row"
            );
            files.push((path.clone(), bytes / row));
        }
        let (members, classes) = (members.clone(), classes.clone());
        Ok(Self { members, classes, files, next: (0, 0) })
    }

    /// Reorders rows as the schema has them: pixels, then labels. `first` is the index of the first row.
    fn pack(&self, raw: &[u8], path: &str, first: u64) -> anyhow::Result<Vec<u8>> {
        let mut packed = Vec::with_capacity(raw.len());
        for (row, bytes) in (first..).zip(raw.chunks_exact(self.classes.len() + PIXELS)) {
            let (labels, pixels) = bytes.split_at(self.classes.len());
            for (&label, (field, names)) in labels.iter().zip(self.classes.iter()) {
                let (name, count) = (self.members.describe(path), names.len());
                ensure!(
                    usize::from(label) < count,
                    "{name}: row {row}: {field} {label}, but there are {count} classes"
                );
            }
            packed.extend_from_slice(pixels);
            packed.extend_from_slice(labels);
        }
        Ok(packed)
    }
}

impl Rows for CifarRows {
    fn count(&self) -> u64 {
        self.files.iter().map(|(_, rows)| rows).sum()
    }

    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let (file, first) = self.next;
        let Some((path, rows)) = self.files.get(file) else { return Ok(None) };
        let width = self.classes.len() + PIXELS;
        let count = (chunk_rows(width) as u64).min(rows - first);
        let mut raw = vec![0; count as usize * width];
        self.members.read_at(path, first * width as u64, &mut raw)?;
        let packed = self.pack(&raw, path, first)?;
        self.next = if first + count == *rows { (file + 1, 0) } else { (file, first + count) };
        Ok(Some(packed))
    }
}
