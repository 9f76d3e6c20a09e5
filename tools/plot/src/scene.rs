//! A picture as a list of shapes, which `svg` and `png` write. Coordinates are pixels from the upper left corner.

use crate::points::Point;
use serde::Deserialize;
use thiserror::Error;

/// Shapes on white, later ones over earlier ones.
#[derive(Debug)]
pub struct Scene {
    pub width: u32,
    pub height: u32,
    /// The text alternative, `<title>` in SVG.
    pub title: String,
    pub marks: Vec<Mark>,
}

/// A shape with its class and name.
#[derive(Debug)]
pub struct Mark {
    /// `class` in SVG: `x-tick`, `y-tick`, `curve`, `legend`, and so on.
    pub class: &'static str,
    /// `data-name` in SVG: what a curve shows.
    pub name: Option<String>,
    pub shape: Shape,
}

#[derive(Debug)]
pub enum Shape {
    Line { points: Vec<Point>, stroke: Stroke },
    Rect { x: f64, y: f64, width: f64, height: f64, color: Color },
    Dot { center: Point, radius: f64, color: Color },
    Image { x: f64, y: f64, width: f64, height: f64, pixels: Pixels },
    Text { at: Point, text: String, size: f64, anchor: Anchor, color: Color, upward: bool },
}

/// A picture in the picture: sRGB, `[height × width × 3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    pub color: Color,
    pub width: f64,
    pub opacity: f64,
    /// Lengths of dashes and gaps, alternating.
    pub dash: Option<[f64; 4]>,
}

/// The point of a text that is at its position, horizontally; vertically that is the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// sRGB, written `#RRGGBB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Color(pub [u8; 3]);

/// A text that is no color.
#[derive(Debug, Error)]
#[error("no color {0:?}; expected six hexadecimal digits, for instance \"#0072B2\"")]
pub struct ColorError(String);

impl Color {
    pub const WHITE: Self = Self([255; 3]);
    pub const TEXT: Self = Self([0x22; 3]);
    pub const AXIS: Self = Self([0x88; 3]);
    pub const GRID: Self = Self([0xe4; 3]);

    /// The color at `share`, from 0 to 1, of the way to another.
    pub fn towards(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Self(std::array::from_fn(|i| mix(self.0[i], other.0[i])))
    }
}

impl TryFrom<String> for Color {
    type Error = ColorError;

    fn try_from(text: String) -> Result<Self, ColorError> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let byte = |i: usize| u8::from_str_radix(digits?.get(i..i + 2)?, 16).ok();
        match (byte(0), byte(2), byte(4)) {
            (Some(red), Some(green), Some(blue)) => Ok(Self([red, green, blue])),
            _ => Err(ColorError(text)),
        }
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Stroke {
    pub fn solid(color: Color, width: f64) -> Self {
        Self { color, width, opacity: 1.0, dash: None }
    }
}

impl Scene {
    pub fn new(width: u32, height: u32, title: &str) -> Self {
        Self { width, height, title: title.to_owned(), marks: Vec::new() }
    }

    pub fn add(&mut self, class: &'static str, shape: Shape) {
        self.marks.push(Mark { class, name: None, shape });
    }

    pub fn line(&mut self, class: &'static str, from: Point, to: Point, stroke: Stroke) {
        self.add(class, Shape::Line { points: vec![from, to], stroke });
    }

    /// A level text in the color of texts.
    pub fn text(&mut self, class: &'static str, at: Point, text: &str, size: f64, anchor: Anchor) {
        let text = text.to_owned();
        self.add(class, Shape::Text { at, text, size, anchor, color: Color::TEXT, upward: false });
    }

    /// A text that reads upwards.
    pub fn upward_text(&mut self, class: &'static str, at: Point, text: &str, size: f64, anchor: Anchor) {
        let text = text.to_owned();
        self.add(class, Shape::Text { at, text, size, anchor, color: Color::TEXT, upward: true });
    }
}
