//! Rows for a graph: read from a file or drawn, in batches of its inputs.

mod column;
mod feeder;
mod labels;

pub use column::reals;
pub use feeder::{Feed, Feeder};
pub use labels::{Label, Labels};

use anyhow::ensure;
use files::{Input, Sha256};
use random::Random;
use records::{Batch, Reader};
use runtime::{ElementType, Model, Port};
use std::path::{Path, PathBuf};

/// Random stream of seed 0 for drawn rows.
const DRAWN_ROWS: u64 = 1;

/// Bytes that are read at a time for a digest.
const DIGEST_BLOCK: usize = 1 << 16;

/// Which rows go through a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Those of a file: `skip` are passed over, then `limit` at most are taken.
    File { path: PathBuf, skip: usize, limit: usize },
    /// Random ones: of a standard normal distribution, or bytes. `instead` is the setting that names a file in their place.
    Drawn { count: usize, instead: &'static str },
}

impl Rows {
    /// The rows of a file from its first one on; None is all.
    pub fn of_file(path: &Path, limit: Option<usize>) -> Self {
        Self::File { path: path.into(), skip: 0, limit: limit.unwrap_or(usize::MAX) }
    }

    /// The largest number of rows, where it is known.
    pub fn at_most(&self) -> Option<u64> {
        match self {
            Self::File { limit: usize::MAX, .. } => None,
            Self::File { limit: count, .. } | Self::Drawn { count, .. } => Some(*count as u64),
        }
    }

    /// Why random rows cannot be the inputs of a graph; None where they can, or the rows are of a file.
    pub fn obstacle(&self, model: &Model) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Drawn { .. } => feeder::obstacle(model.inputs()).or_else(|| self.undrawable(model)),
        }
    }

    /// As [`Rows::obstacle`], of a graph that takes rows of a file.
    pub fn undrawable(&self, model: &Model) -> Option<String> {
        let Self::Drawn { instead, .. } = self else { return None };
        let input = model.inputs().iter().find(|port| !can_be_drawn(port) && port.element != ElementType::String)?;
        Some(format!(
            "random rows cannot be drawn for input {:?}, which is not of known shape and float32, float16 or uint8; name a \
             file of rows with {instead}=FILE",
            input.name
        ))
    }

    /// Digest of the file; None of random rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sha256(&self) -> anyhow::Result<Option<String>> {
        let Self::File { path, .. } = self else { return Ok(None) };
        let mut input = Input::open(Some(path))?;
        let (mut digest, mut block) = (Sha256::default(), vec![0; DIGEST_BLOCK]);
        loop {
            match input.read_some(&mut block)? {
                0 => return Ok(Some(digest.hex())),
                count => digest.update(&block[..count]),
            }
        }
    }

    /// Calls `take` with batches of at most `batch_size` rows; returns the number of rows. Random rows have no
    /// [`Rows::obstacle`].
    ///
    /// # Errors
    /// When the file cannot be read, a row does not fit the graph or says nothing of it, or there are no rows.
    pub fn each(
        &self,
        feeder: &Feeder,
        batch_size: usize,
        mut take: impl FnMut(&Feed) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        match self {
            Self::File { path, skip, limit } => {
                let mut span = Span { skip: *skip, left: *limit, taken: 0 };
                each_of_file(path, feeder, batch_size, &mut span, &mut take)?;
                ensure!(span.taken > 0, "{}: no rows behind the first {skip}", path.display());
                Ok(span.taken)
            }
            Self::Drawn { count, .. } => {
                for begin in (0..*count).step_by(batch_size) {
                    let rows = batch_size.min(count - begin);
                    take(&feeder.pack(rows, drawn(feeder.inputs(), rows, begin as u64), None)?)?;
                }
                Ok(*count)
            }
        }
    }
}

/// Which rows of a file are still to be taken.
struct Span {
    skip: usize,
    left: usize,
    taken: usize,
}

fn each_of_file(
    path: &Path,
    feeder: &Feeder,
    batch_size: usize,
    span: &mut Span,
    take: &mut impl FnMut(&Feed) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = Reader::open(Input::open(Some(path))?, &feeder.read_options())?;
    let mut batch = Batch::new();
    while span.left > 0 && reader.read(&mut batch)? {
        let begin = span.skip.min(batch.rows());
        span.skip -= begin;
        let end = batch.rows().min(begin.saturating_add(span.left));
        if begin == end {
            continue;
        }
        let table = feeder.table(&batch)?;
        for first in (begin..end).step_by(batch_size) {
            let rows = first..end.min(first + batch_size);
            take(&feeder.slice(&table, rows)?)?;
        }
        span.left -= end - begin;
        span.taken += end - begin;
    }
    Ok(())
}

/// Whether rows can be drawn for an input: numbers or bytes whose shape is known.
fn can_be_drawn(port: &Port) -> bool {
    let is_known = port.shape.iter().skip(1).all(Option::is_some);
    is_known && matches!(port.element, ElementType::F32 | ElementType::F16 | ElementType::U8)
}

/// `rows` random rows, one value an input; `first` is the index of their first.
fn drawn(inputs: &[Port], rows: usize, first: u64) -> Vec<column::Column> {
    let draw = |(index, port): (usize, &Port)| {
        let shape: Vec<usize> = port.shape.iter().skip(1).flatten().copied().collect();
        let mut random = Random::new(first, DRAWN_ROWS + index as u64);
        let count = rows * shape.iter().product::<usize>();
        let bytes = match port.element {
            ElementType::U8 => (0..count).map(|_| random.index(256) as u8).collect(),
            element => column::reals(element, &(0..count).map(|_| random.normal() as f32).collect::<Vec<_>>()),
        };
        column::Column { shape, bytes }
    };
    inputs.iter().enumerate().map(draw).collect()
}
