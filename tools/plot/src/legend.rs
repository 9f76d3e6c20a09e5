//! The layout of a picture's legend, outside the curves: on the right where all of it fits, or else below, in columns.

use crate::{
    font,
    scene::Color,
    style::{Dash, Entry, Legend, Line, Style},
    text::wrapped,
};

/// Lengths in units of the font size.
const LINE_HEIGHT: f64 = 1.5;
const SWATCH: f64 = 1.8;
const GAP: f64 = 0.5;
const PADDING: f64 = 1.0;
/// Between two columns.
const COLUMN_GAP: f64 = 1.5;
/// Limit on the width of a legend on the right, as a share of the picture's.
const RIGHT_SHARE: f64 = 0.3;

/// An entry with its position.
#[derive(Debug)]
pub struct Cell {
    /// The left end, and the middle of the first line, from the legend's upper left corner.
    pub left: f64,
    pub middle: f64,
    pub lines: Vec<String>,
    pub style: Style,
}

/// The positions of all entries.
#[derive(Debug, Default)]
pub struct Layout {
    pub cells: Vec<Cell>,
    pub width: f64,
    pub height: f64,
    pub is_below: bool,
}

/// The width of a swatch, and how far from its left end a text begins.
pub fn swatch(em: f64) -> (f64, f64) {
    (SWATCH * em, (SWATCH + GAP) * em)
}

/// How far it is from one line of a text to the next.
pub fn line_height(em: f64) -> f64 {
    LINE_HEIGHT * em
}

/// Lays a legend out for a picture of `width` pixels, whose curves are `height` high. Below them, it is at most
/// `max_height` high; entries that do not fit are counted in its last line.
pub fn layout(legend: Legend, em: f64, width: f64, height: f64, max_height: f64) -> Layout {
    if legend.is_empty() {
        return Layout::default();
    }
    on_the_right(&legend, em, width, height)
        .unwrap_or_else(|| below(legend, em, width - 2.0 * PADDING * em, max_height))
}

fn entry_width(entry: &Entry, em: f64) -> f64 {
    swatch(em).1 + font::width(&entry.name, em)
}

fn on_the_right(legend: &Legend, em: f64, width: f64, height: f64) -> Option<Layout> {
    let entries = || legend.series.iter().chain(&legend.runs);
    let widest = entries().map(|entry| entry_width(entry, em)).fold(0.0, f64::max);
    // Between the kinds of lines and the runs.
    let gap = if legend.series.is_empty() || legend.runs.is_empty() { 0.0 } else { GAP * em };
    let needed = entries().count() as f64 * LINE_HEIGHT * em + gap;
    if widest > width * RIGHT_SHARE || needed > height {
        return None;
    }
    let cell = |(line, entry): (usize, &Entry)| Cell {
        left: 0.0,
        middle: (line as f64 + 0.5) * LINE_HEIGHT * em + if line < legend.series.len() { 0.0 } else { gap },
        lines: vec![entry.name.clone()],
        style: entry.style,
    };
    Some(Layout { cells: entries().enumerate().map(cell).collect(), width: widest, height: needed, is_below: false })
}

fn below(legend: Legend, em: f64, width: f64, max_height: f64) -> Layout {
    let mut layout = Layout { width, is_below: true, ..Layout::default() };
    let room = ((max_height / (LINE_HEIGHT * em)) as usize).max(2);
    let series = grid(legend.series, em, width, true);
    let runs = grid(legend.runs, em, width, false);
    let rows: Vec<_> = series.into_iter().chain(runs).collect();
    let mut line = 0;
    let mut left_out = 0;
    let count = rows.len();
    for (i, row) in rows.into_iter().enumerate() {
        let lines = row.iter().map(|(_, entry)| entry.lines.len()).max().unwrap_or(0);
        // The last line is for the number of entries left out.
        if left_out > 0 || line + lines > room - usize::from(i + 1 < count) {
            left_out += row.len();
            continue;
        }
        let middle = (line as f64 + 0.5) * LINE_HEIGHT * em;
        layout.cells.extend(row.into_iter().map(|(left, entry)| entry.at(left, middle)));
        line += lines;
    }
    if left_out > 0 {
        // White on white: no swatch.
        let style = Style { index: 0, color: Color::WHITE, dash: Dash::Solid, line: Line::Full };
        let lines = vec![format!("and {left_out} more")];
        layout.cells.push(Cell { left: 0.0, middle: (line as f64 + 0.5) * LINE_HEIGHT * em, lines, style });
        line += 1;
    }
    layout.height = line as f64 * LINE_HEIGHT * em;
    layout
}

