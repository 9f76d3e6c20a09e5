//! The forward pass, and `grad_input`, which is a forward pass with rotated weights.

use super::{
    ConvPass,
    grid::{Grid, HALF, LEAST_TILES, POINTS, TILE, WINDOW, Window, load, spaced, store},
    transform,
};
use crate::{
    conv::{
        chunks::Chunk,
        pass::{Plane, input, output},
        shape::ConvShape,
    },
    epilogue::Store,
    gemm::{
        DEPTH,
        tile::{Tiles, add_products, each_tile},
    },
    isa::Isa,
    norm::statistics,
    operand::Operand,
    vector::{LANES, Line, Vector, dispatch_vector, fence},
};
use parallel::{parallel_for, parallel_for_with_workspace};

/// Transformed weights larger than this are stored past the caches: they would be evicted before they are read.
const STREAMED_BYTES: usize = 16 << 20;

/// A plan of one direction.
#[derive(Debug)]
pub(in crate::conv) struct Pass {
    source: Plane,
    pub target: Plane,
    padding: usize,
    grid: Grid,
    backward: bool,
}

impl ConvPass for Pass {
    fn packed_len(&self) -> usize {
        self.packed_len()
    }

    fn workspace_len(&self) -> usize {
        self.workspace_len()
    }

    fn blocks(&self) -> usize {
        self.grid.chunks.len()
    }

    fn pack(&self, isa: Isa, weights: &[f32], packed: &mut [f32]) {
        let panel_len = POINTS * spaced(self.source.channels) * LANES;
        parallel_for(packed.chunks_exact_mut(panel_len).enumerate(), |(panel, packed)| {
            pack_panel(isa, self, panel * LANES, weights, packed.as_chunks_mut::<LANES>().0);
        });
    }

    fn run(
        &self,
        isa: Isa,
        source: Operand<'_>,
        packed: &[f32],
        target: &mut [f32],
        store: Store<'_>,
        statistics: &mut [f32],
        workspace: &mut [f32],
    ) {
        let row_len = TILE * self.target.row_len();
        let chunks = &self.grid.chunks;
        let blocks = chunks.cut(target, self.target.image_len(), row_len);
        let blocks = statistics::pair(store.pair(blocks), statistics, self.target.channels).enumerate();
        parallel_for_with_workspace(
            blocks,
            workspace,
            self.workspace_len(),
            |(i, ((block, store), partial)), workspace| {
                let (tiles, images) = workspace.split_at_mut(self.tiles_len());
                let source = source.read(chunks.get(i).images(self.source.image_len()), images);
                self.run_block(isa, chunks.get(i), source, packed, block, &store, tiles);
                statistics::take(isa, block, self.target.channels, partial);
            },
        );
    }
}

impl Pass {
    pub fn forward(s: &ConvShape) -> Self {
        Self::new(s.images, input(s), output(s), s.padding, false)
    }

    pub fn backward(s: &ConvShape) -> Self {
        Self::new(s.images, output(s), input(s), WINDOW - TILE - s.padding, true)
    }

    fn new(images: usize, source: Plane, target: Plane, padding: usize, backward: bool) -> Self {
        let grid = Grid::new(images, target.height, target.width, source.channels + target.channels, LEAST_TILES);
        Self { source, target, padding, grid, backward }
    }

    /// Elements of the packed weights: of each panel and point `[source channels + 1, LANES]`.
    pub fn packed_len(&self) -> usize {
        self.panels() * LANES * POINTS * spaced(self.source.channels)
    }

    /// Panels of `LANES` target channels; the last may be half full.
    fn panels(&self) -> usize {
        self.target.channels.div_ceil(LANES)
    }

    /// Elements of a thread's workspace: tiles, then what is read of the source.
    pub fn workspace_len(&self) -> usize {
        self.tiles_len() + self.grid.images_len(self.source)
    }

    /// Elements of the tiles of a block, before and after the products.
    pub fn tiles_len(&self) -> usize {
        let [before, after] = self.spacing();
        POINTS * (before + after) * LANES
    }

    /// Lines from one point to the next, before and after the products.
    fn spacing(&self) -> [usize; 2] {
        let tiles = self.grid.count(self.grid.chunks.largest());
        [spaced((tiles * self.source.channels).div_ceil(LANES)), spaced(tiles * self.panels())]
    }

    /// Computes and stores a block of the target from the images of the source that are its own.
    #[allow(clippy::too_many_arguments, reason = "the operands of one product, and where they lie")]
    pub fn run_block(
        &self,
        isa: Isa,
        chunk: Chunk,
        images: &[f32],
        packed: &[f32],
        block: &mut [f32],
        store: &Store<'_>,
        tiles: &mut [f32],
    ) {
        run_block(isa, self, chunk.alone(), images, packed.as_chunks::<LANES>().0, block, store, tiles);
        store.finish(isa, block);
    }
}

