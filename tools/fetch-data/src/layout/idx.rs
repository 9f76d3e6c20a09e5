//! IDX, the format of MNIST: a header of big-endian u32, then bytes; plain or gzip
//! (<https://yann.lecun.com/exdb/mnist/>).

use super::{BYTE_CLASSES, Dataset, LABEL, Rows, Split, TEST, TRAIN, check_names, checksums, chunk_rows, schema};
use crate::{
    archive::GZIP,
    fetch::{Fetched, Fetcher},
    settings::Idx,
};
use anyhow::{Context, ensure};
use flate2::bufread::MultiGzDecoder;
use indexmap::IndexMap;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

/// The first four bytes: two zeros, the dtype (8, unsigned byte) and the number of dimensions.
const IMAGES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];

/// Fetches and opens the four files.
pub fn open(settings: &Idx, unpacked_bytes: u64, fetcher: &Fetcher<'_>) -> anyhow::Result<Dataset> {
    check_names("dataset.classes", &settings.classes)?;
    let count = settings.classes.len();
    ensure!(count <= BYTE_CLASSES, "dataset.classes: {count} classes, but a byte holds at most 256");
    let files = &settings.files;
    let sources = [
        ("train_images", &files.train_images),
        ("train_labels", &files.train_labels),
        ("test_images", &files.test_images),
        ("test_labels", &files.test_labels),
    ];
    let mut fetched = IndexMap::new();
    for (key, source) in sources {
        fetched.insert(key, fetcher.fetch(key, source)?);
    }
    let rows = |split: &str| {
        let [images, labels] = ["images", "labels"].map(|what| &fetched[format!("{split}_{what}").as_str()]);
        IdxRows::open(images, labels, unpacked_bytes, count)
    };
    let (train, test) = (rows("train")?, rows("test")?);
    let classes = IndexMap::from([(LABEL.to_owned(), settings.classes.clone())]);
    let [height, width] = train.size;
    let schema = schema([1, height, width], &classes)?;
    ensure!(
        test.size == train.size,
        "{}: images of {}x{} pixels, but {} has {height}x{width}",
        test.images.name,
        test.size[0],
        test.size[1],
        train.images.name
    );
    let splits = vec![Split { name: TRAIN, rows: Box::new(train) }, Split { name: TEST, rows: Box::new(test) }];
    Ok(Dataset { schema, classes, splits, paths: None, files: checksums(fetched) })
}

/// The rows of a file of images and a file of labels.
struct IdxRows {
    images: IdxFile,
    labels: IdxFile,
    /// Height and width.
    size: [usize; 2],
    rows: u64,
    /// Number of classes.
    classes: usize,
    /// Index of the next row.
    next: u64,
}

impl IdxRows {
    fn open(images: &Fetched, labels: &Fetched, unpacked_bytes: u64, classes: usize) -> anyhow::Result<Self> {
        let (mut images, mut labels) = (IdxFile::open(images, unpacked_bytes)?, IdxFile::open(labels, unpacked_bytes)?);
        let [rows, height, width] = images.header(IMAGES)?;
        let [label_rows] = labels.header(LABELS)?;
        ensure!(rows == label_rows, "{}: {label_rows} labels, but {} has {rows} images", labels.name, images.name);
        ensure!(rows > 0, "{}: no images", images.name);
        let size = [height as usize, width as usize];
        Ok(Self { images, labels, size, rows: u64::from(rows), classes, next: 0 })
    }
}

impl Rows for IdxRows {
    fn count(&self) -> u64 {
        self.rows
    }

    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let pixels = self.size[0] * self.size[1];
        let count = (chunk_rows(pixels + 1) as u64).min(self.rows - self.next) as usize;
        if count == 0 {
            self.images.ensure_end()?;
            self.labels.ensure_end()?;
            return Ok(None);
        }
        let (mut images, mut labels) = (vec![0; count * pixels], vec![0; count]);
        self.images.fill(&mut images)?;
        self.labels.fill(&mut labels)?;
        let mut packed = Vec::with_capacity(images.len() + labels.len());
        for (row, (image, &label)) in (self.next..).zip(images.chunks_exact(pixels).zip(&labels)) {
            let (name, classes) = (&self.labels.name, self.classes);
            ensure!(usize::from(label) < classes, "{name}: row {row}: label {label}, but there are {classes} classes");
            packed.extend_from_slice(image);
            packed.push(label);
        }
        self.next += count as u64;
        Ok(Some(packed))
    }
}

/// An open IDX file.
struct IdxFile {
    name: String,
    /// Limited to one byte more than allowed, to detect that the limit is exceeded.
    bytes: io::Take<Box<dyn Read>>,
    unpacked_bytes: u64,
}

impl IdxFile {
    fn open(fetched: &Fetched, unpacked_bytes: u64) -> anyhow::Result<Self> {
        let name = fetched.name.clone();
        let mut file = BufReader::new(File::open(&fetched.path).with_context(|| name.clone())?);
        let zipped = file.fill_buf().with_context(|| name.clone())?.starts_with(GZIP);
        let bytes: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { name, bytes: bytes.take(unpacked_bytes.saturating_add(1)), unpacked_bytes })
    }

    /// Reads the header: the `magic` number and the sizes of the dimensions.
    fn header<const DIMENSIONS: usize>(&mut self, magic: [u8; 4]) -> anyhow::Result<[u32; DIMENSIONS]> {
        let mut number = [0; 4];
        self.fill(&mut number)?;
        ensure!(number == magic, "{}: not an IDX file of {} dimensions and unsigned bytes", self.name, magic[3]);
        let mut sizes = [0; DIMENSIONS];
        for size in &mut sizes {
            self.fill(&mut number)?;
            *size = u32::from_be_bytes(number);
        }
        Ok(sizes)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> anyhow::Result<()> {
        let filled = self.bytes.read_exact(buffer).with_context(|| format!("{}: damaged or truncated", self.name));
        ensure!(
            self.bytes.limit() > 0,
            "{}: unpacks to more than dataset.unpacked_bytes, {}",
            self.name,
            self.unpacked_bytes
        );
        filled
    }

    /// Checks that the file ends here; for gzip, this also verifies the checksum.
    fn ensure_end(&mut self) -> anyhow::Result<()> {
        let more = self.bytes.read(&mut [0]).with_context(|| format!("{}: damaged or truncated", self.name))?;
        ensure!(more == 0, "{}: bytes after the last row", self.name);
        Ok(())
    }
}
