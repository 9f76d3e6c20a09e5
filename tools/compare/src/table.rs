//! The table, as text, Markdown, CSV or JSON.

use crate::{columns::Columns, csv, grid, json, ranking::Ranking, settings::Settings};
use std::{path::Path, str::FromStr};

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Columns of aligned text.
    Table,
    /// Markdown, as GitHub renders tables.
    Markdown,
    Csv,
    Json,
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "table" => Ok(Self::Table),
            "md" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown encoding {name:?}; expected table, md, csv or json")),
        }
    }
}

impl Encoding {
    /// The encoding that a file's name asks for.
    pub fn of_file(path: Option<&Path>) -> Self {
        let extension = path.and_then(|path| path.extension()?.to_str());
        extension.and_then(|name| name.parse().ok()).unwrap_or(Self::Table)
    }

    fn is_for_a_person(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}

/// The ranking as text.
///
/// # Errors
/// When the settings name a column that no run has.
pub fn write(ranking: &Ranking, settings: &Settings, encoding: Encoding) -> anyhow::Result<String> {
    let columns = Columns::choose(ranking, settings, encoding.is_for_a_person())?;
    columns.note.iter().for_each(|note| cli::note(note));
    match encoding {
        Encoding::Table => Ok(grid::text(ranking, &columns, settings.confidence)),
        Encoding::Markdown => Ok(grid::markdown(ranking, &columns, settings.confidence)),
        Encoding::Csv => csv::write(ranking, &columns, settings.confidence),
        Encoding::Json => json::write(ranking, &columns, settings.confidence),
    }
}
