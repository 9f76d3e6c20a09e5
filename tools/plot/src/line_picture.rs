//! A chart of curves as a scene.

use crate::{
    chart::{Chart, Curve},
    frame::{self, Axes, Frame, GAP, HALF_HEIGHT, PADDING},
    legend::{self, Layout},
    points::{Point, clipped, decimated, stretches},
    scene::{Anchor, Color, Mark, Scene, Shape, Stroke},
    settings::{MAX_SIDE, Settings},
    style::{self, Dash, Line, Style},
};

/// Lengths in units of the font size, as those of [`frame`](crate::frame).
const STROKE: f64 = 0.15;
const THIN_STROKE: f64 = 0.07;
const DOT: f64 = 0.27;
/// Of a ring, the inner radius as a share of the outer.
const HOLLOW: f64 = 0.55;
/// Least height of the curves, as a share of `plot.height`.
const MIN_SHARE: f64 = 0.6;
const PALE: f64 = 0.35;

/// Lays a chart out. Where the legend stands below the curves and needs the room, the picture is higher than the settings
/// say.
pub fn scene(chart: &Chart, settings: &Settings) -> Scene {
    let em = settings.font_size;
    let title = style::title(chart);
    let (width, height) = (f64::from(settings.width), f64::from(settings.height));
    let (top, under) = frame::above_and_under(em);
    let tallest = (height - under - top).max(em);
    let max_height = f64::from(MAX_SIDE) - top - under - tallest - PADDING * em;
    let legend = legend::layout(style::legend(chart, &settings.colors), em, width, tallest, max_height);
    let taken = if legend.is_below { legend.height + GAP * em } else { 0.0 };
    let bottom = (top + tallest - taken).max(top + tallest.min(height * MIN_SHARE));
    let y_ticks = frame::y_ticks(&chart.y, bottom - top, em);
    let left = frame::left_of(&y_ticks, em);
    let beside = if legend.is_below || legend.cells.is_empty() { em } else { legend.width + PADDING * em };
    let frame = Frame { left, right: (width - PADDING * em - beside).max(left + em), top, bottom };
    let mut scene = Scene::new(settings.width, (bottom + under + taken).ceil() as u32, &title);

    frame.draw_title(&mut scene, &title, width, em);
    let y_label = style::y_label(chart);
    let axes = Axes { x: &chart.x, y: &chart.y, x_label: chart.x_name, y_label: &y_label };
    frame.draw_axes(&mut scene, &axes, &y_ticks, em);
    // Values before smoothing are drawn behind all curves.
    for raw in [true, false] {
        chart.curves.iter().for_each(|curve| draw_curve(&mut scene, chart, curve, raw, &frame, settings));
    }
    chart.curves.iter().for_each(|curve| draw_mark(&mut scene, chart, curve, &frame, settings));
    let corner =
        if legend.is_below { (PADDING * em, bottom + under - GAP * em) } else { (frame.right + PADDING * em, top) };
    draw_legend(&mut scene, &legend, corner, em);
    scene
}

/// Draws a curve, or with `raw` its values before smoothing.
fn draw_curve(scene: &mut Scene, chart: &Chart, curve: &Curve, raw: bool, frame: &Frame, settings: &Settings) {
    let style = style::style(chart, curve, &settings.colors);
    let name = format!("{} {}", chart.runs[curve.run], curve.metric).trim().to_owned();
    let (points, style, class) = match raw {
        true if curve.smoothed.is_none() => return,
        true => (curve.points.as_slice(), Style { line: Line::Pale, dash: Dash::Solid, ..style }, "raw"),
        false => (curve.line(), style, "curve"),
    };
    let position = |(x, y): &Point| (frame.x(chart.x.position(*x)), frame.y(chart.y.position(*y)));
    let mut points = decimated(&points.iter().map(position).collect::<Vec<_>>(), 1.0);
    if chart.limited {
        points = if style.line == Line::Dots {
            points.into_iter().filter(|(_, y)| (frame.top..=frame.bottom).contains(y)).collect()
        } else {
            clipped(&points, frame.top, frame.bottom)
        };
    }
    let em = settings.font_size;
    for stretch in stretches(&points) {
        // A single point has no line through it.
        if style.line == Line::Dots || stretch.len() == 1 {
            stretch.iter().for_each(|&center| draw_dot(scene, class, Some(&name), center, style, em));
        } else {
            let shape = Shape::Line { points: stretch.to_vec(), stroke: stroke(style, em) };
            scene.marks.push(Mark { class, name: Some(name.clone()), shape });
        }
    }
}

