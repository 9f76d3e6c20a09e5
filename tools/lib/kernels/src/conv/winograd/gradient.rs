//! The gradient of the weights.
//!
//! At each point it is a product over all tiles. Few channels have small sums: then a group of pieces has sums of
//! its own, and a thread transforms a piece and adds it to them while it is in its cache, where it can also make the
//! gradient of the input of it. Otherwise tiles are transformed by pieces, as many at a time as a third-level cache
//! holds; then the sums over those tiles are made block by block of channels, as many as a second-level cache holds,
//! and transformed to weights at once. No two threads add to the same numbers, so their number does not matter.

use super::{
    back::Back,
    grid::{Grid, HALF, LEAST_TILES, POINTS, TILE, WINDOW, Window, spaced},
    pass::{Pass, read_piece},
    transform,
};
use crate::{
    conv::{
        InputGradient,
        chunks::Chunk,
        pass::{Plane, input, output},
        shape::ConvShape,
        tile::{Columns, add_columns},
        vector::{LANES, Line, Vector, dispatch_vector},
    },
    isa::Isa,
    operand::Operand,
};
use parallel::{parallel_for, parallel_for_with_workspace};
use std::ops::Range;

/// Weights of a kernel.
const TAPS: usize = 9;
/// Bytes of transformed tiles at a time, or a single piece: a share of a third-level cache.
const STAGE_BYTES: usize = 8 << 20;
/// Tiles of a piece of a stage, before pieces are made even: the sums of a block are read and written for each.
const STAGED_TILES: usize = 64;
/// Input channels of a block, and panels of output channels: their sums stay in a second-level cache.
const BLOCK: [usize; 2] = [48, 2];
/// Bytes of the sums of a group, at most: they are read and written for each of its pieces.
const GROUP_BYTES: usize = 640 << 10;
/// Groups of pieces, at most: several for each of some threads.
const GROUPS: usize = 32;

/// A plan of the weights' gradient.
#[derive(Debug)]
pub(in crate::conv) struct Gradient {
    source: Plane,
    target: Plane,
    padding: usize,
    grid: Grid,
    /// Source channels and panels that are summed over at a time.
    block: [usize; 2],
    order: Order,
    /// Elements for the tiles of a piece, of the gradient of either the weights or the input.
    tiles_len: usize,
}

/// What is done at a time.
#[derive(Debug)]
enum Order {
    /// So many groups have sums of their own.
    Grouped(usize),
    /// So many pieces are transformed, then summed over by blocks.
    Staged(usize),
}

/// Channels whose sums are made together: `sources` from `source` on, and `panels` from `panel` on.
#[derive(Debug, Clone, Copy)]
struct Block {
    source: usize,
    sources: usize,
    panel: usize,
    panels: usize,
}

impl Gradient {
    pub fn new(s: &ConvShape) -> Self {
        let grid = |least: usize| Grid::new(s.images, s.out_height(), s.out_width(), s.inputs + s.outputs, least);
        let (source, target, order) = (input(s), output(s), Order::Staged(1));
        let block = [source.channels, target.channels.div_ceil(LANES)];
        let mut plan = Self { source, target, padding: s.padding, grid: grid(LEAST_TILES), block, order, tiles_len: 0 };
        if plan.sums_len() * size_of::<f32>() <= GROUP_BYTES {
            plan.order = Order::Grouped(GROUPS.min(plan.grid.chunks.len()));
            plan.tiles_len = plan.piece_len().max(Pass::backward(s).tiles_len());
        } else {
            plan.block = [0, 1].map(|i| BLOCK[i].min(plan.block[i]));
            plan.grid = grid(STAGED_TILES);
            let (pieces, each) = (plan.grid.chunks.len(), plan.piece_len() * size_of::<f32>());
            // Even stages: 8 pieces in stages of 4 and 4, not of 7 and 1.
            plan.order = Order::Staged(pieces.div_ceil(pieces.div_ceil((STAGE_BYTES / each).max(1))));
        }
        plan
    }

    /// Whether a thread reads whole images, each once.
    pub fn reads_images(&self) -> bool {
        matches!(self.order, Order::Grouped(_)) && self.grid.chunks.are_whole()
    }

    /// Elements of scratch memory: for all threads together, and for each.
    pub fn scratch_len(&self) -> [usize; 2] {
        match self.order {
            Order::Grouped(groups) => {
                let images = [self.source, self.target].map(|plane| self.grid.images_len(plane));
                [groups * self.taps_len(), self.sums_len() + self.tiles_len + images[0] + images[1]]
            }
            Order::Staged(stage) => [self.taps_len() + stage * self.piece_len(), self.sums_len()],
        }
    }

