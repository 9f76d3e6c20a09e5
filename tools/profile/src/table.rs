//! Tables as columns of aligned text, or as Markdown: of one model's layers, or of several models.

use crate::{
    device::Device,
    report::{Report, Row, Total},
    units,
};
use comfy_table::{CellAlignment, Table, presets};

/// The text of a cell whose value is not known.
const UNKNOWN: &str = "?";
/// The text of a cell without a value.
const EMPTY: &str = "-";
/// Spaces between two columns of text.
const GAP: u16 = 2;
/// Columns of what is counted, in every table.
const QUANTITIES: [&str; 7] = ["params", "MACs", "FLOPs", "read", "weights", "written", "FLOP/B"];
/// Columns that a narrow terminal does not show, the first to go first.
const DISPENSABLE: [&str; 7] = ["output", "read", "weights", "written", "type", "params", "FLOPs"];
/// Longest names of layers and operators in a narrow terminal.
const NARROW_NAME: usize = 24;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Aligned text, at most so many columns wide if columns can be left out.
    Text { width: Option<usize> },
    /// A table of GitHub-flavored Markdown.
    Markdown,
}

/// The layers of a model, or of several models the sums.
pub fn tables(reports: &[Report], device: &Device, max_rows: usize, style: Style) -> String {
    match reports {
        [report] => format!("{}\n\n{}", heading(report, device), layers(report, max_rows, style)),
        reports => format!("{}\n\n{}", device_line(device), models(reports, style)),
    }
}

fn heading(report: &Report, device: &Device) -> String {
    let (rows, nodes, opset) = (report.rows.len(), report.nodes, report.opset);
    let what = match report.level {
        crate::report::Level::Layers => format!("{rows} layers of {nodes} nodes"),
        crate::report::Level::Nodes => format!("{nodes} nodes"),
    };
    format!("{}: {what}, opset {opset}; {}", cli::printable(&report.model), device_line(device))
}

fn device_line(device: &Device) -> String {
    let peaks = &device.peak_tflops;
    let known =
        [("float32", Some(peaks.float32)), ("tf32", peaks.tf32), ("float16", peaks.float16), ("int8", peaks.int8)];
    let known = known.iter().filter_map(|(name, peak)| Some(format!("{name} {}", (*peak)?)));
    let (name, bandwidth) = (cli::printable(&device.name), device.bandwidth_gbs);
    format!("{name}: {} TFLOP/s, {bandwidth} GB/s", known.collect::<Vec<_>>().join(", "))
}

fn layers(report: &Report, max_rows: usize, style: Style) -> String {
    let total = report.total();
    let (shown, rest) = split(&report.rows, max_rows);
    let header = [&[report.level.name(), "operators", "output", "type"][..], &QUANTITIES, &["bound", "floor", "share"]];
    let mut grid = Grid::new(&header.concat(), &[0, 1, 2, 3, 11]);
    grid.rows.extend(shown.iter().map(|row| cells(row, &total)));
    if !rest.is_empty() {
        grid.rows.push(sums(&format!("[other: {}]", rest.len()), &Total::of(&rest), &total));
    }
    grid.rows.push(sums("total", &total, &total));
    grid.render(style)
}

/// The rows that take longest, in their order, and the others.
fn split(rows: &[Row], max_rows: usize) -> (Vec<&Row>, Vec<&Row>) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    // What is not known comes first: nobody can tell that it takes little.
    order.sort_by(|&a, &b| {
        let key = |row: &Row| (row.floor.is_none(), row.seconds());
        key(&rows[b]).partial_cmp(&key(&rows[a])).unwrap_or(std::cmp::Ordering::Equal)
    });
    let most: std::collections::HashSet<usize> = order.into_iter().take(max_rows).collect();
    let (shown, rest): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(index, _)| most.contains(index));
    (shown.into_iter().map(|(_, row)| row).collect(), rest.into_iter().map(|(_, row)| row).collect())
}

fn cells(row: &Row, total: &Total) -> Vec<String> {
    let known = |value: Option<String>| value.unwrap_or_else(|| UNKNOWN.to_owned());
    let work = row.work.as_ref().ok();
    let traffic = row.traffic.as_ref().ok();
    let output = row.outputs.first().and_then(|text| Some(text.split_once('[')?.1.trim_end_matches(']').to_owned()));
    // Views neither compute nor move anything.
    let idle = row.seconds() == 0.0 && row.floor.is_some();
    let none = if idle { EMPTY } else { UNKNOWN };
    vec![
        row.name.clone(),
        row.operators.join("+"),
        known(output),
        onnx::type_name(row.dtype),
        units::count(row.parameters),
        known(work.map(|work| units::count(work.macs))),
        known(work.map(|work| units::count(work.flops))),
        known(traffic.map(|traffic| units::bytes(traffic.read))),
        known(traffic.map(|traffic| units::bytes(traffic.constants))),
        known(traffic.map(|traffic| units::bytes(traffic.written))),
        row.intensity().map_or_else(|| none.to_owned(), units::number),
        row.floor.filter(|_| !idle).map_or_else(|| none.to_owned(), |floor| floor.bound.name().into()),
        known(row.floor.map(|floor| units::seconds(floor.seconds))),
        known(row.floor.map(|floor| share(floor.seconds, total.floor))),
    ]
}

