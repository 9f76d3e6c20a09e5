//! A chart of curves as text.

use super::{
    canvas::{Canvas, marker},
    painted,
};
use crate::{
    axis::Tick,
    chart::{Chart, Curve},
    points::{Point, clipped, decimated, stretches},
    scene::Color,
    style::{self, Entry, Line, Style},
    text::wrapped,
};
use cli::printable;
use console::measure_text_width as width;

/// Rows and columns for each labelled tick.
const TICK_ROWS: usize = 3;
const TICK_COLUMNS: usize = 12;
/// Rows of title, axis and tick labels.
const OTHER_ROWS: usize = 3;
/// Least rows of the curves, however long the legend is.
const MIN_ROWS: usize = 10;
/// The mark of a highlighted point.
const MARK: char = '◆';

/// The chart in `rows` lines of at most `columns` characters; more lines where the legend takes them.
pub fn draw(chart: &Chart, columns: usize, rows: usize, colored: bool, colors: &[Color]) -> String {
    let title = printable(&format!("{} by {}", style::title(chart), chart.x_name));
    let styles: Vec<Style> = visible(chart).map(|curve| style::style(chart, curve, colors)).collect();
    // Where there are no colors, or two curves share one, characters distinguish curves.
    let markers =
        styles.iter().any(|style| style.index != styles[0].index && (!colored || style.dash != styles[0].dash));
    let legend = legend(chart, columns, colored, markers, colors);
    let height = rows
        .saturating_sub(OTHER_ROWS + legend.lines().count())
        .max(MIN_ROWS.min(rows.saturating_sub(OTHER_ROWS)).max(2));
    let y_ticks = chart.y.ticks((height / TICK_ROWS).max(2), false);
    let margin = y_ticks.iter().map(|tick| width(&tick.label)).max().unwrap_or(0) + 1;
    let across = columns.saturating_sub(margin + 1).max(2);
    let mut canvas = Canvas::new(across, height);
    for (index, (curve, style)) in visible(chart).zip(&styles).enumerate() {
        draw_curve(&mut canvas, chart, curve, index, style.line);
    }
    let mut out = String::new();
    wrapped(&title, |line| width(line) <= columns).iter().for_each(|line| out.push_str(&format!("{line}\n")));
    out.push_str(&legend);
    for row in 0..height {
        let tick = y_ticks.iter().find(|tick| row_of(chart.y.position(tick.value), height) == row);
        let (label, edge) = tick.map_or(("", '│'), |tick| (&tick.label, '┤'));
        out.push_str(&format!("{label:>margin$}{edge}"));
        out.push_str(cells(&canvas, row, &styles, colored, markers).trim_end());
        out.push('\n');
    }
    let x_ticks = chart.x.ticks((across / TICK_COLUMNS).max(1), !chart.x.log);
    out.push_str(&x_axis(chart, &x_ticks, margin, across));
    out
}

/// The curves without those of single batches, which would hide the others.
fn visible(chart: &Chart) -> impl Iterator<Item = &Curve> {
    let all_pale = chart.curves.iter().all(|curve| curve.series.is_pale());
    chart.curves.iter().filter(move |curve| all_pale || !curve.series.is_pale())
}

/// The kinds of lines, and under them the runs: in columns of one width, names in several lines where they must be.
fn legend(chart: &Chart, columns: usize, colored: bool, markers: bool, colors: &[Color]) -> String {
    let style::Legend { mut series, runs } = style::legend(chart, colors);
    series.retain(|entry| visible(chart).any(|curve| Some(curve.series) == entry.series));
    let swatched = |entry: &Entry| {
        let is_series = entry.style.color == Color::AXIS;
        let swatch = match entry.style.line {
            Line::Thin => "- -".to_owned(),
            Line::Dots if is_series => " • ".to_owned(),
            _ if markers && !is_series => marker(entry.style.index).to_string(),
            _ => "───".to_owned(),
        };
        let color = (colored && !is_series).then_some(entry.style.color);
        (swatch, color, printable(&entry.name))
    };
    [series, runs].map(|entries| grid(&entries.iter().map(swatched).collect::<Vec<_>>(), columns)).concat()
}