/// A dot; from one dash pattern to the next, dots are full, rings, squares and hollow squares.
fn draw_dot(scene: &mut Scene, class: &'static str, name: Option<&str>, center: Point, style: Style, em: f64) {
    let radius = if style.line == Line::Dots { DOT * em * 1.3 } else { DOT * em };
    let shape = |radius: f64, color| match style.dash {
        Dash::Solid | Dash::Dashed => Shape::Dot { center, radius, color },
        Dash::Dotted | Dash::Mixed => {
            Shape::Rect { x: center.0 - radius, y: center.1 - radius, width: 2.0 * radius, height: 2.0 * radius, color }
        }
    };
    scene.marks.push(Mark { class, name: name.map(str::to_owned), shape: shape(radius, style.color) });
    if matches!(style.dash, Dash::Dashed | Dash::Mixed) {
        scene.add("hollow", shape(radius * HOLLOW, Color::WHITE));
    }
}

/// Draws a curve's highlighted point, with a line down to the horizontal axis.
fn draw_mark(scene: &mut Scene, chart: &Chart, curve: &Curve, frame: &Frame, settings: &Settings) {
    let Some((x, y)) = curve.marked else { return };
    let at = (frame.x(chart.x.position(x)), frame.y(chart.y.position(y)));
    if !(frame.top..=frame.bottom).contains(&at.1) {
        return;
    }
    let em = settings.font_size;
    let style = style::style(chart, curve, &settings.colors);
    let drop = Style { dash: Dash::Dotted, line: Line::Thin, ..style };
    scene.line("suggestion", at, (at.0, frame.bottom), stroke(drop, em));
    draw_dot(scene, "suggestion", Some(&chart.runs[curve.run]), at, Style { line: Line::Dots, ..style }, em);
}

fn stroke(style: Style, em: f64) -> Stroke {
    let dash = match style.dash {
        Dash::Solid => None,
        Dash::Dashed => Some([0.55, 0.3, 0.55, 0.3]),
        Dash::Dotted => Some([0.14, 0.24, 0.14, 0.24]),
        Dash::Mixed => Some([0.6, 0.25, 0.14, 0.25]),
    };
    let full = Stroke {
        dash: dash.map(|lengths| lengths.map(|length| length * em)),
        ..Stroke::solid(style.color, STROKE * em)
    };
    match style.line {
        Line::Full | Line::Dots => full,
        Line::Thin => Stroke { width: THIN_STROKE * em, ..full },
        Line::Pale => Stroke { width: THIN_STROKE * em, opacity: PALE, ..full },
    }
}

/// Draws a legend whose upper left corner is at a point.
pub fn draw_legend(scene: &mut Scene, legend: &Layout, (left, top): Point, em: f64) {
    let (swatch, text) = legend::swatch(em);
    for cell in &legend.cells {
        let (x, y) = (left + cell.left, top + cell.middle);
        if cell.style.line == Line::Dots {
            draw_dot(scene, "swatch", None, (x + swatch / 2.0, y), cell.style, em);
        } else {
            scene.line("swatch", (x, y), (x + swatch, y), stroke(cell.style, em));
        }
        for (i, line) in cell.lines.iter().enumerate() {
            let y = y + i as f64 * legend::line_height(em) + HALF_HEIGHT * em;
            scene.text("legend", (x + text, y), line, em, Anchor::Start);
        }
    }
}
