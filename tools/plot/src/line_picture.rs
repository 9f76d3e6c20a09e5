//! A chart of curves as a scene.

use crate::{
    axis::Tick,
    chart::{Chart, Curve},
    curve::{Point, decimated, stretches},
    font,
    scene::{Anchor, Color, Mark, Scene, Shape, Stroke},
    settings::Settings,
    style::{self, Entry, Line, Style},
};

/// All lengths are in units of the font size, so that a picture grows with it.
const TITLE: f64 = 1.25;
const PADDING: f64 = 1.0;
const GAP: f64 = 0.5;
const LINE_HEIGHT: f64 = 1.5;
const SWATCH: f64 = 1.8;
const STROKE: f64 = 0.13;
const THIN_STROKE: f64 = 0.08;
const DOT: f64 = 0.27;
const TICK_LENGTH: f64 = 0.35;
/// Room for each tick of an axis.
const X_TICK_ROOM: f64 = 6.0;
const Y_TICK_ROOM: f64 = 3.5;
/// A text whose baseline is this far under a point looks centered on it.
const HALF_HEIGHT: f64 = 0.36;
/// The greatest share of the picture's width that the legend takes.
const LEGEND_SHARE: f64 = 0.3;
const PALE: f64 = 0.45;

/// The frame that curves are in.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// Lays a chart out.
pub fn scene(chart: &Chart, settings: &Settings) -> Scene {
    let em = settings.font_size;
    let title = style::title(chart);
    let mut scene = Scene::new(settings.width, settings.height, &title);
    let top = (PADDING + TITLE + 2.0 * GAP) * em;
    let bottom = f64::from(settings.height) - (PADDING + 2.0 + 3.0 * GAP) * em;
    let bottom = bottom.max(top + em);
    let y_ticks = chart.y.ticks(((bottom - top) / (Y_TICK_ROOM * em)) as usize, false);
    let widest = y_ticks.iter().map(|tick| font::width(&tick.label, em)).fold(0.0, f64::max);
    let left = (PADDING + 1.0 + 3.0 * GAP) * em + widest;
    let legend = fitting(style::legend(chart, &settings.colors), ((bottom - top) / (LINE_HEIGHT * em)) as usize);
    let names = f64::from(settings.width) * LEGEND_SHARE - (SWATCH + GAP) * em;
    let right = f64::from(settings.width) - PADDING * em - legend_width(&legend, em, names);
    let frame = Frame { left, right: right.max(left + em), top, bottom };

    let limit = f64::from(settings.width) - 2.0 * PADDING * em;
    let shortened = font::shortened(&title, TITLE * em, limit);
    scene.text("title", (left, (PADDING + TITLE) * em), &shortened, TITLE * em, Anchor::Start);
    draw_y_axis(&mut scene, chart, &frame, &y_ticks, em);
    draw_x_axis(&mut scene, chart, &frame, em);
    for curve in &chart.curves {
        draw_curve(&mut scene, chart, curve, &frame, settings);
    }
    draw_legend(&mut scene, &legend, &frame, em, names);
    scene
}

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + (self.right - self.left) * share
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share
    }
}

fn draw_y_axis(scene: &mut Scene, chart: &Chart, frame: &Frame, ticks: &[Tick], em: f64) {
    let thin = Stroke::solid(Color::GRID, 1.0);
    for tick in ticks {
        let y = frame.y(chart.y.place(tick.value));
        scene.line("grid", (frame.left, y), (frame.right, y), thin);
        let at = (frame.left - GAP * em, y + HALF_HEIGHT * em);
        scene.text("y-tick", at, &tick.label, em, Anchor::End);
    }
    for value in chart.y.minor_ticks() {
        let y = frame.y(chart.y.place(value));
        scene.line("minor-tick", (frame.left, y), (frame.left + TICK_LENGTH * em, y), Stroke::solid(Color::AXIS, 1.0));
    }
    scene.line("axis", (frame.left, frame.top), (frame.left, frame.bottom), Stroke::solid(Color::AXIS, 1.0));
    let label = font::shortened(&style::y_label(chart), em, frame.bottom - frame.top);
    let at = ((PADDING + 1.0) * em, (frame.top + frame.bottom) / 2.0);
    scene.upward_text("y-label", at, &label, em, Anchor::Middle);
}