/// Entries of a swatch, its color and a name, column by column, no line longer than `columns`.
fn grid(entries: &[(String, Option<Color>, String)], columns: usize) -> String {
    /// Between two columns.
    const GAP: usize = 2;
    let own = |(swatch, _, name): &(String, Option<Color>, String)| width(swatch) + 1 + width(name);
    let in_line = entries.iter().map(own).sum::<usize>() + GAP * entries.len().saturating_sub(1) <= columns;
    if in_line && !entries.is_empty() {
        let entry =
            |(swatch, color, name): &(String, Option<Color>, String)| format!("{} {name}", painted(swatch, *color));
        return entries.iter().map(entry).collect::<Vec<_>>().join("  ") + "\n";
    }
    let widest = entries.iter().map(own).max().unwrap_or(0);
    let across = ((columns + GAP) / (widest.min(columns) + GAP).max(1)).clamp(1, entries.len().max(1));
    let down = entries.len().div_ceil(across);
    let mut out = String::new();
    for row in 0..down {
        let in_row = entries.iter().skip(row).step_by(down.max(1));
        let mut line = String::new();
        for (column, (swatch, color, name)) in in_row.enumerate() {
            let room = columns.saturating_sub(width(swatch) + 1).max(1);
            let mut names = wrapped(name, |line| width(line) <= room).into_iter();
            let first = names.next().unwrap_or_default();
            let free = column * (widest + GAP);
            line.push_str(&" ".repeat(free.saturating_sub(width(&line))));
            line.push_str(&format!("{} {first}", painted(swatch, *color)));
            let indent = " ".repeat(width(swatch) + 1);
            names.for_each(|rest| line.push_str(&format!("\n{indent}{rest}")));
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn draw_curve(canvas: &mut Canvas, chart: &Chart, curve: &Curve, index: usize, line: Line) {
    let (right, bottom) = canvas.last_dot();
    let position = |(x, y): &Point| (chart.x.position(*x) * right, (1.0 - chart.y.position(*y)) * bottom);
    let dots: Vec<Point> = curve.line().iter().map(position).collect();
    for stretch in stretches(&clipped(&decimated(&dots, 1.0), 0.0, bottom)) {
        if stretch.len() == 1 || line == Line::Dots {
            stretch.iter().for_each(|&dot| canvas.line(dot, dot, index, false));
        }
        if line != Line::Dots {
            stretch.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], index, line == Line::Thin));
        }
    }
    if let Some(marked) = curve.marked.map(|point| position(&point)).filter(|(_, y)| (0.0..=bottom).contains(y)) {
        canvas.mark(marked, index);
    }
}

/// A row of cells, the curves in their colors, or in characters of their own where there are none.
fn cells(canvas: &Canvas, row: usize, styles: &[Style], colored: bool, markers: bool) -> String {
    let mut out = String::new();
    for stretch in canvas.row(row).chunk_by(|a, b| a.is_empty() == b.is_empty() && a.owner == b.owner) {
        let (color, marker) =
            styles.get(stretch[0].owner).map_or((Color::TEXT, ' '), |style| (style.color, marker(style.index)));
        let character = |cell: &super::canvas::Cell| match cell {
            cell if cell.is_empty() => ' ',
            cell if cell.marked => MARK,
            _ if markers => marker,
            cell => cell.braille(),
        };
        let text: String = stretch.iter().map(character).collect();
        let color = (colored && !stretch[0].is_empty()).then_some(color);
        out.push_str(&painted(&text, color));
    }
    out
}

fn row_of(position: f64, height: usize) -> usize {
    ((1.0 - position) * (height - 1) as f64).round() as usize
}

/// The axis under the curves, and its labels where they do not overlap.
fn x_axis(chart: &Chart, ticks: &[Tick], margin: usize, across: usize) -> String {
    let mut axis = vec!['─'; across];
    let mut labels = String::new();
    for tick in ticks {
        let column = (chart.x.position(tick.value) * (across - 1) as f64).round() as usize;
        let at = (margin + 1 + column).saturating_sub(tick.label.len() / 2);
        let at = at.min((margin + 1 + across).saturating_sub(tick.label.len()));
        let free = labels.chars().count() + usize::from(!labels.is_empty());
        if column < across && at >= free {
            axis[column] = '┬';
            labels.push_str(&" ".repeat(at - labels.chars().count()));
            labels.push_str(&tick.label);
        }
    }
    format!("{:margin$}└{}\n{labels}\n", "", axis.iter().collect::<String>())
}
