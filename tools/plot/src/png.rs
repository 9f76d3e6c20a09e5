//! Scenes as PNG, by tiny-skia and the embedded font's outlines: no system library, no system font.

use crate::{
    font,
    points::Point,
    scene::{Anchor, Color, Pixels, Scene, Shape, Stroke},
};
use anyhow::Context;
use tiny_skia::{
    FillRule, FilterQuality, LineJoin, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Rect, Stroke as SkiaStroke,
    StrokeDash, Transform,
};

/// The scene as a file, a pixel a pixel. The same scene gives the same bytes.
///
/// # Errors
/// When there is no memory for it.
pub fn to_png(scene: &Scene) -> anyhow::Result<Vec<u8>> {
    let mut pixels = Pixmap::new(scene.width, scene.height).context("no memory for the picture")?;
    pixels.fill(tiny_skia::Color::WHITE);
    for mark in &scene.marks {
        draw(&mut pixels, &mark.shape)?;
    }
    Ok(pixels.encode_png()?)
}

/// Pixels as a file of their own.
///
/// # Errors
/// As [`to_png`].
pub fn encode(pixels: &Pixels) -> anyhow::Result<Vec<u8>> {
    Ok(pixmap(pixels)?.encode_png()?)
}

fn pixmap(pixels: &Pixels) -> anyhow::Result<Pixmap> {
    let mut pixmap = Pixmap::new(pixels.width, pixels.height).context("no memory for an image")?;
    for (rgba, rgb) in pixmap.data_mut().chunks_exact_mut(4).zip(pixels.rgb.chunks_exact(3)) {
        rgba[..3].copy_from_slice(rgb);
        rgba[3] = u8::MAX;
    }
    Ok(pixmap)
}

fn draw(pixels: &mut Pixmap, shape: &Shape) -> anyhow::Result<()> {
    match shape {
        Shape::Line { points, stroke } => {
            if let Some(path) = polyline(points) {
                let paint = paint(stroke.color, stroke.opacity);
                pixels.stroke_path(&path, &paint, &skia_stroke(stroke), Transform::identity(), None);
            }
        }
        Shape::Rect { x, y, width, height, color } => {
            if let Some(rect) = Rect::from_xywh(*x as f32, *y as f32, *width as f32, *height as f32) {
                pixels.fill_rect(rect, &paint(*color, 1.0), Transform::identity(), None);
            }
        }
        Shape::Dot { center, radius, color } => {
            if let Some(path) = PathBuilder::from_circle(center.0 as f32, center.1 as f32, *radius as f32) {
                fill(pixels, &path, *color);
            }
        }
        Shape::Image { x, y, width, height, pixels: image } => {
            let (across, down) = (width / f64::from(image.width), height / f64::from(image.height));
            let transform = Transform::from_row(across as f32, 0.0, 0.0, down as f32, *x as f32, *y as f32);
            // An enlarged pixel stays a square; of a smaller image, neighbours are mixed.
            let quality = if across < 1.0 { FilterQuality::Bilinear } else { FilterQuality::Nearest };
            let paint = PixmapPaint { quality, ..PixmapPaint::default() };
            pixels.draw_pixmap(0, 0, pixmap(image)?.as_ref(), &paint, transform, None);
        }
        Shape::Text { at, text, size, anchor, color, upward } => {
            let shift = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => -font::width(text, *size) / 2.0,
                Anchor::End => -font::width(text, *size),
            };
            if let Some(path) = outline(text, *at, shift, *size, *upward) {
                fill(pixels, &path, *color);
            }
        }
    }
    Ok(())
}

fn paint(color: Color, opacity: f64) -> Paint<'static> {
    let [red, green, blue] = color.0;
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, (opacity * 255.0).round() as u8);
    paint
}

fn fill(pixels: &mut Pixmap, path: &Path, color: Color) {
    pixels.fill_path(path, &paint(color, 1.0), FillRule::Winding, Transform::identity(), None);
}

fn skia_stroke(stroke: &Stroke) -> SkiaStroke {
    let dash = stroke.dash.and_then(|dash| StrokeDash::new(dash.map(|length| length as f32).to_vec(), 0.0));
    SkiaStroke { width: stroke.width as f32, line_join: LineJoin::Round, dash, ..SkiaStroke::default() }
}

fn polyline(points: &[Point]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { path.move_to(x as f32, y as f32) } else { path.line_to(x as f32, y as f32) }
    }
    path.finish()
}

/// The outline of a text whose pen begins `shift` pixels from `at`, along its own direction.
fn outline(text: &str, at: Point, shift: f64, size: f64, upward: bool) -> Option<Path> {
    let scale = font::scale(size);
    let mut pen = Pen { path: PathBuilder::new(), at, along: shift, scale, upward };
    for c in text.chars() {
        let glyph = font::glyph(c);
        // Spaces have no outline.
        let _ = font::face().outline_glyph(glyph, &mut pen);
        pen.along += font::advance(glyph) * scale;
    }
    pen.path.finish()
}

/// Puts glyphs, whose units point up from the line, where they belong in the picture.
struct Pen {
    path: PathBuilder,
    at: Point,
    along: f64,
    scale: f64,
    upward: bool,
}

impl Pen {
    fn position(&self, x: f32, y: f32) -> (f32, f32) {
        let (along, above) = (self.along + f64::from(x) * self.scale, f64::from(y) * self.scale);
        let (x, y) = if self.upward { (-above, -along) } else { (along, -above) };
        ((self.at.0 + x) as f32, (self.at.1 + y) as f32)
    }
}

impl ttf_parser::OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.position(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.position(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.position(x1, y1), self.position(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.position(x1, y1), self.position(x2, y2), self.position(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