/// An entry whose text was broken into lines.
struct Wrapped {
    lines: Vec<String>,
    style: Style,
}

impl Wrapped {
    fn at(self, left: f64, middle: f64) -> Cell {
        Cell { left, middle, lines: self.lines, style: self.style }
    }
}

/// Entries in rows, each with its left end: in columns of one width, filled from left to right if `across`, or else
/// column by column.
fn grid(entries: Vec<Entry>, em: f64, width: f64, across: bool) -> Vec<Vec<(f64, Wrapped)>> {
    let limit = width - swatch(em).1;
    let widest = entries.iter().map(|entry| entry_width(entry, em)).fold(0.0, f64::max).min(width);
    let pitch = widest + COLUMN_GAP * em;
    let columns = (((width + COLUMN_GAP * em) / pitch) as usize).clamp(1, entries.len().max(1));
    let rows = entries.len().div_ceil(columns);
    let mut grid: Vec<Vec<(f64, Wrapped)>> = (0..rows).map(|_| Vec::new()).collect();
    for (i, entry) in entries.into_iter().enumerate() {
        let (row, column) = if across { (i / columns, i % columns) } else { (i % rows, i / rows) };
        let lines = wrapped(&entry.name, |line| font::width(line, em) <= limit);
        grid[row].push((column as f64 * pitch, Wrapped { lines, style: entry.style }));
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legend(names: &[String]) -> Legend {
        let style = Style { index: 0, color: Color::TEXT, dash: Dash::Solid, line: Line::Full };
        let entry = |name: &String| Entry { name: name.clone(), series: None, style };
        Legend {
            series: vec![entry(&"train".to_owned()), entry(&"validation".to_owned())],
            runs: names.iter().map(entry).collect(),
        }
    }

    /// Left, top, right and bottom of each entry.
    fn boxes(layout: &Layout, em: f64) -> Vec<[f64; 4]> {
        let of = |cell: &Cell| {
            let widest = cell.lines.iter().map(|line| font::width(line, em)).fold(0.0, f64::max);
            let top = cell.middle - LINE_HEIGHT * em / 2.0;
            [cell.left, top, cell.left + swatch(em).1 + widest, top + cell.lines.len() as f64 * LINE_HEIGHT * em]
        };
        layout.cells.iter().map(of).collect()
    }

    #[test]
    fn entries_are_whole_and_do_not_overlap() {
        let short: Vec<_> = (0..6).map(|i| format!("seed={i}")).collect();
        let sweep: Vec<_> = (0..16).map(|i| format!("optimizer=adam, learning_rate={i}e-3, seed={i}")).collect();
        let long: Vec<_> = (0..3).map(|i| format!("{}, seed={i}", "model.layers=a_long_word, ".repeat(9))).collect();
        for names in [short, sweep, long] {
            for (em, width, height) in
                [(13.0, 800.0, 380.0), (10.0, 300.0, 100.0), (20.0, 1600.0, 700.0), (30.0, 200.0, 50.0)]
            {
                let layout = layout(legend(&names), em, width, height, 1e9);
                let room = if layout.is_below { width - 2.0 * PADDING * em } else { width * RIGHT_SHARE };
                let boxes = boxes(&layout, em);
                for (i, [left, top, right, bottom]) in boxes.iter().enumerate() {
                    assert!(
                        *left >= 0.0 && *right <= room + 1e-9 && *bottom <= layout.height + 1e-9,
                        "{names:?} {em} {width}"
                    );
                    for [l, t, r, b] in &boxes[..i] {
                        assert!(
                            l >= right || r <= left || *t >= bottom - 1e-9 || *b <= top + 1e-9,
                            "{names:?} {em} {width}"
                        );
                    }
                }
                let shown: Vec<String> =
                    layout.cells[2..].iter().map(|cell| cell.lines.concat().replace(' ', "")).collect();
                let mut expected: Vec<String> = names.iter().map(|name| name.replace(' ', "")).collect();
                expected.sort();
                let mut shown = shown;
                shown.sort();
                assert_eq!(shown, expected);
            }
        }
    }

    #[test]
    fn what_no_picture_has_room_for_is_counted() {
        let names: Vec<_> = (0..100).map(|i| format!("run {i}")).collect();
        let layout = layout(legend(&names), 10.0, 120.0, 10.0, 10.0 * 10.0 * LINE_HEIGHT);
        assert!(layout.height <= 150.0, "{}", layout.height);
        let last = layout.cells.last().expect("an entry").lines.concat();
        assert_eq!(last, format!("and {} more", 102 - (layout.cells.len() - 1)));
    }
}
