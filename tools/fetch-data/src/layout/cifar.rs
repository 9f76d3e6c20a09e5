//! The binary version of CIFAR: rows of label bytes and 3 × 32 × 32 bytes of pixels, red plane first, row by row
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use super::{BYTE_CLASSES, Dataset, Rows, Split, TEST, TRAIN, check_names, chunk_rows, lines, schema, sums};
use crate::{archive::Members, fetch::Fetched, settings::Cifar};
use anyhow::ensure;
use indexmap::IndexMap;
use std::{path::Path, rc::Rc};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// Opens a fetched archive.
pub fn open(settings: &Cifar, archive: Fetched, unpacked_bytes: u64, scratch: &Path) -> anyhow::Result<Dataset> {
    let wanted: Vec<&String> = settings.train.iter().chain(&settings.test).chain(settings.labels.values()).collect();
    let members = Members::open(&archive, unpacked_bytes, scratch, |path| wanted.iter().any(|one| *one == path))?;
    let mut classes = IndexMap::new();
    for (field, path) in &settings.labels {
        let names = lines(&members.describe(path), members.read(path)?)?;
        check_names(&members.describe(path), &names)?;
        ensure!(names.len() <= BYTE_CLASSES, "{}: {} classes, in a byte", members.describe(path), names.len());
        classes.insert(field.clone(), names);
    }
    let schema = schema(SHAPE, &classes)?;
    let (members, limits) = (Rc::new(members), Rc::new(classes.clone()));
    let part = |paths: &[String]| Part::new(&members, &limits, paths);
    let splits = vec![
        Split { name: TRAIN, rows: Box::new(part(&settings.train)?) },
        Split { name: TEST, rows: Box::new(part(&settings.test)?) },
    ];
    Ok(Dataset { schema, classes, splits, paths: None, files: sums([("archive", archive)]) })
}

/// The rows of some members, one after the other.
struct Part {
    members: Rc<Members>,
    classes: Rc<IndexMap<String, Vec<String>>>,
    /// Path and number of rows.
    files: Vec<(String, u64)>,
    /// The member that is being read, and its next row.
    at: (usize, u64),
}

impl Part {
    fn new(
        members: &Rc<Members>,
        classes: &Rc<IndexMap<String, Vec<String>>>,
        paths: &[String],
    ) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let (bytes, row) = (members.bytes(path)?, (classes.len() + PIXELS) as u64);
            let place = members.describe(path);
            ensure!(bytes > 0 && bytes.is_multiple_of(row), "{place}: {bytes} bytes, not a number of rows of {row}");
            files.push((path.clone(), bytes / row));
        }
        let (members, classes) = (members.clone(), classes.clone());
        Ok(Self { members, classes, files, at: (0, 0) })
    }

    /// The rows as they are packed: the image first, then its labels.
    fn pack(&self, raw: &[u8], path: &str, first: u64) -> anyhow::Result<Vec<u8>> {
        let mut packed = Vec::with_capacity(raw.len());
        for (row, bytes) in (first..).zip(raw.chunks_exact(self.classes.len() + PIXELS)) {
            let (labels, pixels) = bytes.split_at(self.classes.len());
            for (&label, (field, names)) in labels.iter().zip(self.classes.iter()) {
                let (place, count) = (self.members.describe(path), names.len());
                ensure!(
                    usize::from(label) < count,
                    "{place}: row {row}: {field} {label}, but there are {count} classes"
                );
            }
            packed.extend_from_slice(pixels);
            packed.extend_from_slice(labels);
        }
        Ok(packed)
    }
}

impl Rows for Part {
    fn count(&self) -> u64 {
        self.files.iter().map(|(_, rows)| rows).sum()
    }

    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let (file, first) = self.at;
        let Some((path, rows)) = self.files.get(file) else { return Ok(None) };
        let width = self.classes.len() + PIXELS;
        let count = (chunk_rows(width) as u64).min(rows - first);
        let mut raw = vec![0; count as usize * width];
        self.members.read_at(path, first * width as u64, &mut raw)?;
        let packed = self.pack(&raw, path, first)?;
        self.at = if first + count == *rows { (file + 1, 0) } else { (file, first + count) };
        Ok(Some(packed))
    }
}
