//! A roofline as a scene: speed over arithmetic intensity, both logarithmic; the device's bandwidth is the slope, its peaks
//! are the roofs, and each layer is a point as large as its share of the time.

use crate::{
    axis::Axis,
    font,
    frame::{self, Axes, Frame, GAP, HALF_HEIGHT, PADDING},
    legend::{self, Layout},
    line_picture::draw_legend,
    points::Point,
    roofline::{LayerPoint, Roofline},
    scene::{Anchor, Color, Mark, Scene, Shape, Stroke},
    settings::Settings,
    style::{Dash, Entry, Legend, Line, Style},
};
use cli::printable;

/// Lengths in units of the font size.
const ROOF: f64 = 0.15;
const SMALLEST: f64 = 0.28;
const LARGEST: f64 = 2.0;
/// White around a point, so that points under it stay visible.
const RIM: f64 = 0.08;
const MAX_LABEL: f64 = 14.0;
/// Between a label and what is beside it.
const CLEARANCE: f64 = 0.3;
/// Of a label above its roof.
const ABOVE: f64 = 0.8;
/// Layers that are named at most, and the least share of one.
const MAX_NAMES: usize = 8;
const LEAST_SHARE: f64 = 0.02;
/// How much of an axis stays free at each end.
const MARGIN: f64 = 0.06;
/// Speeds from here on are in TFLOP/s.
const TERA_FROM: f64 = 1e12;

/// Lays a roofline out.
pub fn scene(roofline: &Roofline, name: &str, settings: &Settings) -> Scene {
    let em = settings.font_size;
    let (width, height) = (f64::from(settings.width), f64::from(settings.height));
    let (top, under) = frame::above_and_under(em);
    let (unit, unit_name) = if roofline.roofs[0].1 >= TERA_FROM { (1e12, "TFLOP/s") } else { (1e9, "GFLOP/s") };
    let roofline = &scaled(roofline, unit);
    let legend = layout(roofline, settings, height - top - under);
    let taken = if legend.is_below { legend.height + GAP * em } else { 0.0 };
    let bottom = (height - under - taken).max(top + em);
    let (x, y) = ranges(roofline);
    let y_ticks = frame::y_ticks(&y, bottom - top, em);
    let beside = if legend.is_below || legend.cells.is_empty() { em } else { legend.width + PADDING * em };
    let left = frame::left_of(&y_ticks, em);
    let frame = Frame { left, right: (width - PADDING * em - beside).max(left + em), top, bottom };
    let title = title(roofline, name);
    let mut scene = Scene::new(settings.width, settings.height, &title);
    frame.draw_title(&mut scene, &title, width, em);
    let y_label = format!("{unit_name} (log scale)");
    let axes = Axes { x: &x, y: &y, x_label: "arithmetic intensity, FLOP/byte (log scale)", y_label: &y_label };
    frame.draw_axes(&mut scene, &axes, &y_ticks, em);
    let mut canvas = Canvas { scene: &mut scene, frame, axes, em, taken: Vec::new() };
    canvas.draw_roofs(roofline, unit_name, unit);
    canvas.draw_points(roofline, &settings.colors);
    let corner = match legend.is_below {
        true => (PADDING * em, bottom + under - GAP * em),
        false => (frame.right + PADDING * em, top),
    };
    draw_legend(&mut scene, &legend, corner, em);
    scene
}

fn title(roofline: &Roofline, name: &str) -> String {
    let models = match roofline.models.as_slice() {
        [model] => printable(&model.name),
        models => format!("{} models", models.len()),
    };
    let of = if name.is_empty() { String::new() } else { format!(" ({})", printable(name)) };
    format!("roofline of {models} on {}{of}", printable(&roofline.device))
}

/// With speeds in a larger unit.
fn scaled(roofline: &Roofline, unit: f64) -> Roofline {
    let mut scaled = roofline.clone();
    scaled.bandwidth /= unit;
    scaled.roofs.iter_mut().for_each(|roof| roof.1 /= unit);
    scaled.models.iter_mut().flat_map(|model| &mut model.layers).for_each(|layer| layer.performance /= unit);
    scaled
}

