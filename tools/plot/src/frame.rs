//! The frame that curves and points are drawn in, with its axes.

use crate::{
    axis::{Axis, Tick},
    font,
    points::Point,
    scene::{Anchor, Color, Scene, Stroke},
};

/// All lengths are in units of the font size, so that a picture grows with it.
pub const TITLE: f64 = 1.25;
pub const PADDING: f64 = 1.0;
pub const GAP: f64 = 0.5;
const TICK_LENGTH: f64 = 0.35;
/// Room for each tick of an axis.
const X_TICK_ROOM: f64 = 6.0;
const Y_TICK_ROOM: f64 = 3.5;
/// A text whose baseline is this far under a point looks centered on it.
pub const HALF_HEIGHT: f64 = 0.36;

/// The frame's sides in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// The axes with their labels.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    pub x: &'a Axis,
    pub y: &'a Axis,
    pub x_label: &'a str,
    pub y_label: &'a str,
}

impl Frame {
    pub fn x(&self, share: f64) -> f64 {
        self.left + (self.right - self.left) * share
    }

    pub fn y(&self, share: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share
    }

    /// Where a point of the axes lies.
    pub fn position(&self, axes: &Axes, (x, y): Point) -> Point {
        (self.x(axes.x.position(x)), self.y(axes.y.position(y)))
    }

    /// Draws the title, above the frame, over `width` pixels of the picture.
    pub fn draw_title(&self, scene: &mut Scene, title: &str, width: f64, em: f64) {
        let shortened = font::shortened(title, TITLE * em, width - self.left - PADDING * em);
        scene.text("title", (self.left, (PADDING + TITLE) * em), &shortened, TITLE * em, Anchor::Start);
    }

    /// Draws the axes; `y_ticks` are of [`y_ticks`].
    pub fn draw_axes(&self, scene: &mut Scene, axes: &Axes, y_ticks: &[Tick], em: f64) {
        self.draw_y_axis(scene, axes, y_ticks, em);
        self.draw_x_axis(scene, axes, em);
    }

    fn draw_y_axis(&self, scene: &mut Scene, axes: &Axes, ticks: &[Tick], em: f64) {
        let thin = Stroke::solid(Color::GRID, 1.0);
        let stroke = Stroke::solid(Color::AXIS, 1.0);
        for tick in ticks {
            let y = self.y(axes.y.position(tick.value));
            scene.line("grid", (self.left, y), (self.right, y), thin);
            let at = (self.left - GAP * em, y + HALF_HEIGHT * em);
            scene.text("y-tick", at, &tick.label, em, Anchor::End);
        }
        for value in axes.y.minor_ticks() {
            let y = self.y(axes.y.position(value));
            scene.line("minor-tick", (self.left, y), (self.left + TICK_LENGTH * em, y), stroke);
        }
        scene.line("axis", (self.left, self.top), (self.left, self.bottom), stroke);
        let label = font::shortened(axes.y_label, em, self.bottom - self.top);
        let at = ((PADDING + 1.0) * em, (self.top + self.bottom) / 2.0);
        scene.upward_text("y-label", at, &label, em, Anchor::Middle);
    }

    fn draw_x_axis(&self, scene: &mut Scene, axes: &Axes, em: f64) {
        let stroke = Stroke::solid(Color::AXIS, 1.0);
        scene.line("axis", (self.left, self.bottom), (self.right, self.bottom), stroke);
        for tick in axes.x.ticks(((self.right - self.left) / (X_TICK_ROOM * em)) as usize, !axes.x.log) {
            let x = self.x(axes.x.position(tick.value));
            scene.line("x-mark", (x, self.bottom), (x, self.bottom + TICK_LENGTH * em), stroke);
            scene.text("x-tick", (x, self.bottom + (1.0 + GAP) * em), &tick.label, em, Anchor::Middle);
        }
        for value in axes.x.minor_ticks() {
            let x = self.x(axes.x.position(value));
            scene.line("minor-tick", (x, self.bottom), (x, self.bottom - TICK_LENGTH * em), stroke);
        }
        let at = ((self.left + self.right) / 2.0, self.bottom + (2.0 + 3.0 * GAP) * em);
        scene.text("x-label", at, axes.x_label, em, Anchor::Middle);
    }
}

/// The ticks of a vertical axis `height` pixels high.
pub fn y_ticks(axis: &Axis, height: f64, em: f64) -> Vec<Tick> {
    axis.ticks((height / (Y_TICK_ROOM * em)) as usize, false)
}

/// Room to the left of a frame with these ticks, label included.
pub fn left_of(ticks: &[Tick], em: f64) -> f64 {
    let widest = ticks.iter().map(|tick| font::width(&tick.label, em)).fold(0.0, f64::max);
    (PADDING + 1.0 + 3.0 * GAP) * em + widest
}

/// Room above a frame, for the title, and under it, for the horizontal axis.
pub fn above_and_under(em: f64) -> (f64, f64) {
    ((PADDING + TITLE + 2.0 * GAP) * em, (PADDING + 2.0 + 3.0 * GAP) * em)
}