fn share(part: f64, whole: f64) -> String {
    units::percent(if whole > 0.0 { part / whole } else { 0.0 })
}

/// A row of sums.
fn sums(name: &str, sum: &Total, total: &Total) -> Vec<String> {
    let empty = || EMPTY.to_owned();
    let front = vec![name.to_owned(), empty(), empty(), empty()];
    let back = vec![empty(), at_least(sum, units::seconds(sum.floor)), share(sum.floor, total.floor)];
    [front, quantities(sum), back].concat()
}

/// The cells of [`QUANTITIES`].
fn quantities(sum: &Total) -> Vec<String> {
    vec![
        units::count(sum.parameters),
        at_least(sum, units::count(sum.work.macs)),
        at_least(sum, units::count(sum.work.flops)),
        at_least(sum, units::bytes(sum.traffic.read)),
        at_least(sum, units::bytes(sum.traffic.constants)),
        at_least(sum, units::bytes(sum.traffic.written)),
        sum.intensity().map_or_else(|| EMPTY.to_owned(), units::number),
    ]
}

/// A sum, which is a lower bound where a part is not known.
fn at_least(sum: &Total, text: String) -> String {
    if sum.unknown > 0 { format!("≥ {text}") } else { text }
}

fn models(reports: &[Report], style: Style) -> String {
    let header = [&["model", "layers", "nodes"][..], &QUANTITIES, &["compute-bound", "floor"]];
    let mut grid = Grid::new(&header.concat(), &[0]);
    for report in reports {
        let total = report.total();
        let front = vec![cli::printable(&report.model), report.rows.len().to_string(), report.nodes.to_string()];
        let floor = at_least(&total, units::seconds(total.floor));
        let back = vec![share(total.compute_bound, total.floor), floor];
        grid.rows.push([front, quantities(&total), back].concat());
    }
    grid.render(style)
}

/// Cells as text.
pub struct Grid {
    header: Vec<String>,
    /// Indices of the columns that are not numbers.
    text_columns: Vec<usize>,
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub fn new(header: &[&str], text_columns: &[usize]) -> Self {
        let header = header.iter().map(ToString::to_string).collect();
        Self { header, text_columns: text_columns.to_vec(), rows: Vec::new() }
    }

    pub fn render(mut self, style: Style) -> String {
        if let Style::Text { width: Some(width) } = style {
            self.fit(width);
        }
        let markdown = style == Style::Markdown;
        // A bar would end the cell.
        let cell = |text: &String| if markdown { text.replace('\\', "\\\\").replace('|', "\\|") } else { text.clone() };
        let mut table = Table::new();
        table.set_header(self.header.iter().map(cell));
        self.rows.iter().for_each(|row| {
            table.add_row(row.iter().map(cell));
        });
        table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
        for (index, column) in table.column_iter_mut().enumerate() {
            if !markdown {
                column.set_padding((0, GAP));
            }
            if !self.text_columns.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt() + "\n"
    }

    /// Shortens names and leaves columns out until the table is at most `width` wide.
    fn fit(&mut self, width: usize) {
        if self.width() > width {
            self.rows.iter_mut().for_each(|row| row.iter_mut().take(2).for_each(|cell| *cell = shortened(cell)));
        }
        let mut hidden = 0;
        for name in DISPENSABLE {
            if self.width() <= width {
                break;
            }
            if let Some(index) = self.header.iter().position(|column| column == name) {
                self.remove(index);
                hidden += 1;
            }
        }
        if hidden > 0 {
            cli::note(&format!("the terminal is too narrow for {hidden} columns; --to csv has all"));
        }
    }

    fn remove(&mut self, index: usize) {
        self.header.remove(index);
        self.rows.iter_mut().for_each(|row| {
            row.remove(index);
        });
        self.text_columns.retain(|column| *column != index);
        self.text_columns.iter_mut().filter(|column| **column > index).for_each(|column| *column -= 1);
    }

    fn width(&self) -> usize {
        let rows = || std::iter::once(&self.header).chain(&self.rows);
        let column = |index: usize| rows().map(|row| console::measure_text_width(&row[index])).max().unwrap_or(0);
        (0..self.header.len())
            .map(|index| column(index) + usize::from(GAP))
            .sum::<usize>()
            .saturating_sub(usize::from(GAP))
    }
}

/// A long name with an ellipsis in the middle: names differ at their ends.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= NARROW_NAME {
        return text.to_owned();
    }
    let front = NARROW_NAME / 2;
    let back = NARROW_NAME - front - 1;
    text.chars().take(front).chain(['…']).chain(text.chars().skip(count - back)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_shows_fewer_columns() {
        let header = ["layer", "operators", "output", "MACs"].map(str::to_owned).to_vec();
        let row =
            vec!["features.0.conv1.with.a.long.name".to_owned(), "Conv".into(), "1,64,8,8".into(), "1.5 k".into()];
        let mut grid = Grid { header, text_columns: vec![0, 1, 2], rows: vec![row] };
        grid.fit(45);
        assert_eq!(grid.header, ["layer", "operators", "MACs"]);
        assert_eq!((grid.rows[0][0].as_str(), &grid.text_columns), ("features.0.c…a.long.name", &vec![0, 1]));
        assert!(grid.width() <= 45);
    }
}