dispatch_vector! {
    fn pack_panel(pass: &Pass, first: usize, weights: &[f32], packed: &mut [Line]) => pack_kernel
}
dispatch_vector! {
    fn run_block(pass: &Pass, chunk: Chunk, source: &[f32], packed: &[Line], target: &mut [f32], store: &Store<'_>, workspace: &mut [f32]) => block_kernel
}

#[inline(always)]
fn pack_kernel<V: Vector, const M: usize>(zero: V, pass: &Pass, first: usize, weights: &[f32], packed: &mut [Line]) {
    let (sources, targets) = (pass.source.channels, pass.target.channels);
    let lanes = LANES.min(targets - first);
    let streams = pass.packed_len() * size_of::<f32>() > STREAMED_BYTES;
    // By sixteen source channels: a cache line is used completely before it is evicted.
    for from in (0..sources).step_by(LANES) {
        let mut taps = [[[0.0; LANES]; 9]; LANES];
        let taps = &mut taps[..LANES.min(sources - from)];
        for lane in 0..lanes {
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
                    let line = &mut packed[(y * WINDOW + x) * spaced(sources) + from + k];
                    if streams { row[x].stream(line) } else { row[x].store(line) }
                }
            }
        }
    }
    // Each line was written once and not read since; after the fence it may be.
    fence();
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands, and where they lie")]
fn block_kernel<V: Vector, const M: usize>(
    zero: V,
    pass: &Pass,
    chunk: Chunk,
    source: &[f32],
    packed: &[Line],
    target: &mut [f32],
    store: &Store<'_>,
    workspace: &mut [f32],
) {
    let [before, after] = pass.spacing();
    let (tiles, products) = workspace.split_at_mut(POINTS * before * LANES);
    let products = products.as_chunks_mut().0;
    read_block(zero, &pass.grid, chunk, source, pass.source, pass.padding, tiles, before);
    multiply::<V, M>(zero, pass, pass.grid.count(chunk), tiles, packed, products);
    if pass.target.channels.is_multiple_of(LANES) {
        write_block::<V, LANES>(zero, pass, chunk, products, after, target, store);
    } else {
        write_block::<V, HALF>(zero, pass, chunk, products, after, target, store);
    }
}

/// Transforms the windows of a block's tiles: tile after tile at each point, points `spacing` lines apart.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operand, and where it lies")]
pub(super) fn read_block<V: Vector>(
    zero: V,
    grid: &Grid,
    chunk: Chunk,
    source: &[f32],
    plane: Plane,
    padding: usize,
    tiles: &mut [f32],
    spacing: usize,
) {
    if plane.channels.is_multiple_of(LANES) {
        read_tiles::<V, LANES>(zero, grid, chunk, source, plane, padding, tiles, spacing);
    } else {
        read_tiles::<V, HALF>(zero, grid, chunk, source, plane, padding, tiles, spacing);
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operand, and where it lies")]
fn read_tiles<V: Vector, const UNIT: usize>(
    zero: V,
    grid: &Grid,
    chunk: Chunk,
    source: &[f32],
    plane: Plane,
    padding: usize,
    tiles: &mut [f32],
    spacing: usize,
) {
    let (image_len, tiles) = (plane.image_len(), tiles.as_chunks_mut().0);
    for i in 0..grid.count(chunk) {
        let [image, y, x] = grid.location(chunk, i);
        let image = &source[(chunk.image + image) * image_len..][..image_len];
        let window = Window::<UNIT>::new(image, plane, [y * TILE, x * TILE], padding, WINDOW);
        read_tile(zero, window, &mut tiles[i * window.pixel..], spacing);
    }
}

/// Transforms the window of a tile: at each point as many units as a pixel has, `spacing` lines apart.
#[inline(always)]
fn read_tile<V: Vector, const UNIT: usize>(
    zero: V,
    window: Window<'_, UNIT>,
    tile: &mut [[f32; UNIT]],
    spacing: usize,
) {
    if window.is_whole(WINDOW) {
        transform_tile::<V, UNIT, true>(zero, window, tile, spacing);
    } else {
        transform_tile::<V, UNIT, false>(zero, window, tile, spacing);
    }
}

#[inline(always)]
fn transform_tile<V: Vector, const UNIT: usize, const WHOLE: bool>(
    zero: V,
    window: Window<'_, UNIT>,
    tile: &mut [[f32; UNIT]],
    spacing: usize,
) {
    let units = LANES / UNIT;
    for c in (0..window.pixel).step_by(units) {
        if c + units <= window.pixel {
            transform_line::<V, UNIT, WHOLE, false>(zero, window, c, tile, spacing * units);
        } else {
            transform_line::<V, UNIT, WHOLE, true>(zero, window, c, tile, spacing * units);
        }
    }
}

/// Transforms a line of a tile from unit `c`; points are `spacing` units apart.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
fn transform_line<V: Vector, const UNIT: usize, const WHOLE: bool, const PART: bool>(
    zero: V,
    window: Window<'_, UNIT>,
    c: usize,
    tile: &mut [[f32; UNIT]],
    spacing: usize,
) {
    let columns = each!(6, x => transform::source(each!(6, y => window.load::<V, WHOLE, PART>(zero, y, x, c))));
    for y in 0..WINDOW {
        let row = transform::source(each!(6, x => columns[x][y]));
        for x in 0..WINDOW {
            store::<V, UNIT, PART>(row[x], tile, (y * WINDOW + x) * spacing + c);
        }
    }
}

/// At each point, the product of the tiles with the weights. The panels' lines of a block of terms stay in the L1 cache while all rows
/// pass.
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
    let (sources, panels) = (pass.source.channels, pass.panels());
    for point in 0..POINTS {
        for from in (0..sources).step_by(DEPTH) {
            let mut product = Product {
                rows: &tiles[point * before * LANES..][..count * sources],
                panels: &packed[point * spaced(sources)..],
                panel_lines: POINTS * spaced(sources),
                terms: [from, sources.min(from + DEPTH)],
                sources,
                products: &mut products[point * after..][..count * panels],
                step: panels,
            };
            each_tile::<V, M>(zero, count, panels * LANES, &mut product);
        }
    }
}

/// A block of terms of the product at a point: a line of the product is one of a panel.
struct Product<'a> {
    /// `[rows, sources]`
    rows: &'a [f32],
    /// The panels, `panel_lines` lines apart.
    panels: &'a [Line],
    panel_lines: usize,
    /// The first term, and the one after the last.
    terms: [usize; 2],
    sources: usize,
    products: &'a mut [Line],
    /// Lines of a row of the products.
    step: usize,
}

