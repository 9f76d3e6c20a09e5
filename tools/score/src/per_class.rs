//! What a confusion matrix says of each class.

use records::classes;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, str::FromStr};

/// How often a class is found, and how often it is meant; none where a share is of nothing.
pub struct ClassScore {
    /// Of the rows that were taken for the class, the share that is of it.
    pub precision: Option<f64>,
    /// Of the rows of the class, the share that was taken for it.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
    /// Rows of the class.
    pub support: u64,
}

impl ClassScore {
    /// The score of each class, from `confusion[actual][predicted]`.
    pub fn all(confusion: &[Vec<u64>]) -> Vec<Self> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let score = |(class, row): (usize, &Vec<u64>)| {
            let (hits, support) = (row[class], row.iter().sum());
            let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
            Self {
                precision: share(hits, predicted),
                recall: share(hits, support),
                f1: share(2 * hits, predicted + support),
                support,
            }
        };
        confusion.iter().enumerate().map(score).collect()
    }

    fn shares(&self) -> [Option<f64>; 3] {
        [self.precision, self.recall, self.f1]
    }
}

/// The means of precision, recall and F1 over the classes that occur, as targets or as predictions. A share of nothing
/// counts as 0, as in scikit-learn's `average="macro"`.
pub fn macro_means(scores: &[ClassScore]) -> [f64; 3] {
    let occur: Vec<_> = scores.iter().filter(|score| score.f1.is_some()).map(ClassScore::shares).collect();
    std::array::from_fn(|i| {
        occur.iter().map(|shares| shares[i].unwrap_or(0.0)).sum::<f64>() / occur.len().max(1) as f64
    })
}

/// The file for a table of classes.
pub struct Table {
    pub path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy)]
enum Format {
    Separated(char),
    Json,
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("tsv") => Format::Separated('\t'),
            Some("csv") => Format::Separated(','),
            Some("json") => Format::Json,
            _ => return Err(format!("{text}: expected a name that ends in .tsv, .csv or .json")),
        };
        Ok(Self { path, format })
    }
}

impl Table {
    /// The table as text: rows of `class precision recall f1 support`, or an object for each class.
    pub fn text(&self, scores: &[ClassScore], names: Option<&[String]>) -> anyhow::Result<String> {
        let named = || scores.iter().enumerate().map(|(class, score)| (classes::name(names, class), score));
        match self.format {
            Format::Json => {
                let table: Map<String, Value> = named().map(|(name, score)| (name, object(score))).collect();
                Ok(serde_json::to_string_pretty(&table)? + "\n")
            }
            Format::Separated(separator) => {
                let line = |cells: [String; 5]| cells.join(&separator.to_string()) + "\n";
                let header = line(["class", "precision", "recall", "f1", "support"].map(str::to_owned));
                let share = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
                let rows = named().map(|(name, score)| {
                    let [precision, recall, f1] = score.shares().map(share);
                    line([cell(&name), precision, recall, f1, score.support.to_string()])
                });
                Ok(std::iter::once(header).chain(rows).collect())
            }
        }
    }
}

/// A name as a cell of CSV (RFC 4180) or of TSV.
pub fn cell(name: &str) -> String {
    let special = |c: char| c.is_control() || matches!(c, ',' | '"');
    if name.contains(special) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

fn object(score: &ClassScore) -> Value {
    let ClassScore { precision, recall, f1, support } = score;
    json!({ "precision": precision, "recall": recall, "f1": f1, "support": support })
}
