//! How an image is cut into tiles, and what a tile sees of it.

use crate::conv::{
    chunks::{Chunk, Chunks},
    pass::Plane,
    vector::{LANES, Line, Vector},
};

/// Target pixels of a tile, along each axis.
pub(super) const TILE: usize = 4;
/// Source pixels that a tile sees, along each axis.
pub(super) const WINDOW: usize = TILE + 2;
/// Points at which a tile is multiplied.
pub(super) const POINTS: usize = WINDOW * WINDOW;

/// The tiles of a batch.
#[derive(Debug)]
pub(super) struct Grid {
    /// Tiles of an image, along each axis.
    pub size: [usize; 2],
    /// Pieces of images, or of rows of tiles.
    pub chunks: Chunks,
}

impl Grid {
    /// Tiles over a target of `height` × `width`, in pieces of `most` tiles at most.
    pub fn new(images: usize, height: usize, width: usize, most: usize, images_most: usize) -> Self {
        let size = [height.div_ceil(TILE), width.div_ceil(TILE)];
        let chunks = Chunks::new(images, size[0], images_most, |images, rows| images * rows * size[1] <= most);
        Self { size, chunks }
    }

    /// Tiles of a piece.
    pub fn count(&self, chunk: Chunk) -> usize {
        chunk.images * chunk.rows * self.size[1]
    }

    /// The image, row and column of tile `i` of a piece, the image counted within the piece.
    pub fn place(&self, chunk: Chunk, i: usize) -> [usize; 3] {
        let per_image = chunk.rows * self.size[1];
        let (image, i) = (i / per_image, i % per_image);
        [image, chunk.row + i / self.size[1], i % self.size[1]]
    }
}

/// Lines from one point to the next, where each has `len`: one more, so that points do not all fall into the
/// same sets of a cache.
pub(super) fn spaced(len: usize) -> usize {
    len + 1
}

/// Pixels of an image that a tile sees. Those outside the image are zeros.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    /// From the first pixel that lies inside.
    lines: &'a [Line],
    /// Lines of a row of the image, and of a pixel.
    pitch: usize,
    pixel: usize,
    /// Rows and columns of the window that lie inside.
    rows: (usize, usize),
    columns: (usize, usize),
}

impl<'a> Window<'a> {
    /// The `size × size` pixels of `image` from row `y` and column `x`, which count from `padding` before the image.
    #[inline(always)]
    pub fn new(image: &'a [f32], plane: Plane, [y, x]: [usize; 2], padding: usize, size: usize) -> Self {
        let inside = |from: usize, length: usize| {
            let first = padding.saturating_sub(from).min(size);
            (first, (length + padding).saturating_sub(from).clamp(first, size))
        };
        let (rows, columns) = (inside(y, plane.height), inside(x, plane.width));
        let first = (y + rows.0).saturating_sub(padding) * plane.width + (x + columns.0).saturating_sub(padding);
        let image = image.as_chunks().0;
        let [pitch, pixel] = [plane.row_len(), plane.channels].map(|len| len / LANES);
        Self { lines: image.get(first * pixel..).unwrap_or_default(), pitch, pixel, rows, columns }
    }

    /// Whether all of its `size × size` pixels lie inside.
    #[inline(always)]
    pub fn is_whole(&self, size: usize) -> bool {
        [self.rows, self.columns] == [(0, size); 2]
    }

    /// Line `c` of a pixel; with WHOLE no pixel is outside.
    #[inline(always)]
    pub fn load<V: Vector, const WHOLE: bool>(&self, zero: V, y: usize, x: usize, c: usize) -> V {
        if WHOLE {
            return zero.load(&self.lines[y * self.pitch + x * self.pixel + c]);
        }
        let (rows, columns) = (self.rows, self.columns);
        if y < rows.0 || y >= rows.1 || x < columns.0 || x >= columns.1 {
            return zero;
        }
        zero.load(&self.lines[(y - rows.0) * self.pitch + (x - columns.0) * self.pixel + c])
    }
}
