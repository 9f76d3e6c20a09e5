//! `--per-class`: a table with a row for each class or label.

use anyhow::{Context, bail};
use dataset::classes;
use metrics::{ClassScore, Ranking};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

const COLUMNS: [&str; 7] = ["class", "precision", "recall", "f1", "support", "auc", "average_precision"];

/// The metrics of a class: `None` is an empty cell of CSV, null in JSON.
#[derive(Serialize)]
pub struct Row {
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
    support: u64,
    auc: Option<f64>,
    average_precision: Option<f64>,
}

impl Row {
    pub fn new(score: ClassScore, ranking: Option<Ranking>) -> Self {
        let ClassScore { precision, recall, f1, support } = score;
        let (auc, average_precision) = ranking.map(|ranking| (ranking.auc, ranking.average_precision)).unzip();
        Self { precision, recall, f1, support, auc, average_precision }
    }

    /// The cells of [`COLUMNS`].
    fn cells(&self, class: &str) -> [String; 7] {
        let share = |share: Option<f64>| share.map_or_else(String::new, |share| share.to_string());
        let [precision, recall, f1] = [self.precision, self.recall, self.f1].map(share);
        let [auc, average_precision] = [self.auc, self.average_precision].map(share);
        [class.to_owned(), precision, recall, f1, self.support.to_string(), auc, average_precision]
    }
}

/// The file for the table.
pub struct Table {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy)]
enum Format {
    /// CSV, or TSV by its delimiter.
    Csv(u8),
    Json,
}

impl FromStr for Table {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let format = match Path::new(text).extension().and_then(|extension| extension.to_str()) {
            Some("tsv") => Format::Csv(b'\t'),
            Some("csv") => Format::Csv(b','),
            Some("json") => Format::Json,
            _ => bail!("{text}: expected a name that ends in .tsv, .csv or .json"),
        };
        Ok(Self { path: PathBuf::from(text), format })
    }
}

impl Table {
    /// Writes the rows, class 0 first; a class without a name is its index.
    pub fn save(&self, rows: &[Row], names: Option<&[String]>) -> anyhow::Result<()> {
        let named: Vec<_> = rows.iter().enumerate().map(|(class, row)| (classes::name(names, class), row)).collect();
        let bytes = match self.format {
            Format::Csv(delimiter) => csv(&named, delimiter)?,
            Format::Json => json(&named)?,
        };
        files::write_file(&self.path, &bytes).context("--per-class")
    }
}

/// A header and a line for each class.
fn csv(rows: &[(String, &Row)], delimiter: u8) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    rows.iter().try_for_each(|(class, row)| writer.write_record(row.cells(class)))?;
    Ok(writer.into_inner()?)
}

/// An object for each class, by its name.
fn json(rows: &[(String, &Row)]) -> anyhow::Result<Vec<u8>> {
    let table: serde_json::Result<Map<String, Value>> =
        rows.iter().map(|(name, row)| Ok((name.clone(), serde_json::to_value(row)?))).collect();
    let mut bytes = serde_json::to_vec_pretty(&table?)?;
    bytes.push(b'\n');
    Ok(bytes)
}