/// Axes over all points and ridges.
fn ranges(roofline: &Roofline) -> (Axis, Axis) {
    let layers = || roofline.models.iter().flat_map(|model| &model.layers);
    let ridges = roofline.roofs.iter().map(|roof| roof.1 / roofline.bandwidth);
    // Right of the last ridge there is a piece of roof.
    let x = Axis::over(
        layers().map(|layer| layer.intensity).chain(ridges.flat_map(|ridge| [ridge, 3.0 * ridge])),
        true,
        MARGIN,
    );
    // Above the highest roof is room for its label.
    let roofs = roofline.roofs.iter().flat_map(|roof| [roof.1, 1.5 * roof.1]);
    let y = Axis::over(layers().map(|layer| layer.performance).chain(roofs), true, MARGIN);
    (x, y)
}

fn layout(roofline: &Roofline, settings: &Settings, height: f64) -> Layout {
    if roofline.models.len() == 1 {
        return Layout::default();
    }
    let entry = |(index, model): (usize, &crate::roofline::ModelPoints)| {
        let color = settings.colors[index % settings.colors.len()];
        let style = Style { index, color, dash: Dash::Solid, line: Line::Dots };
        Entry { name: printable(&model.name), series: None, style }
    };
    let runs = roofline.models.iter().enumerate().map(entry).collect();
    let legend = Legend { series: Vec::new(), runs };
    legend::layout(legend, settings.font_size, f64::from(settings.width), height, height / 2.0)
}

/// A rectangle that is drawn on: left, top, right, bottom.
type Area = [f64; 4];

struct Canvas<'a> {
    scene: &'a mut Scene,
    frame: Frame,
    axes: Axes<'a>,
    em: f64,
    /// Where no label may go.
    taken: Vec<Area>,
}

