//! The table in each encoding: text and Markdown with chosen columns, CSV in full precision, JSON with the value of each run.

use crate::{columns::Columns, csv_table, json_table, ranked::RankedRows, settings::Settings, text_table};
use cli::Encoding;

/// The rows as a table.
///
/// # Errors
/// When the settings name a column that no run has.
pub fn table(ranked: &RankedRows, settings: &Settings, encoding: Encoding) -> anyhow::Result<String> {
    let limited = matches!(encoding, Encoding::Table | Encoding::Markdown);
    let columns = Columns::choose(ranked, settings, limited)?;
    columns.note.iter().for_each(|note| cli::note(note));
    match encoding {
        Encoding::Table => Ok(text_table::text(ranked, &columns, settings.confidence)),
        Encoding::Markdown => Ok(text_table::markdown(ranked, &columns, settings.confidence)),
        Encoding::Csv => csv_table::table(ranked, &columns, settings.confidence),
        Encoding::Json => json_table::table(ranked, &columns, settings.confidence),
    }
}
