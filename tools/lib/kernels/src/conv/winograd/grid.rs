//! The tiles of an image, and their windows on the source.

use crate::{
    conv::{
        chunks::{Chunk, Chunks},
        pass::Plane,
    },
    vector::{LANES, Vector},
};

/// Target pixels of a tile, along each axis.
pub(super) const TILE: usize = 4;
/// Source pixels of a tile's window, along each axis.
pub(super) const WINDOW: usize = TILE + 2;
/// Points of a transformed tile.
pub(super) const POINTS: usize = WINDOW * WINDOW;

/// Bytes of a block's transformed tiles, source and target: the L2 cache.
const BLOCK_BYTES: usize = 512 << 10;
/// Minimum tiles of a block, before blocks are made even: weights, or sums of their gradients, are read once per
/// block.
pub(super) const LEAST_TILES: usize = 24;
/// Maximum number of blocks of whole images, unless each has enough tiles.
const BLOCKS: usize = 32;

/// The tiles of a batch.
#[derive(Debug)]
pub(super) struct Grid {
    /// Tiles of an image, along each axis.
    pub size: [usize; 2],
    /// Blocks of images, or of rows of tiles.
    pub chunks: Chunks,
}

impl Grid {
    /// Tiles over a target of `height` × `width`, in blocks that suit a layer of so many channels, source and target;
    /// of `least` tiles or more, or of fewer where that makes blocks even.
    pub fn new(images: usize, height: usize, width: usize, channels: usize, least: usize) -> Self {
        let size = [height.div_ceil(TILE), width.div_ceil(TILE)];
        let most = (BLOCK_BYTES / (POINTS * channels * size_of::<f32>())).max(least);
        let images_most = least.div_ceil(size[0] * size[1]).max(images.div_ceil(BLOCKS));
        let chunks = Chunks::new(images, size[0], images_most, |images, rows| images * rows * size[1] <= most);
        Self { size, chunks }
    }

    /// Elements of a block's images if blocks are whole images (a prologue needs room for them), otherwise 0.
    pub fn images_len(&self, plane: Plane) -> usize {
        if self.chunks.are_whole() { self.chunks.largest().images * plane.image_len() } else { 0 }
    }

    /// Tiles of a block.
    pub fn count(&self, chunk: Chunk) -> usize {
        chunk.images * chunk.rows * self.size[1]
    }

    /// The image (within the block), row and column of tile `i` of a block.
    pub fn location(&self, chunk: Chunk, i: usize) -> [usize; 3] {
        let per_image = chunk.rows * self.size[1];
        let (image, i) = (i / per_image, i % per_image);
        [image, chunk.row + i / self.size[1], i % self.size[1]]
    }
}

/// Lines from one point to the next, each of `len` lines: one more, so that points do not map to the same cache
/// sets.
pub(super) fn spaced(len: usize) -> usize {
    len + 1
}

/// Elements of half a line. Channels come in lines or, where they are an odd number of halves, in halves: the UNIT of
/// what follows, which is known when it is compiled.
pub(super) const HALF: usize = LANES / 2;

/// Loads the line of which unit `i` is the first; with PART that unit and zeros.
#[inline(always)]
pub(super) fn load<V: Vector, const UNIT: usize, const PART: bool>(zero: V, units: &[[f32; UNIT]], i: usize) -> V {
    if UNIT == LANES {
        return zero.load(&units[i].as_chunks().0[0]);
    }
    let mut line = [0.0; LANES];
    line[..UNIT].copy_from_slice(&units[i]);
    if !PART {
        line[UNIT..].copy_from_slice(&units[i + 1]);
    }
    zero.load(&line)
}

/// Stores a line from unit `i` on; with PART, that unit of it.
#[inline(always)]
pub(super) fn store<V: Vector, const UNIT: usize, const PART: bool>(vector: V, units: &mut [[f32; UNIT]], i: usize) {
    if UNIT == LANES {
        return vector.store(&mut units[i].as_chunks_mut().0[0]);
    }
    let mut line = [0.0; LANES];
    vector.store(&mut line);
    units[i].copy_from_slice(&line[..UNIT]);
    if !PART {
        units[i + 1].copy_from_slice(&line[UNIT..]);
    }
}

/// A tile's window on an image. Pixels outside the image are zeros.
#[derive(Clone, Copy)]
pub(super) struct Window<'a, const UNIT: usize> {
    /// From the first pixel that lies inside.
    units: &'a [[f32; UNIT]],
    /// Units of a row of the image, and of a pixel.
    pitch: usize,
    pub pixel: usize,
    /// Rows and columns of the window that lie inside.
    rows: (usize, usize),
    columns: (usize, usize),
}

impl<'a, const UNIT: usize> Window<'a, UNIT> {
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
        let [pitch, pixel] = [plane.row_len(), plane.channels].map(|len| len / UNIT);
        Self { units: image.get(first * pixel..).unwrap_or_default(), pitch, pixel, rows, columns }
    }

    /// Whether all of its `size × size` pixels lie inside.
    #[inline(always)]
    pub fn is_whole(&self, size: usize) -> bool {
        [self.rows, self.columns] == [(0, size); 2]
    }

    /// The line of a pixel from unit `c`; with WHOLE no pixel is outside.
    #[inline(always)]
    pub fn load<V: Vector, const WHOLE: bool, const PART: bool>(&self, zero: V, y: usize, x: usize, c: usize) -> V {
        if WHOLE {
            return load::<V, UNIT, PART>(zero, self.units, y * self.pitch + x * self.pixel + c);
        }
        let (rows, columns) = (self.rows, self.columns);
        if y < rows.0 || y >= rows.1 || x < columns.0 || x >= columns.1 {
            return zero;
        }
        load::<V, UNIT, PART>(zero, self.units, (y - rows.0) * self.pitch + (x - columns.0) * self.pixel + c)
    }
}