impl Canvas<'_> {
    /// The slope up to the highest roof, and each roof from its ridge on.
    fn draw_roofs(&mut self, roofline: &Roofline, unit_name: &str, unit: f64) {
        let stroke = Stroke::solid(Color::AXIS, ROOF * self.em);
        let bandwidth = roofline.bandwidth;
        let (x, y) = (self.axes.x, self.axes.y);
        let from = x.low.max(y.low / bandwidth);
        for (index, (name, peak)) in roofline.roofs.iter().enumerate() {
            let ridge = peak / bandwidth;
            let [start, corner, end] = [(from, from * bandwidth), (ridge, *peak), (x.high, *peak)]
                .map(|point| self.frame.position(&self.axes, point));
            let points = if index == 0 { vec![start, corner, end] } else { vec![corner, end] };
            let shape = Shape::Line { points, stroke };
            self.scene.marks.push(Mark { class: "roof", name: Some(name.clone()), shape });
            self.keep_free(start, corner);
            self.keep_free(corner, end);
            let text = format!("{name} {} {unit_name}", number(*peak));
            self.label("roof-label", &text, (end.0, end.1 - ABOVE * self.em), Anchor::End);
        }
        // Left of the slope there is nothing else; a third of the way up.
        let highest = roofline.roofs.first().map_or(1.0, |roof| roof.1 / bandwidth);
        let at = from * libm::pow(highest / from, 0.35);
        let (x, y) = self.frame.position(&self.axes, (at, at * bandwidth));
        let text = format!("{} GB/s", number(bandwidth * unit / 1e9));
        self.label("roof-label", &text, (x - self.em, y - GAP * self.em), Anchor::End);
    }

    /// Keeps labels off a line.
    fn keep_free(&mut self, from: Point, to: Point) {
        let steps = ((to.0 - from.0).abs().max((to.1 - from.1).abs()) / self.em).ceil().max(1.0);
        let at = |step: f64| (from.0 + (to.0 - from.0) * step / steps, from.1 + (to.1 - from.1) * step / steps);
        let boxes = (0..steps as usize).map(|step| (at(step as f64), at(step as f64 + 1.0)));
        self.taken.extend(boxes.map(|(a, b)| [a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)]));
    }

    fn label(&mut self, class: &'static str, text: &str, at: Point, anchor: Anchor) {
        self.taken.push(area(text, at, anchor, self.em));
        self.scene.text(class, at, text, self.em, anchor);
    }

    fn draw_points(&mut self, roofline: &Roofline, colors: &[Color]) {
        let mut points: Vec<(&LayerPoint, Color)> = Vec::new();
        for (index, model) in roofline.models.iter().enumerate() {
            points.extend(model.layers.iter().map(|layer| (layer, colors[index % colors.len()])));
        }
        // The large ones first, so that none hides a small one.
        points.sort_by(|a, b| b.0.share.total_cmp(&a.0.share));
        for (layer, color) in &points {
            self.draw_point(layer, *color);
        }
        let named = points.iter().filter(|(layer, _)| layer.share >= LEAST_SHARE).take(MAX_NAMES);
        for (layer, _) in named {
            self.name(layer);
        }
    }

    fn radius(&self, layer: &LayerPoint) -> f64 {
        (LARGEST * layer.share.sqrt()).max(SMALLEST) * self.em
    }

    fn draw_point(&mut self, layer: &LayerPoint, color: Color) {
        let center = self.frame.position(&self.axes, (layer.intensity, layer.performance));
        let radius = self.radius(layer);
        self.scene.add("rim", Shape::Dot { center, radius: radius + RIM * self.em, color: Color::WHITE });
        let shape = Shape::Dot { center, radius, color };
        self.scene.marks.push(Mark { class: "layer", name: Some(printable(&layer.name)), shape });
        self.taken.push([center.0 - radius, center.1 - radius, center.0 + radius, center.1 + radius]);
    }

    /// Names a layer where there is room: under the roof, right or left of its point, and else not.
    fn name(&mut self, layer: &LayerPoint) {
        let em = self.em;
        let (x, y) = self.frame.position(&self.axes, (layer.intensity, layer.performance));
        let (away, text) =
            (self.radius(layer) + GAP * em, font::shortened(&printable(&layer.name), em, MAX_LABEL * em));
        let level = y + HALF_HEIGHT * em;
        // Under the roof first: to the right, below, further below; then to the left, above it.
        let places = [
            ((x + away, level), Anchor::Start),
            ((x + 0.7 * away, level + 0.7 * away + HALF_HEIGHT * em), Anchor::Start),
            ((x, y + away + 2.0 * HALF_HEIGHT * em), Anchor::Middle),
            ((x + 0.7 * away, level + 0.7 * away + 1.6 * em), Anchor::Start),
            ((x, y + away + 1.2 * em + 2.0 * HALF_HEIGHT * em), Anchor::Middle),
            ((x - 0.7 * away, level - 0.7 * away - HALF_HEIGHT * em), Anchor::End),
            ((x - away, level), Anchor::End),
        ];
        let frame = self.frame;
        let fits = |[left, top, right, bottom]: Area| {
            left > frame.left && right < frame.right && top > frame.top && bottom < frame.bottom
        };
        let free = |(at, anchor): &(Point, Anchor)| {
            let area = area(&text, *at, *anchor, em);
            fits(area) && !self.taken.iter().any(|other| overlap(area, *other))
        };
        if let Some((at, anchor)) = places.into_iter().find(free) {
            self.label("layer-name", &text, at, anchor);
        }
    }
}

/// What a text covers.
fn area(text: &str, (x, y): Point, anchor: Anchor, em: f64) -> Area {
    let width = font::width(text, em);
    let left = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    [left - CLEARANCE * em, y - 0.8 * em, left + width + CLEARANCE * em, y + 0.25 * em]
}

fn overlap(a: Area, b: Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Three significant digits at least.
fn number(value: f64) -> String {
    let decimals = (2.0 - libm::log10(value.abs()).floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([8.1, 65.0, 0.33333, 1979.0].map(number), ["8.1", "65", "0.333", "1979"]);
    }

    #[test]
    fn areas_that_touch_do_not_overlap() {
        assert!(overlap([0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]));
        assert!(!overlap([0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 3.0, 2.0]));
    }
}
