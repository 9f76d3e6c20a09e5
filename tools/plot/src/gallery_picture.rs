//! Misclassified images as a scene: a grid of tiles, under each its actual class, its predicted class and the probability.

use crate::{
    font,
    gallery::{Gallery, Mistake},
    scene::{Anchor, Color, Mark, Scene, Shape},
    settings::{MAX_SIDE, Settings},
};
use anyhow::ensure;

/// Lengths in units of the font size.
const TITLE: f64 = 1.25;
const PADDING: f64 = 1.0;
const GAP: f64 = 1.0;
const CAPTION: f64 = 0.85;
const LINE_HEIGHT: f64 = 1.2;
const MAX_NAME: f64 = 8.0;
const MAX_SOURCE: f64 = 20.0;

/// In pixels.
const FRAME: f64 = 1.0;

/// The grid of tiles: cells of one size, as wide as the widest of image and caption.
struct Grid {
    columns: usize,
    left: f64,
    top: f64,
    cell: (f64, f64),
    tile: (f64, f64),
    em: f64,
}

impl Grid {
    /// How far a tile stands from the left of its cell: captions may be wider than it.
    fn inset(&self) -> f64 {
        (self.cell.0 - GAP * self.em - self.tile.0) / 2.0
    }
}

/// Lays a gallery out; one without mistakes is a title.
///
/// # Errors
/// When the picture would be too large.
pub fn scene(gallery: &Gallery, name: &str, settings: &Settings) -> anyhow::Result<Scene> {
    let em = settings.font_size;
    let captions: Vec<_> = gallery.mistakes.iter().map(|mistake| caption(mistake, em)).collect();
    // The images of a stream are of one size.
    let tile = gallery.mistakes.first().map(|mistake| tile(mistake, settings.gallery_tile)).unwrap_or_default();
    let widest = captions.iter().flatten().map(|line| font::width(line, CAPTION * em)).fold(tile.0, f64::max);
    let grid = Grid {
        columns: settings.gallery_columns.min(captions.len()),
        left: PADDING * em,
        top: (PADDING + TITLE + GAP) * em,
        cell: (widest + GAP * em, tile.1 + (2.0 * LINE_HEIGHT * CAPTION + GAP) * em),
        tile,
        em,
    };

    let shown = title(gallery, &font::shortened(name, TITLE * em, MAX_SOURCE * em));
    let columns = grid.columns as f64 * grid.cell.0 - GAP * em;
    let width = columns.max(grid.inset() + font::width(&shown, TITLE * em)) + 2.0 * PADDING * em;
    let height = grid.top + captions.len().div_ceil(grid.columns.max(1)) as f64 * grid.cell.1;
    let longest = f64::from(MAX_SIDE);
    ensure!(
        width <= longest && height <= longest,
        "plot.gallery_rows, gallery_columns: the picture would have {width:.0} × {height:.0} pixels, and at most \
         {MAX_SIDE} are drawn; a smaller plot.gallery_tile or plot.font_size makes it smaller"
    );
    let mut scene = Scene::new(width.ceil() as u32, height.ceil() as u32, &title(gallery, name));
    scene.text("title", (grid.left + grid.inset(), (PADDING + TITLE) * em), &shown, TITLE * em, Anchor::Start);
    for (i, (mistake, caption)) in gallery.mistakes.iter().zip(&captions).enumerate() {
        draw(&mut scene, &grid, i, mistake, caption);
    }
    Ok(scene)
}

/// The line above the images.
fn title(gallery: &Gallery, name: &str) -> String {
    let Gallery { rows, wrong, mistakes, .. } = gallery;
    let shown = match mistakes.len() {
        0 => "none to show".to_owned(),
        shown if shown as u64 == *wrong => "all shown".to_owned(),
        shown => format!("the {shown} most confident shown"),
    };
    let of = if name.is_empty() { String::new() } else { format!(" in {name}") };
    format!("misclassified{of}: {wrong} of {rows} rows, {shown}")
}

/// The lines under an image: actual and predicted class, and the probability of the latter.
fn caption(mistake: &Mistake, em: f64) -> [String; 2] {
    let [actual, predicted] =
        [&mistake.actual, &mistake.predicted].map(|name| font::shortened(name, CAPTION * em, MAX_NAME * em));
    [format!("{actual} → {predicted}"), format!("{:.3}", mistake.probability)]
}

/// Width and height of an image whose longer side is to take `side` pixels: an enlarged pixel is a whole number of them.
fn tile(mistake: &Mistake, side: u32) -> (f64, f64) {
    let (width, height) = (f64::from(mistake.pixels.width), f64::from(mistake.pixels.height));
    let factor = f64::from(side) / width.max(height);
    let factor = if factor < 1.0 { factor } else { factor.floor() };
    ((width * factor).round().max(1.0), (height * factor).round().max(1.0))
}

fn draw(scene: &mut Scene, grid: &Grid, i: usize, mistake: &Mistake, caption: &[String; 2]) {
    let em = grid.em;
    let (column, row) = ((i % grid.columns) as f64, (i / grid.columns) as f64);
    // At whole pixels, so that an image's own stay sharp.
    let x = (grid.left + column * grid.cell.0 + grid.inset()).round();
    let y = (grid.top + row * grid.cell.1).round();
    let (width, height) = grid.tile;
    // An image on white has an edge too.
    let (left, top) = (x - FRAME, y - FRAME);
    let (across, down) = (width + 2.0 * FRAME, height + 2.0 * FRAME);
    scene.add("frame", Shape::Rect { x: left, y: top, width: across, height: down, color: Color::GRID });
    let shape = Shape::Image { x, y, width, height, pixels: mistake.pixels.clone() };
    scene.marks.push(Mark { class: "tile", name: Some(format!("row {}", mistake.row)), shape });
    for (line, text) in caption.iter().enumerate() {
        let y = y + height + (line as f64 + 1.0) * LINE_HEIGHT * CAPTION * em;
        let class = ["classes", "probability"][line];
        scene.text(class, (x + width / 2.0, y), text, CAPTION * em, Anchor::Middle);
    }
}
