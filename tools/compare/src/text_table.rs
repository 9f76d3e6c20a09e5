//! The table as columns of aligned text, or as Markdown.

use crate::{columns::Columns, numbers, ranked::RankedRows, row::Row, row_names};
use comfy_table::{CellAlignment, Table, presets};

/// The text of a cell without a value.
const EMPTY: &str = "-";
/// Spaces between two columns of text.
const GAP: u16 = 2;

pub fn text(ranked: &RankedRows, columns: &Columns, confidence: f64) -> String {
    let mut table = Grid { ranked, columns, confidence }.table(str::to_owned);
    table.load_style(presets::NOTHING);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    table.trim_fmt() + "\n"
}

pub fn markdown(ranked: &RankedRows, columns: &Columns, confidence: f64) -> String {
    // A bar would end the cell.
    let mut table = Grid { ranked, columns, confidence }.table(|text| text.replace('\\', "\\\\").replace('|', "\\|"));
    table.load_style(presets::ASCII_MARKDOWN);
    table.trim_fmt() + "\n"
}

struct Grid<'a> {
    ranked: &'a RankedRows<'a>,
    columns: &'a Columns,
    confidence: f64,
}

impl Grid<'_> {
    fn table(&self, escaped: impl Fn(&str) -> String) -> Table {
        let mut table = Table::new();
        table.set_header(self.header().iter().map(|cell| escaped(cell)));
        for (row, name) in self.ranked.rows.iter().zip(row_names::of(self.ranked)) {
            table.add_row(self.cells(row, name).iter().map(|cell| escaped(cell)));
        }
        for name in self.header().iter().enumerate().filter(|(_, name)| self.is_number(name)).map(|(i, _)| i) {
            if let Some(column) = table.column_mut(name) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn is_number(&self, name: &str) -> bool {
        name == "n" || self.columns.metrics.iter().any(|metric| metric == name)
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["run".to_owned()];
        header.extend(self.columns.settings.iter().map(|setting| setting.name.clone()));
        header.extend(self.ranked.has_repeats().then(|| "n".to_owned()));
        header.extend(self.columns.metrics.iter().cloned());
        header.extend(self.has_unfinished().then(|| "status".to_owned()));
        header
    }

    fn cells(&self, row: &Row, name: String) -> Vec<String> {
        let name = if row.is_baseline { format!("{name} (baseline)") } else { name };
        let setting = |key: &str| row.first().settings.get(key).map_or_else(|| EMPTY.to_owned(), runs::short_text);
        let mut cells = vec![name];
        cells.extend(self.columns.settings.iter().map(|column| setting(&column.key)));
        cells.extend(self.ranked.has_repeats().then(|| row.runs.len().to_string()));
        cells.extend(self.columns.metrics.iter().map(|metric| self.metric(row, metric)));
        cells.extend(self.has_unfinished().then(|| row.first().status.name().to_owned()));
        cells
    }

    fn metric(&self, row: &Row, metric: &str) -> String {
        let Some(estimate) = row.estimate(metric) else { return EMPTY.to_owned() };
        match estimate.half_width(self.confidence) {
            Some(half_width) => numbers::estimate(estimate.mean, half_width),
            None => numbers::number(estimate.mean),
        }
    }

    fn has_unfinished(&self) -> bool {
        self.ranked.rows.iter().any(|row| !row.is_finished())
    }
}
