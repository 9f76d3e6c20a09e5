//! A confusion matrix as a scene: rows are actual classes, columns predicted ones, colors shares of a row.

use crate::{
    confusion::LabelledMatrix,
    font,
    scene::{Anchor, Color, Scene, Shape},
    settings::Settings,
};

/// Lengths in units of the font size.
const TITLE: f64 = 1.25;
const PADDING: f64 = 1.0;
const GAP: f64 = 0.5;
const HALF_HEIGHT: f64 = 0.36;
const MAX_LABEL: f64 = 8.0;
const BAR: f64 = 1.2;
/// Steps of the color bar, and its labels.
const BAR_STEPS: usize = 64;
const BAR_TICKS: [f64; 3] = [0.0, 0.5, 1.0];
/// From this share on, numbers in a cell are white.
const DARK: f64 = 0.55;

/// The grid of cells.
struct Grid {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    em: f64,
}

/// The line above the matrix.
pub fn title(confusion: &LabelledMatrix, name: &str) -> String {
    let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
    match confusion.accuracy() {
        accuracy if accuracy.is_finite() => format!("confusion{of}: accuracy {accuracy:.4}"),
        _ => format!("confusion{of}: no rows"),
    }
}

/// Lays a matrix out.
pub fn scene(confusion: &LabelledMatrix, name: &str, settings: &Settings) -> Scene {
    let em = settings.font_size;
    let title = title(confusion, name);
    let mut scene = Scene::new(settings.width, settings.height, &title);
    let labels = confusion.short_labels(|label| font::shortened(label, em, MAX_LABEL * em));
    let widest = labels.iter().map(|label| font::width(label, em)).fold(0.0, f64::max);
    let left = (PADDING + 1.0 + 2.0 * GAP) * em + widest;
    let top = (PADDING + TITLE + 2.0 * GAP) * em;
    let bar = (PADDING + BAR + 1.0 + 3.0 * GAP) * em + font::width("0.5", em);
    let width = (f64::from(settings.width) - left - bar - PADDING * em).max(em);
    let upward = widest + GAP * em > width / labels.len() as f64;
    let under = if upward { widest } else { em } + (1.0 + PADDING + 2.5 * GAP) * em;
    let height = (f64::from(settings.height) - top - under).max(em);
    let grid = Grid { left, top, width, height, em };

    let shortened = font::shortened(&title, TITLE * em, f64::from(settings.width) - left - PADDING * em);
    scene.text("title", (left, (PADDING + TITLE) * em), &shortened, TITLE * em, Anchor::Start);
    draw_cells(&mut scene, confusion, &grid, settings.colors[0]);
    draw_labels(&mut scene, &labels, &grid, upward);
    let middle = left + width / 2.0;
    scene.text("x-label", (middle, f64::from(settings.height) - PADDING * em), "predicted", em, Anchor::Middle);
    scene.upward_text("y-label", ((PADDING + 1.0) * em, top + height / 2.0), "actual", em, Anchor::Middle);
    draw_bar(&mut scene, &grid, settings.colors[0]);
    scene
}

fn draw_cells(scene: &mut Scene, confusion: &LabelledMatrix, grid: &Grid, dark: Color) {
    let classes = confusion.labels.len() as f64;
    let (width, height) = (grid.width / classes, grid.height / classes);
    // Under the cells, so that those that are empty need no shape of their own.
    let frame = |color, grow: f64| Shape::Rect {
        x: grid.left - grow,
        y: grid.top - grow,
        width: grid.width + 2.0 * grow,
        height: grid.height + 2.0 * grow,
        color,
    };
    scene.add("frame", frame(Color::AXIS, 1.0));
    scene.add("frame", frame(Color::WHITE, 0.0));
    for (actual, counts) in confusion.counts.iter().enumerate() {
        for (predicted, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let share = confusion.share(actual, predicted);
            let (x, y) = (grid.left + predicted as f64 * width, grid.top + actual as f64 * height);
            scene.add("cell", Shape::Rect { x, y, width, height, color: Color::WHITE.towards(dark, share) });
            let text = format_count(count);
            if font::width(&text, grid.em) < width && grid.em < height {
                let at = (x + width / 2.0, y + height / 2.0 + HALF_HEIGHT * grid.em);
                let color = if share >= DARK { Color::WHITE } else { Color::TEXT };
                let (size, anchor) = (grid.em, Anchor::Middle);
                scene.add("count", Shape::Text { at, text, size, anchor, color, upward: false });
            }
        }
    }
}

/// Counts are whole as a rule; a matrix of shares is shown to three digits.
pub fn format_count(count: f64) -> String {
    if count.fract() == 0.0 && count < 1e15 { format!("{count:.0}") } else { format!("{count:.3}") }
}

/// Every label, or every n-th where they would overlap.
fn draw_labels(scene: &mut Scene, labels: &[String], grid: &Grid, upward: bool) {
    let em = grid.em;
    let (width, height) = (grid.width / labels.len() as f64, grid.height / labels.len() as f64);
    let every = |room: f64| ((em * 1.1 / room).ceil() as usize).max(1);
    for (class, label) in labels.iter().enumerate().step_by(every(height)) {
        let y = grid.top + (class as f64 + 0.5) * height + HALF_HEIGHT * em;
        scene.text("y-tick", (grid.left - GAP * em, y), label, em, Anchor::End);
    }
    let columns = if upward { every(width) } else { 1 };
    for (class, label) in labels.iter().enumerate().step_by(columns) {
        let x = grid.left + (class as f64 + 0.5) * width;
        let y = grid.top + grid.height + GAP * em;
        if upward {
            scene.upward_text("x-tick", (x + HALF_HEIGHT * em, y), label, em, Anchor::End);
        } else {
            scene.text("x-tick", (x, y + em), label, em, Anchor::Middle);
        }
    }
}

/// What the colors mean.
fn draw_bar(scene: &mut Scene, grid: &Grid, dark: Color) {
    let em = grid.em;
    let x = grid.left + grid.width + PADDING * em;
    let step = grid.height / BAR_STEPS as f64;
    for i in 0..BAR_STEPS {
        let color = Color::WHITE.towards(dark, (i as f64 + 0.5) / BAR_STEPS as f64);
        // Neighbours overlap, so that no seam shows between them.
        let (y, height) = (grid.top, grid.height - i as f64 * step);
        scene.add("bar", Shape::Rect { x, y, width: BAR * em, height, color });
    }
    for share in BAR_TICKS {
        let y = grid.top + (1.0 - share) * grid.height + HALF_HEIGHT * em;
        scene.text("bar-tick", (x + (BAR + GAP) * em, y), &share.to_string(), em, Anchor::Start);
    }
    let label = (x + (BAR + 1.0 + 2.0 * GAP) * em + font::width("0.5", em), grid.top + grid.height / 2.0);
    scene.upward_text("bar-label", label, "share of the actual class", em, Anchor::Middle);
}
