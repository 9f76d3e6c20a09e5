//! A table of what is measured of each class.

use ::metrics::{ClassScore, Ranking};
use dataset::classes;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, str::FromStr};

const COLUMNS: [&str; 7] = ["class", "precision", "recall", "f1", "support", "auc", "average_precision"];

/// What is measured of a class.
pub struct Row {
    pub score: ClassScore,
    pub ranking: Option<Ranking>,
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
    /// The table as text: a header and a line a class, or an object for each class.
    pub fn text(&self, rows: &[Row], names: Option<&[String]>) -> anyhow::Result<String> {
        let named = || rows.iter().enumerate().map(|(class, row)| (classes::name(names, class), row));
        match self.format {
            Format::Json => {
                let table: Map<String, Value> = named().map(|(name, row)| (name, row.object())).collect();
                Ok(serde_json::to_string_pretty(&table)? + "\n")
            }
            Format::Separated(separator) => {
                let line = |cells: [String; 7]| cells.join(&separator.to_string()) + "\n";
                let header = line(COLUMNS.map(str::to_owned));
                Ok(std::iter::once(header).chain(named().map(|(name, row)| line(row.cells(&name)))).collect())
            }
        }
    }
}

impl Row {
    fn auc(&self) -> Option<f64> {
        self.ranking.map(|ranking| ranking.auc)
    }

    fn average_precision(&self) -> Option<f64> {
        self.ranking.map(|ranking| ranking.average_precision)
    }

    /// In the order of [`COLUMNS`].
    fn cells(&self, name: &str) -> [String; 7] {
        let share = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
        let ClassScore { precision, recall, f1, support } = self.score;
        let [precision, recall, f1] = [precision, recall, f1].map(share);
        let [auc, average_precision] = [self.auc(), self.average_precision()].map(share);
        [cell(name), precision, recall, f1, support.to_string(), auc, average_precision]
    }

    fn object(&self) -> Value {
        let ClassScore { precision, recall, f1, support } = self.score;
        json!({
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
            "auc": self.auc(),
            "average_precision": self.average_precision(),
        })
    }
}

/// A name as a cell of CSV (RFC 4180) or of TSV.
pub fn cell(name: &str) -> String {
    let special = |c: char| c.is_control() || matches!(c, ',' | '"');
    if name.contains(special) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
