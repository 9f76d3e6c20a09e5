//! The forward pass and the gradient of the input, which is a forward pass with turned weights.

use super::{
    grid::{Grid, POINTS, TILE, WINDOW, spaced, window},
    transform,
};
use crate::{
    conv::{
        chunks::Chunk,
        pass::{Plane, input, output},
        shape::ConvShape,
        tasks,
        tile::{put, sum_runs},
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
        let grid = Grid::new(images, target.height, target.width, most, images.div_ceil(PIECES));
        Self { source, target, padding, grid, backward }
    }

    /// Elements of the packed weights, `[panels, POINTS, source channels, LANES]`.
    pub fn packed_len(&self) -> usize {
        POINTS * self.source.channels * self.target.channels
    }

    /// Elements of a thread's scratch memory: tiles before and after the products, and a window.
    pub fn scratch_len(&self) -> usize {
        let [before, after] = self.spacing();
        POINTS * (before + after) + POINTS * self.source.channels
    }

    /// Pieces of the target.
    pub fn pieces(&self) -> usize {
        self.grid.chunks.len()
    }

    /// Elements from one point to the next, before and after the products.
    fn spacing(&self) -> [usize; 2] {
        let tiles = self.grid.count(self.grid.chunks.largest());
        [spaced(tiles * self.source.channels), spaced(tiles * self.target.channels)]
    }

    /// Transforms weights (OIHW).
    pub fn pack(&self, isa: Isa, weights: &[f32], packed: &mut [f32]) {
        let panel_len = POINTS * self.source.channels * LANES;
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
    for k in 0..sources {
        let mut taps = [[0.0; LANES]; 9];
        for lane in 0..LANES {
            let at = if pass.backward { k * targets + first + lane } else { (first + lane) * sources + k };
            for (tap, &w) in weights[at * 9..][..9].iter().enumerate() {
                taps[if pass.backward { 8 - tap } else { tap }][lane] = w;
            }
        }
        let mut columns = [[zero; 3]; WINDOW];
        for x in 0..3 {
            let column = transform::weights([0, 1, 2].map(|y| zero.load(&taps[y * 3 + x])));
            for y in 0..WINDOW {
                columns[y][x] = column[y];
            }
        }
        for y in 0..WINDOW {
            let row = transform::weights(columns[y]);
            for x in 0..WINDOW {
                row[x].store(&mut packed[(y * WINDOW + x) * sources + k]);
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
    let (tiles, rest) = scratch.split_at_mut(POINTS * before);
    let (products, patch) = rest.split_at_mut(POINTS * after);
    let count = pass.grid.count(chunk);
    let image_len = pass.source.image_len();
    for i in 0..count {
        let [image, y, x] = pass.grid.place(chunk, i);
        let image = &source[(chunk.image + image) * image_len..][..image_len];
        let (window, pitch) = window::<WINDOW>(image, pass.source, [y * TILE, x * TILE], pass.padding, patch);
        read_tile(zero, window, pitch, pass.source.channels, &mut tiles[i * pass.source.channels..], before);
    }
    multiply::<V, M>(zero, pass, count, tiles, packed, products);
    for i in 0..count {
        let [image, y, x] = pass.grid.place(chunk, i);
        let row = image * pass.target.height + (y - chunk.row) * TILE;
        let size = [pass.target.height - y * TILE, pass.target.width - x * TILE];
        let target = &mut target[(row * pass.target.width + x * TILE) * pass.target.channels..];
        write_tile(zero, &products[i * pass.target.channels..], after, target, pass.target, size, accumulate);
    }
}

/// Transforms the window of a tile: the channels at each point, `spacing` elements apart.
#[inline(always)]
pub(super) fn read_tile<V: Vector>(
    zero: V,
    window: &[f32],
    pitch: usize,
    channels: usize,
    tile: &mut [f32],
    spacing: usize,
) {
    for c in (0..channels).step_by(LANES) {
        let mut columns = [[zero; WINDOW]; WINDOW];
        for x in 0..WINDOW {
            let mut column = [zero; WINDOW];
            for y in 0..WINDOW {
                column[y] = load(zero, window, y * pitch + x * channels + c);
            }
            let column = transform::source(column);
            for y in 0..WINDOW {
                columns[y][x] = column[y];
            }
        }
        for y in 0..WINDOW {
            let row = transform::source(columns[y]);
            for x in 0..WINDOW {
                store(row[x], tile, (y * WINDOW + x) * spacing + c);
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
    products: &mut [f32],
) {
    let [before, after] = pass.spacing();
    let (sources, targets) = (pass.source.channels, pass.target.channels);
    for point in 0..POINTS {
        let (tiles, products) = (&tiles[point * before..], &mut products[point * after..]);
        for panel in 0..targets / LANES {
            let lines = &packed[(panel * POINTS + point) * sources..][..sources];
            for first in (0..count).step_by(M) {
                // The last group repeats its last tile: what it computes too much is not stored.
                let mut starts = [0; M];
                for (m, start) in starts.iter_mut().enumerate() {
                    *start = (first + m).min(count - 1) * sources;
                }
                let sums = sum_runs(zero, tiles, &starts, 0, lines, sources);
                for (i, sums) in (first..count).zip(&sums) {
                    put(sums, &mut products[i * targets + panel * LANES..][..LANES], false);
                }
            }
        }
    }
}

/// Transforms the products of a tile back, and writes those of its pixels that lie within `size`.
#[inline(always)]
fn write_tile<V: Vector>(
    zero: V,
    products: &[f32],
    spacing: usize,
    target: &mut [f32],
    plane: Plane,
    size: [usize; 2],
    accumulate: bool,
) {
    for c in (0..plane.channels).step_by(LANES) {
        let mut columns = [[zero; WINDOW]; TILE];
        for x in 0..WINDOW {
            let mut column = [zero; WINDOW];
            for y in 0..WINDOW {
                column[y] = load(zero, products, (y * WINDOW + x) * spacing + c);
            }
            let column = transform::target(column);
            for y in 0..TILE {
                columns[y][x] = column[y];
            }
        }
        for y in 0..TILE.min(size[0]) {
            let row = transform::target(columns[y]);
            for x in 0..TILE {
                if x < size[1] {
                    let at = y * plane.row_len() + x * plane.channels + c;
                    let sum = if accumulate { row[x].add(load(zero, target, at)) } else { row[x] };
                    store(sum, target, at);
                }
            }
        }
    }
}

/// The line from element `at`.
#[inline(always)]
pub(super) fn load<V: Vector>(zero: V, data: &[f32], at: usize) -> V {
    zero.load(line(data, at))
}

/// Writes the line from element `at`.
#[inline(always)]
pub(super) fn store<V: Vector>(value: V, data: &mut [f32], at: usize) {
    value.store(line_mut(data, at));
}

#[inline(always)]
fn line(data: &[f32], at: usize) -> &Line {
    data[at..].first_chunk().expect("channels are whole lines")
}

#[inline(always)]
fn line_mut(data: &mut [f32], at: usize) -> &mut Line {
    data[at..].first_chunk_mut().expect("channels are whole lines")
}
