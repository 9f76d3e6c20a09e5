//! The forward pass and the gradient of the input, which is a forward pass with turned weights.

use super::{
    grid::{Grid, POINTS, TILE, WINDOW, Window, spaced},
    transform,
};
use crate::{
    conv::{
        chunks::Chunk,
        pass::{Plane, input, output},
        shape::ConvShape,
        tasks,
        tile::multiply_rows,
        vector::{LANES, Line, Vector, dispatch_vector},
    },
    isa::Isa,
    norm::moments,
};
use rayon::prelude::*;

/// Bytes of transformed tiles, before and after the products, that a thread works on at once.
const TILES_BYTES: usize = 512 << 10;
/// Tiles that a thread works on at once, at least: the weights are read anew for each such group.
const LEAST_TILES: usize = 48;
/// Tiles that are multiplied together, or a multiple of them: M of `dispatch_vector` divides it.
const GROUP: usize = 12;
/// A batch has at least this many pieces where it has as many images, for the sake of threads.
const PIECES: usize = 32;

/// A plan of one direction.
#[derive(Debug)]
pub(in crate::conv) struct Pass {
    source: Plane,
    target: Plane,
    padding: usize,
    grid: Grid,
    backward: bool,
}

impl Pass {
    pub fn forward(s: &ConvShape) -> Self {
        Self::new(s.images, input(s), output(s), s.padding, false)
    }

    pub fn backward(s: &ConvShape) -> Self {
        Self::new(s.images, output(s), input(s), WINDOW - TILE - s.padding, true)
    }

    fn new(images: usize, source: Plane, target: Plane, padding: usize, backward: bool) -> Self {
        let tile_bytes = POINTS * (source.channels + target.channels) * size_of::<f32>();
        let most = (TILES_BYTES / tile_bytes).max(LEAST_TILES);
        let per_image = target.height.div_ceil(TILE) * target.width.div_ceil(TILE);
        let images_most = images.div_ceil(PIECES).max(LEAST_TILES.div_ceil(per_image));
        let grid = Grid::new(images, target.height, target.width, most, images_most);
        Self { source, target, padding, grid, backward }
    }

    /// Elements of the packed weights: of each panel and point `[source channels + 1, LANES]`.
    pub fn packed_len(&self) -> usize {
        self.target.channels * POINTS * spaced(self.source.channels)
    }

    /// Elements of a thread's scratch memory: tiles before and after the products.
    pub fn scratch_len(&self) -> usize {
        let [before, after] = self.spacing();
        POINTS * (before + after) * LANES
    }

    /// Pieces of the target.
    pub fn pieces(&self) -> usize {
        self.grid.chunks.len()
    }

    /// Lines from one point to the next, before and after the products.
    fn spacing(&self) -> [usize; 2] {
        // Whole groups of tiles for every instruction set: what lies beyond the last tile is never read back.
        let tiles = self.grid.count(self.grid.chunks.largest()).next_multiple_of(GROUP);
        [self.source, self.target].map(|plane| spaced(tiles * plane.channels / LANES))
    }

    /// Transforms weights (OIHW).
    pub fn pack(&self, isa: Isa, weights: &[f32], packed: &mut [f32]) {
        let panel_len = POINTS * spaced(self.source.channels) * LANES;
        packed.par_chunks_exact_mut(panel_len).enumerate().for_each(|(panel, packed)| {
            pack_panel(isa, self, panel * LANES, weights, packed.as_chunks_mut::<LANES>().0);
        });
    }

    /// Computes the target, or adds to it, and takes the moments of each piece unless there is no room.
    #[allow(clippy::too_many_arguments, reason = "the operands of one product")]
    pub fn run(
        &self,
        isa: Isa,
        source: &[f32],
        packed: &[f32],
        target: &mut [f32],
        accumulate: bool,
        moments: &mut [f32],
        scratch: &mut [f32],
    ) {
        let row_len = TILE * self.target.row_len();
        let chunks = &self.grid.chunks;
        let pieces = chunks.cut(target, self.target.image_len(), row_len);
        let pieces = moments::pair(pieces, moments, self.target.channels).enumerate();
        tasks::share(chunks.len(), pieces, scratch, self.scratch_len(), |(i, (piece, record)), scratch| {
            run_piece(isa, self, chunks.get(i), source, packed.as_chunks::<LANES>().0, piece, accumulate, scratch);
            moments::take(isa, piece, self.target.channels, record);
        });
    }
}

dispatch_vector! {
    fn pack_panel(pass: &Pass, first: usize, weights: &[f32], packed: &mut [Line]) => pack_kernel
}
dispatch_vector! {
    fn run_piece(pass: &Pass, chunk: Chunk, source: &[f32], packed: &[Line], target: &mut [f32], accumulate: bool, scratch: &mut [f32]) => piece_kernel
}

