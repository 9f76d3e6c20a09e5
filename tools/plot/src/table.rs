//! Runs from CSV and TSV: a column `step` or `epoch`, and a column for each metric.

use crate::{
    confusion::{Confusion, Pairs},
    run::{Run, Sample},
    source::Content,
};
use anyhow::{Context, bail, ensure};
use csv::{Reader, ReaderBuilder, StringRecord};
use std::io::Read;

/// Reads a table; `header` is its first line. Without steps and epochs, the columns `actual` and `predicted` make a
/// confusion matrix.
///
/// # Errors
/// When there are no such columns, or a cell is no number; the line is named.
pub fn read(name: &str, header: &str, bytes: impl Read) -> anyhow::Result<Content> {
    let delimiter = if header.contains('\t') { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().with_context(|| name.to_owned())?.clone();
    let column = |wanted: &str| header.iter().position(|cell| cell == wanted);
    if column("step").is_some() || column("epoch").is_some() {
        return metrics(name, &header, column("step"), column("epoch"), &mut reader).map(Content::Run);
    }
    if let (Some(actual), Some(predicted)) = (column("actual"), column("predicted")) {
        return pairs(name, &header, actual, predicted, &mut reader).map(Content::Confusion);
    }
    let known: Vec<_> = header.iter().take(8).collect();
    bail!(
        "{name}:1: no run events, and no column step or epoch, nor actual and predicted; there is {}",
        known.join(", ")
    )
}

fn metrics(
    name: &str,
    header: &StringRecord,
    step: Option<usize>,
    epoch: Option<usize>,
    reader: &mut Reader<impl Read>,
) -> anyhow::Result<Run> {
    let mut run = Run::default();
    // A column whose first value is text (a name, a date) is no metric.
    let mut is_text = vec![None; header.len()];
    let mut row = StringRecord::new();
    while next_row(name, header, reader, &mut row)? {
        let cell = |column: usize| -> anyhow::Result<Option<f64>> {
            let cell = &row[column];
            let problem = || format!("{name}:{}: column {:?}: {cell:?} is no number", line(&row), &header[column]);
            Ok(if cell.is_empty() { None } else { Some(cell.parse().with_context(problem)?) })
        };
        let place = |column: Option<usize>| Ok::<_, anyhow::Error>(column.map(cell).transpose()?.flatten());
        let (step, epoch) = (place(step)?.unwrap_or(f64::NAN), place(epoch)?.unwrap_or(f64::NAN));
        for column in 0..header.len() {
            if ["step", "epoch", ""].contains(&&header[column]) || row[column].is_empty() {
                continue;
            }
            if !*is_text[column].get_or_insert_with(|| row[column].parse::<f64>().is_err())
                && let Some(value) = cell(column)?
            {
                run.add(&header[column], Sample { step, epoch, value });
            }
        }
    }
    ensure!(!run.metrics.is_empty(), "{name}: no column with numbers beside step and epoch");
    Ok(run)
}

fn pairs(
    name: &str,
    header: &StringRecord,
    actual: usize,
    predicted: usize,
    reader: &mut Reader<impl Read>,
) -> anyhow::Result<Confusion> {
    let mut pairs = Pairs::default();
    let mut row = StringRecord::new();
    while next_row(name, header, reader, &mut row)? {
        pairs.add(&row[actual], &row[predicted]);
    }
    ensure!(!pairs.is_empty(), "{name}: no rows under the header");
    Ok(pairs.confusion())
}

/// The next row; false at the end.
fn next_row(
    name: &str,
    header: &StringRecord,
    reader: &mut Reader<impl Read>,
    row: &mut StringRecord,
) -> anyhow::Result<bool> {
    let more = reader.read_record(row).with_context(|| name.to_owned())?;
    let (cells, columns) = (row.len(), header.len());
    ensure!(!more || cells == columns, "{name}:{}: {cells} cells; the header has {columns}", line(row));
    Ok(more)
}

fn line(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}