    /// Elements of the sums of the largest block: at each point `[panels, source channels, LANES]`.
    fn sums_len(&self) -> usize {
        self.block.iter().product::<usize>() * POINTS * LANES
    }

    /// Elements of a gradient of the weights: of each row of blocks `[source channels, panels, 9, LANES]`.
    fn taps_len(&self) -> usize {
        self.panels() * self.source.channels * TAPS * LANES
    }

    /// Groups of target channels that are computed together; the last may be a half.
    fn panels(&self) -> usize {
        self.target.channels.div_ceil(LANES)
    }

    /// Elements of a transformed piece: the source, then its target's gradient.
    fn piece_len(&self) -> usize {
        let [source, target] = self.spacing();
        POINTS * (source + target) * LANES
    }

    /// Elements of the source in a transformed piece.
    fn tiles_part(&self) -> usize {
        POINTS * self.spacing()[0] * LANES
    }

    /// Lines from one point to the next.
    fn spacing(&self) -> [usize; 2] {
        let tiles = self.tiles();
        [spaced((tiles * self.source.channels).div_ceil(LANES)), spaced(tiles * self.panels())]
    }

    /// Tiles of the largest piece.
    fn tiles(&self) -> usize {
        self.grid.count(self.grid.chunks.largest())
    }

    /// Replaces `gradient` (OIHW). Operands that are not ready, and a way `back`, are for a plan that reads images.
    pub fn run(
        &self,
        isa: Isa,
        operands: [Operand<'_>; 2],
        back: Option<(&Pass, InputGradient<'_>)>,
        gradient: &mut [f32],
        scratch: &mut [f32],
    ) {
        let groups = match self.order {
            Order::Grouped(groups) => {
                self.add_groups(isa, groups, operands, back, scratch);
                groups
            }
            Order::Staged(stage) => {
                self.add_stages(isa, stage, operands, scratch);
                1
            }
        };
        let taps = &scratch[..groups * self.taps_len()];
        parallel_for(gradient.chunks_mut(LANES * self.source.channels * TAPS).enumerate(), |(panel, gradient)| {
            self.add_up(taps, panel, gradient);
        });
    }

    /// Adds the groups' gradients of a panel up, in their order.
    fn add_up(&self, taps: &[f32], panel: usize, gradient: &mut [f32]) {
        let each = self.source.channels * TAPS;
        let block = self.block(panel / self.block[1], 0);
        for c in 0..self.source.channels {
            let mut sums = [[0.0; LANES]; TAPS];
            let first = block.panel * each + (c * block.panels + panel - block.panel) * TAPS;
            for group in taps.chunks_exact(self.taps_len()) {
                let lines = &group.as_chunks::<LANES>().0[first..];
                for (sums, line) in sums.iter_mut().zip(lines) {
                    sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
                }
            }
            for (lane, weights) in gradient.chunks_exact_mut(each).enumerate() {
                weights[c * TAPS..].iter_mut().zip(&sums).for_each(|(weight, sum)| *weight = sum[lane]);
            }
        }
    }

    /// The block in a row and a column of blocks.
    fn block(&self, row: usize, column: usize) -> Block {
        let [sources, panels] = self.block;
        let (source, panel) = (column * sources, row * panels);
        let (sources, panels) = (sources.min(self.source.channels - source), panels.min(self.panels() - panel));
        Block { source, sources, panel, panels }
    }

    /// The blocks, and the place of each in a gradient.
    fn blocks<'a>(&'a self, taps: &'a mut [f32]) -> impl Iterator<Item = (Block, &'a mut [f32])> {
        let [sources, panels] = self.block.map(|count| count * TAPS * LANES);
        taps.chunks_mut(panels * self.source.channels).enumerate().flat_map(move |(row, taps)| {
            let len = self.block(row, 0).panels * sources;
            taps.chunks_mut(len).enumerate().map(move |(column, taps)| (self.block(row, column), taps))
        })
    }

    /// Writes the gradient of each group's pieces to the beginning of `scratch`.
    fn add_groups(
        &self,
        isa: Isa,
        groups: usize,
        [source, delta]: [Operand<'_>; 2],
        back: Option<(&Pass, InputGradient<'_>)>,
        scratch: &mut [f32],
    ) {
        let [shared, each] = self.scratch_len();
        let (taps, scratch) = scratch.split_at_mut(shared);
        let chunks = &self.grid.chunks;
        let first = |group: usize| group * chunks.len() / groups;
        let mut back = back.map(|(pass, wanted)| Back::new(pass, wanted));
        let tasks = taps.chunks_exact_mut(self.taps_len()).enumerate().map(|(group, taps)| {
            let pieces = first(group)..first(group + 1);
            let own = back.as_mut().map(|back| {
                let images = chunks.images_before(pieces.end) - chunks.images_before(pieces.start);
                back.split_off(images, pieces.len())
            });
            (taps, own, pieces)
        });
        parallel_for_with_workspace(tasks, scratch, each, |(taps, mut back, pieces), scratch| {
            let (sums, scratch) = scratch.split_at_mut(self.sums_len());
            let (all, sums) = (self.block(0, 0), sums.as_chunks_mut().0);
            let (tiles, images) = scratch.split_at_mut(self.tiles_len);
            let (sources, deltas) = images.split_at_mut(self.grid.images_len(self.source));
            sums.fill([0.0; LANES]);
            for i in pieces {
                let chunk = chunks.get(i);
                let source = source.read(chunk.images(self.source.image_len()), sources);
                let delta = delta.read(chunk.images(self.target.image_len()), deltas);
                let piece = &mut tiles[..self.piece_len()];
                let (sources, deltas) = piece.split_at_mut(self.tiles_part());
                transform_source(isa, self, chunk.alone(), source, sources);
                transform_delta(isa, self, chunk.alone(), delta, deltas);
                add_block(isa, self, i..i + 1, all, piece, sums);
                if let Some(back) = &mut back {
                    back.make(isa, chunk, delta, tiles);
                }
            }
            collect_block(isa, all, sums, taps.as_chunks_mut().0, false);
        });
    }

    /// Writes the gradient of all pieces to the beginning of `scratch`, stage by stage.
    fn add_stages(&self, isa: Isa, stage: usize, [source, delta]: [Operand<'_>; 2], scratch: &mut [f32]) {
        let [shared, each] = self.scratch_len();
        let (staged, scratch) = scratch.split_at_mut(shared);
        let (taps, pieces) = staged.split_at_mut(self.taps_len());
        let count = self.grid.chunks.len();
        for first in (0..count).step_by(stage) {
            let staged = first..count.min(first + stage);
            let tasks = pieces.chunks_exact_mut(self.piece_len()).zip(staged.clone()).flat_map(|(piece, i)| {
                let (tiles, gradients) = piece.split_at_mut(self.tiles_part());
                [(i, true, tiles), (i, false, gradients)]
            });
            parallel_for(tasks, |(i, of_source, part)| {
                let chunk = self.grid.chunks.get(i);
                if of_source {
                    let source = source.read(chunk.images(self.source.image_len()), &mut []);
                    transform_source(isa, self, chunk.alone(), source, part);
                } else {
                    let delta = delta.read(chunk.images(self.target.image_len()), &mut []);
                    transform_delta(isa, self, chunk.alone(), delta, part);
                }
            });
            let pieces = &*pieces;
            parallel_for_with_workspace(self.blocks(taps), scratch, each, |(block, taps), scratch| {
                let sums = &mut scratch.as_chunks_mut().0[..block.panels * POINTS * block.sources];
                sums.fill([0.0; LANES]);
                add_block(isa, self, staged.clone(), block, pieces, sums);
                collect_block(isa, block, sums, taps.as_chunks_mut().0, first > 0);
            });
        }
    }
}

dispatch_vector! {
    /// Transforms a piece of the source.
    fn transform_source(plan: &Gradient, chunk: Chunk, source: &[f32], tiles: &mut [f32]) => source_kernel
}
dispatch_vector! {
    /// Transforms a piece of the target's gradient.
    fn transform_delta(plan: &Gradient, chunk: Chunk, delta: &[f32], gradients: &mut [f32]) => delta_kernel
}
dispatch_vector! {
    /// Adds the products of the staged pieces to the sums of a block.
    fn add_block(plan: &Gradient, staged: Range<usize>, block: Block, pieces: &[f32], sums: &mut [Line]) => block_kernel
}
dispatch_vector! {
    /// Transforms the sums of a block to gradients of its weights, which replace those in `taps` or are added to them.
    fn collect_block(block: Block, sums: &[Line], taps: &mut [Line], accumulate: bool) => collect_kernel
}

#[inline(always)]
fn source_kernel<V: Vector, const M: usize>(zero: V, plan: &Gradient, chunk: Chunk, source: &[f32], tiles: &mut [f32]) {
    read_piece(zero, &plan.grid, chunk, source, plan.source, plan.padding, tiles, plan.spacing()[0]);
}

#[inline(always)]
fn delta_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    delta: &[f32],
    gradients: &mut [f32],
) {
    let (gradients, spacing) = (gradients.as_chunks_mut().0, plan.spacing()[1]);
    if plan.target.channels.is_multiple_of(LANES) {
        read_delta::<V, LANES>(zero, plan, chunk, delta, gradients, spacing);
    } else {
        read_delta::<V, HALF>(zero, plan, chunk, delta, gradients, spacing);
    }
}

#[inline(always)]
fn read_delta<V: Vector, const UNIT: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    delta: &[f32],
    gradients: &mut [Line],
    spacing: usize,
) {
    let (image_len, tiles, units) = (plan.target.image_len(), plan.tiles(), LANES / UNIT);
    for i in 0..plan.grid.count(chunk) {
        let [image, y, x] = plan.grid.place(chunk, i);
        let image = &delta[(chunk.image + image) * image_len..][..image_len];
        let window = Window::<UNIT>::new(image, plan.target, [y * TILE, x * TILE], 0, TILE);
        for (panel, c) in (0..window.pixel).step_by(units).enumerate() {
            let tile = &mut gradients[panel * tiles + i..];
            if c + units > window.pixel {
                read_gradient::<V, UNIT, false, true>(zero, window, c, tile, spacing);
            } else if window.is_whole(TILE) {
                read_gradient::<V, UNIT, true, false>(zero, window, c, tile, spacing);
            } else {
                read_gradient::<V, UNIT, false, false>(zero, window, c, tile, spacing);
            }
        }
    }
}

/// Transforms the line from unit `c` of each pixel of a tile's gradient: a line at each point, `spacing` lines apart.
#[inline(always)]
fn read_gradient<V: Vector, const UNIT: usize, const WHOLE: bool, const PART: bool>(
    zero: V,
    window: Window<'_, UNIT>,
    c: usize,
    tile: &mut [Line],
    spacing: usize,
) {
    let columns = each!(4, x => {
        transform::target_gradient(each!(4, y => window.load::<V, WHOLE, PART>(zero, y, x, c)))
    });
    for y in 0..WINDOW {
        let row = transform::target_gradient(each!(4, x => columns[x][y]));
        for x in 0..WINDOW {
            row[x].store(&mut tile[(y * WINDOW + x) * spacing]);
        }
    }
}

#[inline(always)]
fn block_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    staged: Range<usize>,
    block: Block,
    pieces: &[f32],
    sums: &mut [Line],
) {
    let [source_spacing, target_spacing] = plan.spacing();
    for point in 0..POINTS {
        let sums = &mut sums[point * block.panels * block.sources..];
        for (piece, i) in pieces.chunks_exact(plan.piece_len()).zip(staged.clone()) {
            let count = plan.grid.count(plan.grid.chunks.get(i));
            let (tiles, gradients) = piece.as_chunks::<LANES>().0.split_at(POINTS * source_spacing);
            let tiles = &tiles[point * source_spacing..][..source_spacing].as_flattened()[block.source..];
            let columns = Columns { source: tiles, starts: &[0], step: plan.source.channels, width: count };
            for (panel, sums) in sums.chunks_exact_mut(block.sources).take(block.panels).enumerate() {
                let lines = &gradients[point * target_spacing + (block.panel + panel) * plan.tiles()..][..count];
                add_columns::<V, M>(zero, sums, columns, lines);
            }
        }
    }
}

#[inline(always)]
fn collect_kernel<V: Vector, const M: usize>(
    zero: V,
    block: Block,
    sums: &[Line],
    taps: &mut [Line],
    accumulate: bool,
) {
    for (i, taps) in taps.chunks_exact_mut(TAPS).enumerate() {
        let (panel, source) = (i % block.panels, i / block.panels);
        let sums = &sums[panel * block.sources + source..];
        let columns = each!(6, x => {
            transform::weights_gradient(each!(6, y => zero.load(&sums[(y * WINDOW + x) * block.panels * block.sources])))
        });
        for y in 0..3 {
            let row = transform::weights_gradient(each!(6, x => columns[x][y]));
            for x in 0..3 {
                let tap = &mut taps[y * 3 + x];
                let sum = if accumulate { row[x].add(zero.load(tap)) } else { row[x] };
                sum.store(tap);
            }
        }
    }
}
