//! The gradient of the weights.
//!
//! At each point it is a product over all tiles. Few channels have small sums: then a group of pieces has sums of
//! its own, and a thread transforms a piece and adds it to them while it is in its cache, where it can also make the
//! gradient of the input of it. Otherwise tiles are transformed by pieces, as many at a time as a third-level cache
//! holds; then every point and panel sums over those tiles. No two threads add to the same sums, so their number does
//! not matter.

use super::{
    back::Back,
    grid::{Grid, HALF, POINTS, TILE, WINDOW, Window, spaced},
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
    threads,
};
use std::ops::Range;

/// Weights of a kernel.
const TAPS: usize = 9;
/// Bytes of transformed tiles at a time, at least and at most: a share of a third-level cache. In between they are as
/// many as the sums have, which are read and written for each stage.
const STAGE_BYTES: [usize; 2] = [4 << 20, 16 << 20];
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
    order: Order,
    /// Elements for the tiles of a piece, of the gradient of either the weights or the input.
    tiles_len: usize,
}

/// What is done at a time.
#[derive(Debug)]
enum Order {
    /// So many groups have sums of their own.
    Grouped(usize),
    /// So many pieces are transformed, then added to the only sums.
    Staged(usize),
}

impl Gradient {
    pub fn new(s: &ConvShape) -> Self {
        let grid = Grid::new(s.images, s.out_height(), s.out_width(), s.inputs + s.outputs);
        let pieces = grid.chunks.len();
        let (source, target, order) = (input(s), output(s), Order::Staged(1));
        let mut plan = Self { source, target, padding: s.padding, grid, order, tiles_len: 0 };
        let [sums, piece] = [plan.sums_len(), plan.piece_len()].map(|len| len * size_of::<f32>());
        plan.tiles_len = plan.piece_len().max(Pass::backward(s).tiles_len());
        plan.order = if sums <= GROUP_BYTES {
            Order::Grouped(GROUPS.min(pieces))
        } else {
            let [least, most] = STAGE_BYTES;
            Order::Staged((sums.clamp(least, most) / piece).clamp(1, pieces))
        };
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
            Order::Staged(stage) => [self.taps_len() + self.sums_len() + stage * self.piece_len(), 0],
        }
    }

    /// Elements of sums: at each point, of each panel `[source channels, LANES]`.
    fn sums_len(&self) -> usize {
        POINTS * self.source.channels * self.panels() * LANES
    }

    /// Elements of a gradient of the weights: of each panel `[source channels, 9, LANES]`.
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
        threads::share(gradient.chunks_mut(LANES * self.source.channels * TAPS).enumerate(), |(panel, gradient)| {
            self.add_up(taps, panel, gradient);
        });
    }

    /// Adds the groups' gradients of a panel up, in their order.
    fn add_up(&self, taps: &[f32], panel: usize, gradient: &mut [f32]) {
        let each = self.source.channels * TAPS;
        for c in 0..self.source.channels {
            let mut sums = [[0.0; LANES]; TAPS];
            for group in taps.chunks_exact(self.taps_len()) {
                let lines = &group.as_chunks::<LANES>().0[panel * each + c * TAPS..];
                for (sums, line) in sums.iter_mut().zip(lines) {
                    sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
                }
            }
            for (lane, weights) in gradient.chunks_exact_mut(each).enumerate() {
                weights[c * TAPS..].iter_mut().zip(&sums).for_each(|(weight, sum)| *weight = sum[lane]);
            }
        }
    }

    /// Transforms sums to a gradient of the weights.
    fn collect(&self, isa: Isa, sums: &[f32], taps: &mut [f32]) {
        let panels = taps.chunks_exact_mut(self.source.channels * TAPS * LANES);
        threads::share(panels.zip(sums.chunks_exact(POINTS * self.source.channels * LANES)), |(taps, sums)| {
            collect_panel(isa, sums.as_chunks::<LANES>().0, taps.as_chunks_mut::<LANES>().0);
        });
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
        threads::share_with(tasks, scratch, each, |(taps, mut back, pieces), scratch| {
            let (sums, scratch) = scratch.split_at_mut(self.sums_len());
            let (tiles, images) = scratch.split_at_mut(self.tiles_len);
            let (sources, deltas) = images.split_at_mut(self.grid.images_len(self.source));
            sums.fill(0.0);
            for i in pieces {
                let chunk = chunks.get(i);
                let source = source.read(chunk.images(self.source.image_len()), sources);
                let delta = delta.read(chunk.images(self.target.image_len()), deltas);
                self.add_piece(isa, i, [source, delta], sums, &mut tiles[..self.piece_len()]);
                if let Some(back) = &mut back {
                    back.make(isa, chunk, delta, tiles);
                }
            }
            self.collect(isa, sums, taps);
        });
    }

    /// Adds a piece, given its images alone, to the sums of a group.
    fn add_piece(&self, isa: Isa, i: usize, [source, delta]: [&[f32]; 2], sums: &mut [f32], tiles: &mut [f32]) {
        transform_piece(isa, self, self.grid.chunks.get(i).alone(), source, delta, tiles);
        for (task, sums) in sums.chunks_exact_mut(self.source.channels * LANES).enumerate() {
            self.add(isa, i..i + 1, task, tiles, sums);
        }
    }

    /// Adds up all pieces, stage by stage, and writes their gradient to the beginning of `scratch`.
    fn add_stages(&self, isa: Isa, stage: usize, [source, delta]: [Operand<'_>; 2], scratch: &mut [f32]) {
        let (taps, scratch) = scratch.split_at_mut(self.taps_len());
        let (sums, pieces) = scratch.split_at_mut(self.sums_len());
        sums.fill(0.0);
        let count = self.grid.chunks.len();
        for first in (0..count).step_by(stage) {
            let staged = stage.min(count - first);
            let tasks = pieces.chunks_exact_mut(self.piece_len()).take(staged).enumerate();
            threads::share(tasks, |(i, piece)| {
                let chunk = self.grid.chunks.get(first + i);
                let source = source.read(chunk.images(self.source.image_len()), &mut []);
                let delta = delta.read(chunk.images(self.target.image_len()), &mut []);
                transform_piece(isa, self, chunk.alone(), source, delta, piece);
            });
            let (tasks, pieces) = (sums.chunks_exact_mut(self.source.channels * LANES).enumerate(), &*pieces);
            threads::share(tasks, |(task, sums)| {
                self.add(isa, first..first + staged, task, pieces, sums);
            });
        }
        self.collect(isa, sums, taps);
    }

    /// Adds pieces to the sums of one point and one panel: a task each.
    fn add(&self, isa: Isa, staged: Range<usize>, task: usize, pieces: &[f32], sums: &mut [f32]) {
        let sums = sums.as_chunks_mut::<LANES>().0;
        add_point(isa, self, staged, task % POINTS, task / POINTS, pieces, sums);
    }
}

