//! The encodings of the table: aligned text, Markdown, CSV or JSON.

use crate::{columns::Columns, csv_table, json_table, ranked::RankedRows, settings::Settings, text_table};
use anyhow::bail;
use std::{path::Path, str::FromStr};

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Columns of aligned text.
    Table,
    /// A table of GitHub-flavored Markdown.
    Markdown,
    /// Full precision, full setting keys.
    Csv,
    /// As CSV, with the value of each run.
    Json,
}

impl FromStr for Encoding {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "table" => Ok(Self::Table),
            "md" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => bail!("unknown encoding {name:?}; expected table, md, csv or json"),
        }
    }
}

impl Encoding {
    /// The encoding by the extension of a file's name; text without one.
    pub fn of_file(path: Option<&Path>) -> Self {
        let extension = path.and_then(|path| path.extension()?.to_str());
        extension.and_then(|name| name.parse().ok()).unwrap_or(Self::Table)
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}

/// The rows as a table.
///
/// # Errors
/// When the settings name a column that no run has.
pub fn table(ranked: &RankedRows, settings: &Settings, encoding: Encoding) -> anyhow::Result<String> {
    let columns = Columns::choose(ranked, settings, encoding.is_text())?;
    columns.note.iter().for_each(|note| cli::note(note));
    match encoding {
        Encoding::Table => Ok(text_table::text(ranked, &columns, settings.confidence)),
        Encoding::Markdown => Ok(text_table::markdown(ranked, &columns, settings.confidence)),
        Encoding::Csv => csv_table::table(ranked, &columns, settings.confidence),
        Encoding::Json => json_table::table(ranked, &columns, settings.confidence),
    }
}
