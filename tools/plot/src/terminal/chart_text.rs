//! A chart of curves as text.

use super::{
    canvas::{Canvas, MARKERS},
    painted, printable,
};
use crate::{
    axis::Tick,
    chart::{Chart, Curve},
    curve::{Point, decimated, stretches},
    scene::Color,
    style::{self, Line},
};
use console::{measure_text_width as width, truncate_str};

/// Rows and columns that a labelled tick takes.
const TICK_ROWS: usize = 3;
const TICK_COLUMNS: usize = 12;
/// Rows beside those of the curves: title, axis, its labels.
const OTHER_ROWS: usize = 3;

/// The chart in `rows` lines of at most `columns` characters.
pub fn draw(chart: &Chart, columns: usize, rows: usize, colored: bool, colors: &[Color]) -> String {
    let title = printable(&format!("{} by {}", style::title(chart), chart.x_name));
    let looks = visible(chart).map(|curve| look(chart, curve, colors)).collect::<Vec<_>>();
    let markers = !colored && looks.iter().any(|look| look.1 != looks[0].1);
    let legend = legend(chart, columns, colored, markers, colors);
    let height = rows.saturating_sub(OTHER_ROWS + legend.lines().count()).max(2);
    let y_ticks = chart.y.ticks((height / TICK_ROWS).max(2), false);
    let margin = y_ticks.iter().map(|tick| width(&tick.label)).max().unwrap_or(0) + 1;
    let across = columns.saturating_sub(margin + 1).max(2);
    let mut canvas = Canvas::new(across, height);
    for (index, curve) in visible(chart).enumerate() {
        draw_curve(&mut canvas, chart, curve, index, colors);
    }
    let mut out = format!("{}\n{legend}", truncate_str(&title, columns, "…"));
    for row in 0..height {
        let tick = y_ticks.iter().find(|tick| row_of(chart.y.place(tick.value), height) == row);
        let (label, edge) = tick.map_or(("", '│'), |tick| (&tick.label, '┤'));
        out.push_str(&format!("{label:>margin$}{edge}"));
        out.push_str(cells(&canvas, row, &looks, colored, markers).trim_end());
        out.push('\n');
    }
    let x_ticks = chart.x.ticks((across / TICK_COLUMNS).max(1), true);
    out.push_str(&x_axis(chart, &x_ticks, margin, across));
    out
}

/// The values of single batches would hide the others.
fn visible(chart: &Chart) -> impl Iterator<Item = &Curve> {
    let all_pale = chart.curves.iter().all(|curve| curve.part.is_pale());
    chart.curves.iter().filter(move |curve| all_pale || !curve.part.is_pale())
}

/// A curve's color and marker.
fn look(chart: &Chart, curve: &Curve, colors: &[Color]) -> (Color, char) {
    let style = style::style(chart, curve, colors);
    (style.color, marker(style.color, colors))
}

/// Curves of one color have one marker.
fn marker(color: Color, colors: &[Color]) -> char {
    MARKERS[colors.iter().position(|other| *other == color).unwrap_or(0) % MARKERS.len()]
}

fn legend(chart: &Chart, columns: usize, colored: bool, markers: bool, colors: &[Color]) -> String {
    let shows_pale = visible(chart).any(|curve| curve.part.is_pale());
    let mut line = String::new();
    let mut used = 0;
    for entry in style::legend(chart, colors) {
        if entry.style.line == Line::Pale && !shows_pale {
            continue;
        }
        let about_parts = entry.style.color == Color::AXIS;
        let swatch = match entry.style.line {
            Line::Dashed => "- -".to_owned(),
            _ if markers && !about_parts => marker(entry.style.color, colors).to_string(),
            _ => "───".to_owned(),
        };
        let name = printable(&entry.name);
        let room = width(&swatch) + 1 + width(&name) + 2;
        if used + room > columns {
            line.push('…');
            break;
        }
        used += room;
        let color = (colored && !about_parts).then_some(entry.style.color);
        line.push_str(&format!("{} {name}  ", painted(&swatch, color)));
    }
    if line.is_empty() { line } else { format!("{}\n", line.trim_end()) }
}

fn draw_curve(canvas: &mut Canvas, chart: &Chart, curve: &Curve, index: usize, colors: &[Color]) {
    let (right, bottom) = canvas.last_dot();
    let points = curve.smoothed.as_ref().unwrap_or(&curve.points);
    let dots: Vec<Point> = points
        .iter()
        .map(|(x, y)| (chart.x.place(*x) * right, ((1.0 - chart.y.place(*y)) * bottom).clamp(0.0, bottom)))
        .collect();
    let line = style::style(chart, curve, colors).line;
    for stretch in stretches(&decimated(&dots, 1.0)) {
        if stretch.len() == 1 || line == Line::Dots {
            stretch.iter().for_each(|&dot| canvas.line(dot, dot, index, false));
        }
        if line != Line::Dots {
            stretch.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], index, line == Line::Dashed));
        }
    }
}

/// A row of cells, the curves in their colors, or in characters of their own where there are none.
fn cells(canvas: &Canvas, row: usize, looks: &[(Color, char)], colored: bool, markers: bool) -> String {
    let mut out = String::new();
    for stretch in canvas.row(row).chunk_by(|a, b| a.is_empty() == b.is_empty() && a.owner == b.owner) {
        let (color, marker) = looks.get(stretch[0].owner).copied().unwrap_or((Color::TEXT, MARKERS[0]));
        let character = |cell: &super::canvas::Cell| match cell {
            cell if cell.is_empty() => ' ',
            _ if markers => marker,
            cell => cell.braille(),
        };
        let text: String = stretch.iter().map(character).collect();
        let color = (colored && !stretch[0].is_empty()).then_some(color);
        out.push_str(&painted(&text, color));
    }
    out
}

fn row_of(place: f64, height: usize) -> usize {
    ((1.0 - place) * (height - 1) as f64).round() as usize
}

/// The axis under the curves, and its labels where they do not overlap.
fn x_axis(chart: &Chart, ticks: &[Tick], margin: usize, across: usize) -> String {
    let mut axis = vec!['─'; across];
    let mut labels = String::new();
    for tick in ticks {
        let column = (chart.x.place(tick.value) * (across - 1) as f64).round() as usize;
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