impl<V: Vector> Tiles<V> for Product<'_> {
    /// `products[m · step + n] = Σₖ rows[m · sources + k] · panels[n · panel_lines + k]`; a block of terms after the first goes on from
    /// the products so far.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
    fn tile<const M: usize, const N: usize, const PART: bool>(&mut self, zero: V, row: usize, line: usize) {
        let Self { rows, panels, panel_lines, terms: [from, to], sources, ref mut products, step } = *self;
        let mut sums = [[zero; N]; M];
        if from > 0 {
            for m in 0..M {
                for n in 0..N {
                    sums[m][n] = zero.load(&products[(row + m) * step + line + n]);
                }
            }
        }
        let rows = (&rows[row * sources + from..], [sources, 1]);
        let panels = (panels[line * panel_lines + from..].as_flattened(), [LANES, panel_lines * LANES]);
        let sums = add_products(zero, sums, rows, panels, to - from);
        for m in 0..M {
            for n in 0..N {
                sums[m][n].store(&mut products[(row + m) * step + line + n]);
            }
        }
    }
}

#[inline(always)]
fn write_block<V: Vector, const UNIT: usize>(
    zero: V,
    pass: &Pass,
    chunk: Chunk,
    products: &[Line],
    spacing: usize,
    target: &mut [f32],
    how: &Store<'_>,
) {
    let residual = how.residual().as_chunks().0;
    let (plane, target) = (pass.target, target.as_chunks_mut().0);
    let (steps @ [pitch, pixel], units) = ([plane.row_len(), plane.channels].map(|len| len / UNIT), LANES / UNIT);
    for i in 0..pass.grid.count(chunk) {
        let [image, y, x] = pass.grid.location(chunk, i);
        let row = image * plane.height + (y - chunk.row) * TILE;
        let size = [plane.height - y * TILE, plane.width - x * TILE];
        let first = row * pitch + x * TILE * pixel;
        let (target, residual) = (&mut target[first..], residual.get(first..).unwrap_or_default());
        for (line, c) in (0..pixel).step_by(units).enumerate() {
            let (line, target) = (&products[i * pass.panels() + line..], &mut target[c..]);
            let residual = residual.get(c..).unwrap_or_default();
            if c + units <= pixel {
                write_line::<V, UNIT, false>(zero, line, spacing, target, residual, steps, size, c * UNIT, how);
            } else {
                write_line::<V, UNIT, true>(zero, line, spacing, target, residual, steps, size, c * UNIT, how);
            }
        }
    }
}

/// Transforms a line of the products of a tile back, and stores those of its pixels that lie within `size`. Rows and
/// pixels of the target, and of the residual if there is one, are so many units apart.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands, and where they lie")]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
fn write_line<V: Vector, const UNIT: usize, const PART: bool>(
    zero: V,
    products: &[Line],
    spacing: usize,
    target: &mut [[f32; UNIT]],
    residual: &[[f32; UNIT]],
    [pitch, pixel]: [usize; 2],
    size: [usize; 2],
    channel: usize,
    how: &Store<'_>,
) {
    let product = |y: usize, x: usize| &products[(y * WINDOW + x) * spacing];
    let columns = each!(6, x => transform::target(each!(6, y => zero.load(product(y, x)))));
    for y in 0..TILE.min(size[0]) {
        let row = transform::target(each!(6, x => columns[x][y]));
        for x in 0..TILE {
            if x < size[1] {
                let at = y * pitch + x * pixel;
                let old = || load::<V, UNIT, PART>(zero, target, at);
                let value = how.value(zero, row[x], old, || load::<V, UNIT, PART>(zero, residual, at), channel);
                store::<V, UNIT, PART>(value, target, at);
            }
        }
    }
}