fn draw_x_axis(scene: &mut Scene, chart: &Chart, frame: &Frame, em: f64) {
    let stroke = Stroke::solid(Color::AXIS, 1.0);
    scene.line("axis", (frame.left, frame.bottom), (frame.right, frame.bottom), stroke);
    for tick in chart.x.ticks(((frame.right - frame.left) / (X_TICK_ROOM * em)) as usize, true) {
        let x = frame.x(chart.x.place(tick.value));
        scene.line("x-mark", (x, frame.bottom), (x, frame.bottom + TICK_LENGTH * em), stroke);
        scene.text("x-tick", (x, frame.bottom + (1.0 + GAP) * em), &tick.label, em, Anchor::Middle);
    }
    let at = ((frame.left + frame.right) / 2.0, frame.bottom + (2.0 + 3.0 * GAP) * em);
    scene.text("x-label", at, chart.x_name, em, Anchor::Middle);
}

fn draw_curve(scene: &mut Scene, chart: &Chart, curve: &Curve, frame: &Frame, settings: &Settings) {
    let look = style::style(chart, curve, &settings.colors);
    let name = format!("{} {}", chart.runs[curve.run], curve.metric).trim().to_owned();
    let pale = Style { line: Line::Pale, ..look };
    let layers = match &curve.smoothed {
        None => vec![(&curve.points, look, "curve")],
        Some(smooth) => vec![(&curve.points, pale, "raw"), (smooth, look, "curve")],
    };
    for (points, look, class) in layers {
        let points: Vec<Point> =
            points.iter().map(|(x, y)| (frame.x(chart.x.place(*x)), frame.y(chart.y.place(*y)))).collect();
        for stretch in stretches(&decimated(&points, 1.0)) {
            for shape in shapes(stretch, look, settings.font_size) {
                scene.marks.push(Mark { class, name: Some(name.clone()), shape });
            }
        }
    }
}

fn shapes(points: &[Point], look: Style, em: f64) -> Vec<Shape> {
    let color = look.color;
    // A single point has no line through it.
    if look.line == Line::Dots || points.len() == 1 {
        let radius = if look.line == Line::Dots { DOT * em * 1.3 } else { DOT * em };
        return points.iter().map(|&center| Shape::Dot { center, radius, color }).collect();
    }
    vec![Shape::Line { points: points.to_vec(), stroke: stroke(look, em) }]
}

fn stroke(look: Style, em: f64) -> Stroke {
    let solid = Stroke::solid(look.color, STROKE * em);
    match look.line {
        Line::Solid | Line::Dots => solid,
        Line::Dashed => Stroke { dash: Some([0.45 * em, 0.3 * em]), ..solid },
        Line::Pale => Stroke { width: THIN_STROKE * em, opacity: PALE, ..solid },
    }
}

/// As many entries as there are lines for; the last then says how many are not there.
fn fitting(mut entries: Vec<Entry>, lines: usize) -> Vec<Entry> {
    let lines = lines.max(1);
    if entries.len() > lines {
        // White on white: it stands for no curve.
        let style = Style { color: Color::WHITE, line: Line::Solid };
        let name = format!("and {} more", entries.len() - (lines - 1));
        entries.truncate(lines - 1);
        entries.push(Entry { name, style });
    }
    entries
}

fn legend_width(legend: &[Entry], em: f64, limit: f64) -> f64 {
    if legend.is_empty() {
        return em;
    }
    let widest = legend.iter().map(|entry| font::width(&entry.name, em)).fold(0.0, f64::max);
    (PADDING + SWATCH + GAP) * em + widest.min(limit.max(0.0))
}

fn draw_legend(scene: &mut Scene, legend: &[Entry], frame: &Frame, em: f64, limit: f64) {
    let left = frame.right + PADDING * em;
    for (line, entry) in legend.iter().enumerate() {
        let y = frame.top + (line as f64 + 0.5) * LINE_HEIGHT * em;
        let (from, to) = ((left, y), (left + SWATCH * em, y));
        if entry.style.line == Line::Dots {
            let center = (left + SWATCH * em / 2.0, y);
            scene.add("swatch", Shape::Dot { center, radius: DOT * em * 1.3, color: entry.style.color });
        } else {
            scene.line("swatch", from, to, stroke(entry.style, em));
        }
        let name = font::shortened(&entry.name, em, limit);
        scene.text("legend", (to.0 + GAP * em, y + HALF_HEIGHT * em), &name, em, Anchor::Start);
    }
}
