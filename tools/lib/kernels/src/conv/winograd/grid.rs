//! How an image is cut into tiles, and how a tile's window is read.

use crate::conv::{
    chunks::{Chunk, Chunks},
    pass::Plane,
    vector::{LANES, Line},
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

/// The N × N pixels of `image` from row `y` and column `x`, which count from `padding` before the image:
/// in place where they lie inside, otherwise copied to `patch` with zeros. Also the lines of a row.
#[inline(always)]
pub(super) fn window<'a, const N: usize>(
    image: &'a [f32],
    plane: Plane,
    [y, x]: [usize; 2],
    padding: usize,
    patch: &'a mut [f32],
) -> (&'a [Line], usize) {
    let c = plane.channels;
    if y >= padding && x >= padding && y - padding + N <= plane.height && x - padding + N <= plane.width {
        let inside = &image[((y - padding) * plane.width + x - padding) * c..];
        return (inside.as_chunks().0, plane.row_len() / LANES);
    }
    let patch = &mut patch[..N * N * c];
    patch.fill(0.0);
    let first = padding.saturating_sub(x);
    let columns = N.min((plane.width + padding).saturating_sub(x)).saturating_sub(first);
    for (row, patch) in (y..).zip(patch.chunks_exact_mut(N * c)) {
        let Some(row) = row.checked_sub(padding).filter(|&row| row < plane.height) else { continue };
        let start = (row * plane.width + x + first - padding) * c;
        patch[first * c..][..columns * c].copy_from_slice(&image[start..][..columns * c]);
    }
    (patch.as_chunks().0, N * c / LANES)
}