#[inline(always)]
fn pack_kernel<V: Vector, const M: usize>(zero: V, pass: &Pass, first: usize, weights: &[f32], packed: &mut [Line]) {
    let (sources, targets) = (pass.source.channels, pass.target.channels);
    // By sixteen source channels: a line of memory is used up before it leaves the cache.
    for from in (0..sources).step_by(LANES) {
        let mut taps = [[[0.0; LANES]; 9]; LANES];
        for lane in 0..LANES {
            for (k, taps) in taps.iter_mut().enumerate() {
                let (source, target) = (from + k, first + lane);
                let at = if pass.backward { source * targets + target } else { target * sources + source };
                for (tap, &w) in weights[at * 9..][..9].iter().enumerate() {
                    taps[if pass.backward { 8 - tap } else { tap }][lane] = w;
                }
            }
        }
        for (k, taps) in taps.iter().enumerate() {
            let columns = each!(3, x => transform::weights(each!(3, y => zero.load(&taps[y * 3 + x]))));
            for y in 0..WINDOW {
                let row = transform::weights(each!(3, x => columns[x][y]));
                for x in 0..WINDOW {
                    row[x].store(&mut packed[(y * WINDOW + x) * spaced(sources) + from + k]);
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands, and where they lie")]
fn piece_kernel<V: Vector, const M: usize>(
    zero: V,
    pass: &Pass,
    chunk: Chunk,
    source: &[f32],
    packed: &[Line],
    target: &mut [f32],
    accumulate: bool,
    scratch: &mut [f32],
) {
    let [before, after] = pass.spacing();
    let (tiles, products) = scratch.as_chunks_mut().0.split_at_mut(POINTS * before);
    let count = pass.grid.count(chunk);
    let (image_len, pixel) = (pass.source.image_len(), pass.source.channels / LANES);
    for i in 0..count {
        let [image, y, x] = pass.grid.place(chunk, i);
        let image = &source[(chunk.image + image) * image_len..][..image_len];
        let window = Window::new(image, pass.source, [y * TILE, x * TILE], pass.padding, WINDOW);
        read_tile(zero, window, pixel, &mut tiles[i * pixel..], before);
    }
    multiply::<V, M>(zero, pass, count, tiles.as_flattened(), packed, products);
    let pixel = pass.target.channels / LANES;
    for i in 0..count {
        let [image, y, x] = pass.grid.place(chunk, i);
        let row = image * pass.target.height + (y - chunk.row) * TILE;
        let size = [pass.target.height - y * TILE, pass.target.width - x * TILE];
        let target = &mut target.as_chunks_mut().0[(row * pass.target.width + x * TILE) * pixel..];
        write_tile(zero, &products[i * pixel..], after, target, pass.target.width * pixel, pixel, size, accumulate);
    }
}

/// Transforms the window of a tile, whose pixels have `pixel` lines: as many at each point, `spacing` lines apart.
#[inline(always)]
pub(super) fn read_tile<V: Vector>(zero: V, window: Window<'_>, pixel: usize, tile: &mut [Line], spacing: usize) {
    if window.is_whole(WINDOW) {
        transform_tile::<V, true>(zero, window, pixel, tile, spacing);
    } else {
        transform_tile::<V, false>(zero, window, pixel, tile, spacing);
    }
}

#[inline(always)]
fn transform_tile<V: Vector, const WHOLE: bool>(
    zero: V,
    window: Window<'_>,
    pixel: usize,
    tile: &mut [Line],
    spacing: usize,
) {
    for c in 0..pixel {
        let columns = each!(6, x => transform::source(each!(6, y => window.load::<V, WHOLE>(zero, y, x, c))));
        for y in 0..WINDOW {
            let row = transform::source(each!(6, x => columns[x][y]));
            for x in 0..WINDOW {
                row[x].store(&mut tile[(y * WINDOW + x) * spacing + c]);
            }
        }
    }
}

/// At each point, the product of the tiles with the weights.
#[inline(always)]
fn multiply<V: Vector, const M: usize>(
    zero: V,
    pass: &Pass,
    count: usize,
    tiles: &[f32],
    packed: &[Line],
    products: &mut [Line],
) {
    let [before, after] = pass.spacing();
    let (sources, panels) = (pass.source.channels, pass.target.channels / LANES);
    for point in 0..POINTS {
        let (tiles, products) = (&tiles[point * before * LANES..], &mut products[point * after..]);
        for panel in 0..panels {
            let lines = &packed[(panel * POINTS + point) * spaced(sources)..][..sources];
            let groups = tiles.chunks_exact(M * sources).zip(products.chunks_exact_mut(M * panels));
            for (tiles, products) in groups.take(count.div_ceil(M)) {
                multiply_rows::<V, M>(zero, tiles, lines, &mut products[panel..], panels);
            }
        }
    }
}

/// Transforms the products of a tile back, and writes those of its pixels that lie within `size`.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "two operands, and where they lie")]
fn write_tile<V: Vector>(
    zero: V,
    products: &[Line],
    spacing: usize,
    target: &mut [Line],
    pitch: usize,
    pixel: usize,
    size: [usize; 2],
    accumulate: bool,
) {
    for c in 0..pixel {
        let product = |y: usize, x: usize| &products[(y * WINDOW + x) * spacing + c];
        let columns = each!(6, x => transform::target(each!(6, y => zero.load(product(y, x)))));
        for y in 0..TILE.min(size[0]) {
            let row = transform::target(each!(6, x => columns[x][y]));
            for x in 0..TILE {
                if x < size[1] {
                    let target = &mut target[y * pitch + x * pixel + c];
                    let sum = if accumulate { row[x].add(zero.load(target)) } else { row[x] };
                    sum.store(target);
                }
            }
        }
    }
}