dispatch_vector! {
    fn transform_piece(plan: &Gradient, chunk: Chunk, source: &[f32], delta: &[f32], piece: &mut [f32]) => transform_kernel
}
dispatch_vector! {
    /// Adds the products of the staged pieces at one point, of one panel of output channels.
    fn add_point(plan: &Gradient, staged: Range<usize>, point: usize, panel: usize, pieces: &[f32], sums: &mut [Line]) => point_kernel
}
dispatch_vector! {
    /// Transforms the sums of a panel to the gradients of its weights.
    fn collect_panel(sums: &[Line], taps: &mut [Line]) => collect_kernel
}

#[inline(always)]
fn transform_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    source: &[f32],
    delta: &[f32],
    piece: &mut [f32],
) {
    let [source_spacing, target_spacing] = plan.spacing();
    let (tiles, gradients) = piece.split_at_mut(POINTS * source_spacing * LANES);
    read_piece(zero, &plan.grid, chunk, source, plan.source, plan.padding, tiles, source_spacing);
    let gradients = gradients.as_chunks_mut().0;
    if plan.target.channels.is_multiple_of(LANES) {
        read_delta::<V, LANES>(zero, plan, chunk, delta, gradients, target_spacing);
    } else {
        read_delta::<V, HALF>(zero, plan, chunk, delta, gradients, target_spacing);
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
fn point_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    staged: Range<usize>,
    point: usize,
    panel: usize,
    pieces: &[f32],
    sums: &mut [Line],
) {
    let [source_spacing, target_spacing] = plan.spacing();
    for (piece, i) in pieces.chunks_exact(plan.piece_len()).zip(staged) {
        let count = plan.grid.count(plan.grid.chunks.get(i));
        let (tiles, gradients) = piece.as_chunks::<LANES>().0.split_at(POINTS * source_spacing);
        let tiles = tiles[point * source_spacing..][..source_spacing].as_flattened();
        let lines = &gradients[point * target_spacing + panel * plan.tiles()..][..count];
        let columns = Columns { source: tiles, starts: &[0], step: plan.source.channels, width: count };
        add_columns::<V, M>(zero, sums, columns, lines);
    }
}

#[inline(always)]
fn collect_kernel<V: Vector, const M: usize>(zero: V, sums: &[Line], taps: &mut [Line]) {
    let sources = sums.len() / POINTS;
    for (c, taps) in taps.chunks_exact_mut(TAPS).enumerate() {
        let columns = each!(6, x => {
            transform::weights_gradient(each!(6, y => zero.load(&sums[(y * WINDOW + x) * sources + c])))
        });
        for y in 0..3 {
            let row = transform::weights_gradient(each!(6, x => columns[x][y]));
            for x in 0..3 {
                row[x].store(&mut taps[y * 3 + x]);
            }
        }
    }
}
