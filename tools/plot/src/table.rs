//! Runs from CSV and TSV: a column `step` or `epoch`, and a column for each metric. Curves of learning-rate finders, and
//! pairs of classes.

use crate::{
    confusion::{LabelledMatrix, PairCounts},
    content::Content,
    finder::{self, Finder},
    labels::Identity,
    limited_read::{RowLimit, RowLimited, row_limited},
    run::{Measurement, Run},
    text::excerpt,
};
use anyhow::{Context, bail, ensure};
use csv::{Reader, ReaderBuilder, StringRecord};
use std::io::Read;

/// A table that is read row by row.
struct Table<'a, R> {
    name: &'a str,
    header: StringRecord,
    reader: Reader<RowLimited<R>>,
    row_limit: RowLimit,
}

/// Reads a table; `header` is its first line. Without steps and epochs, the columns `actual` and `predicted` make a
/// confusion matrix, and `learning_rate` and `loss` the curve of a learning-rate finder.
///
/// # Errors
/// When there are no such columns, or a cell is no number; the line is named.
pub fn read(name: &str, header: &str, bytes: impl Read) -> anyhow::Result<Content> {
    let delimiter = if header.contains('\t') { b'\t' } else { b',' };
    let (bytes, row_limit) = row_limited(bytes);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().with_context(|| name.to_owned())?.clone();
    let mut table = Table { name, header, reader, row_limit };
    let column = |table: &Table<_>, wanted: &str| table.header.iter().position(|cell| cell == wanted);
    let (step, epoch) = (column(&table, "step"), column(&table, "epoch"));
    if step.is_some() || epoch.is_some() {
        return table.metrics(step, epoch).map(Content::Run);
    }
    if let (Some(actual), Some(predicted)) = (column(&table, "actual"), column(&table, "predicted")) {
        return table.pairs(actual, predicted).map(Content::Confusion);
    }
    if let [Some(rate), Some(loss)] = finder::COLUMNS.map(|wanted| column(&table, wanted)) {
        return table.finder(rate, loss).map(Content::Finder);
    }
    let known: Vec<_> = table.header.iter().take(8).map(excerpt).collect();
    bail!(
        "{name}:1: no run events, and no column step or epoch, nor actual and predicted, nor learning_rate and loss; \
         there is {}",
        known.join(", ")
    )
}

impl<R: Read> Table<'_, R> {
    fn metrics(&mut self, step: Option<usize>, epoch: Option<usize>) -> anyhow::Result<Run> {
        let mut run = Run::default();
        // A column whose first value is text (a name, a date) is no metric.
        let mut is_text = vec![None; self.header.len()];
        let mut row = StringRecord::new();
        while self.next_row(&mut row)? {
            let position = |column: Option<usize>| column.map_or(Ok(None), |column| self.number(&row, column));
            let (step, epoch) = (position(step)?.unwrap_or(f64::NAN), position(epoch)?.unwrap_or(f64::NAN));
            for (column, name) in self.header.iter().enumerate() {
                if ["step", "epoch", ""].contains(&name) || row[column].is_empty() {
                    continue;
                }
                if !*is_text[column].get_or_insert_with(|| row[column].parse::<f64>().is_err())
                    && let Some(value) = self.number(&row, column)?
                {
                    run.add(name, Measurement { step, epoch, value });
                }
            }
        }
        ensure!(!run.metrics.is_empty(), "{}: no column with numbers beside step and epoch", self.name);
        Ok(run)
    }

    fn pairs(&mut self, actual: usize, predicted: usize) -> anyhow::Result<LabelledMatrix> {
        let mut pairs = PairCounts::default();
        let mut row = StringRecord::new();
        while self.next_row(&mut row)? {
            pairs.add(&row[actual], &row[predicted]);
        }
        ensure!(!pairs.is_empty(), "{}: no rows under the header", self.name);
        Ok(pairs.confusion())
    }

    fn finder(&mut self, rate: usize, loss: usize) -> anyhow::Result<Finder> {
        let mut points = Vec::new();
        let mut row = StringRecord::new();
        while self.next_row(&mut row)? {
            let cell = |column| Ok::<_, anyhow::Error>(self.number(&row, column)?.unwrap_or(f64::NAN));
            points.push((cell(rate)?, cell(loss)?));
        }
        Ok(Finder { identity: Identity::default(), points })
    }

    /// A cell's number; None where it is empty.
    fn number(&self, row: &StringRecord, column: usize) -> anyhow::Result<Option<f64>> {
        let cell = &row[column];
        if cell.is_empty() {
            return Ok(None);
        }
        let (name, header) = (self.name, excerpt(&self.header[column]));
        let problem = || format!("{name}:{}: column {header:?}: {:?} is no number", line(row), excerpt(cell));
        Ok(Some(cell.parse().with_context(problem)?))
    }

    /// The next row; false at the end.
    fn next_row(&mut self, row: &mut StringRecord) -> anyhow::Result<bool> {
        let more = self.reader.read_record(row).with_context(|| self.name.to_owned())?;
        self.row_limit.renew();
        let (cells, columns) = (row.len(), self.header.len());
        ensure!(!more || cells == columns, "{}:{}: {cells} cells; the header has {columns}", self.name, line(row));
        Ok(more)
    }
}

fn line(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}
