//! `grad_weight` by Winograd's algorithm.
//!
//! At each of the 36 points it is a matrix product over all tiles, in one of two schedules. With few channels the sums are
//! small (`Grouped`): each group of batch blocks has its own sums; a thread transforms a batch block, adds it to them
//! while it is in cache, and can compute `grad_input` of the same block. Otherwise (`Staged`): batch blocks are transformed
//! into the L3 cache, a stage at a time; then sums over the stage are computed by blocks of channels that fit in the L2
//! cache, and transformed to weights. No two threads add to the same element, so the number of threads does not change
//! results.

use super::{
    back::Back,
    grid::{Grid, HALF, LEAST_TILES, POINTS, TILE, WINDOW, Window, spaced},
    pass::{Pass, read_block},
    transform,
};
use crate::{
    conv::{
        GradInput,
        chunks::Chunk,
        pass::{Plane, input, output},
        shape::ConvShape,
    },
    gemm::tile::{Tiles, add_products, each_tile},
    isa::Isa,
    operand::Operand,
    vector::{LANES, Line, Vector, dispatch_vector},
};
use parallel::{parallel_for, parallel_for_with_workspace};
use std::ops::Range;

/// Weights of a 3 × 3 kernel.
const TAPS: usize = 9;
/// Bytes of transformed tiles of a stage, unless a single batch block has more: a share of the L3 cache.
const STAGE_BYTES: usize = 8 << 20;
/// Tiles of a batch block of a stage, before blocks are made even: a channel block's sums are read and written for each.
const STAGED_TILES: usize = 64;
/// Input channels and output panels of a channel block: its sums stay in the L2 cache.
const BLOCK: [usize; 2] = [48, 2];
/// Maximum bytes of a group's sums, which are read and written for each of its batch blocks.
const GROUP_BYTES: usize = 640 << 10;
/// Maximum number of groups: several per thread.
const GROUPS: usize = 32;

/// A plan of `grad_weight`.
#[derive(Debug)]
pub(in crate::conv) struct Gradient {
    source: Plane,
    target: Plane,
    padding: usize,
    grid: Grid,
    /// Input channels and output panels of a channel block.
    block: [usize; 2],
    order: Order,
    /// Elements of a batch block's tiles, for either gradient.
    tiles_len: usize,
}

/// The schedule.
#[derive(Debug)]
enum Order {
    /// Number of groups.
    Grouped(usize),
    /// Batch blocks of a stage.
    Staged(usize),
}

/// A channel block: input channels `source..source + sources`, output panels `panel..panel + panels`.
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
            plan.tiles_len = plan.batch_block_len().max(Pass::backward(s).tiles_len());
        } else {
            plan.block = [0, 1].map(|i| BLOCK[i].min(plan.block[i]));
            plan.grid = grid(STAGED_TILES);
            let (batch_blocks, each) = (plan.grid.chunks.len(), plan.batch_block_len() * size_of::<f32>());
            // Even stages: 8 batch blocks in stages of 4 and 4, not of 7 and 1.
            plan.order = Order::Staged(batch_blocks.div_ceil(batch_blocks.div_ceil((STAGE_BYTES / each).max(1))));
        }
        plan
    }

    /// Whether a thread reads whole images, each once: the condition for fusion.
    pub fn reads_images(&self) -> bool {
        matches!(self.order, Order::Grouped(_)) && self.grid.chunks.are_whole()
    }

    /// Elements of workspace: for all threads together, and for each.
    pub fn workspace_len(&self) -> [usize; 2] {
        match self.order {
            Order::Grouped(groups) => {
                let images = [self.source, self.target].map(|plane| self.grid.images_len(plane));
                [groups * self.taps_len(), self.sums_len() + self.tiles_len + images[0] + images[1]]
            }
            Order::Staged(stage) => [self.taps_len() + stage * self.batch_block_len(), self.sums_len()],
        }
    }

    /// Elements of the sums of the largest channel block: at each point `[panels, source channels, LANES]`.
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

    /// Elements of a transformed batch block: the source, then its target's gradient.
    fn batch_block_len(&self) -> usize {
        let [source, target] = self.spacing();
        POINTS * (source + target) * LANES
    }

    /// Elements of the source in a transformed batch block.
    fn tiles_part(&self) -> usize {
        POINTS * self.spacing()[0] * LANES
    }

    /// Lines from one point to the next.
    fn spacing(&self) -> [usize; 2] {
        let tiles = self.tiles();
        [spaced((tiles * self.source.channels).div_ceil(LANES)), spaced(tiles * self.panels())]
    }

    /// Tiles of the largest batch block.
    fn tiles(&self) -> usize {
        self.grid.count(self.grid.chunks.largest())
    }

    /// Writes `gradient` (OIHW). Operands with prologues, and `back`, need [`Self::reads_images`].
    pub fn run(
        &self,
        isa: Isa,
        operands: [Operand<'_>; 2],
        back: Option<(&Pass, GradInput<'_>)>,
        gradient: &mut [f32],
        workspace: &mut [f32],
    ) {
        let groups = match self.order {
            Order::Grouped(groups) => {
                self.add_groups(isa, groups, operands, back, workspace);
                groups
            }
            Order::Staged(stage) => {
                self.add_stages(isa, stage, operands, workspace);
                1
            }
        };
        let taps = &workspace[..groups * self.taps_len()];
        parallel_for(gradient.chunks_mut(LANES * self.source.channels * TAPS).enumerate(), |(panel, gradient)| {
            self.add_up(taps, panel, gradient);
        });
    }

    /// Sums the groups' gradients of a panel, in order.
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

    /// The channel block at a row and a column of blocks.
    fn block(&self, row: usize, column: usize) -> Block {
        let [sources, panels] = self.block;
        let (source, panel) = (column * sources, row * panels);
        let (sources, panels) = (sources.min(self.source.channels - source), panels.min(self.panels() - panel));
        Block { source, sources, panel, panels }
    }

    /// The channel blocks, each with its slice of a gradient.
    fn blocks<'a>(&'a self, taps: &'a mut [f32]) -> impl Iterator<Item = (Block, &'a mut [f32])> {
        let [sources, panels] = self.block.map(|count| count * TAPS * LANES);
        taps.chunks_mut(panels * self.source.channels).enumerate().flat_map(move |(row, taps)| {
            let len = self.block(row, 0).panels * sources;
            taps.chunks_mut(len).enumerate().map(move |(column, taps)| (self.block(row, column), taps))
        })
    }

    /// Writes the gradient of each group's batch blocks to the beginning of `workspace`.
    fn add_groups(
        &self,
        isa: Isa,
        groups: usize,
        [source, grad_output]: [Operand<'_>; 2],
        back: Option<(&Pass, GradInput<'_>)>,
        workspace: &mut [f32],
    ) {
        let [shared, each] = self.workspace_len();
        let (taps, workspace) = workspace.split_at_mut(shared);
        let chunks = &self.grid.chunks;
        let first = |group: usize| group * chunks.len() / groups;
        let mut back = back.map(|(pass, wanted)| Back::new(pass, wanted));
        let tasks = taps.chunks_exact_mut(self.taps_len()).enumerate().map(|(group, taps)| {
            let batch_blocks = first(group)..first(group + 1);
            let own = back.as_mut().map(|back| {
                let images = chunks.images_before(batch_blocks.end) - chunks.images_before(batch_blocks.start);
                back.split_off(images, batch_blocks.len())
            });
            (taps, own, batch_blocks)
        });
        parallel_for_with_workspace(tasks, workspace, each, |(taps, mut back, batch_blocks), workspace| {
            let (sums, workspace) = workspace.split_at_mut(self.sums_len());
            let (all, sums) = (self.block(0, 0), sums.as_chunks_mut().0);
            let (tiles, images) = workspace.split_at_mut(self.tiles_len);
            let (sources, grad_outputs) = images.split_at_mut(self.grid.images_len(self.source));
            sums.fill([0.0; LANES]);
            for i in batch_blocks {
                let chunk = chunks.get(i);
                let source = source.read(chunk.images(self.source.image_len()), sources);
                let grad_output = grad_output.read(chunk.images(self.target.image_len()), grad_outputs);
                let batch_block = &mut tiles[..self.batch_block_len()];
                let (sources, grad_outputs) = batch_block.split_at_mut(self.tiles_part());
                transform_source(isa, self, chunk.alone(), source, sources);
                transform_grad_output(isa, self, chunk.alone(), grad_output, grad_outputs);
                add_block(isa, self, i..i + 1, all, batch_block, sums);
                if let Some(back) = &mut back {
                    back.make(isa, chunk, grad_output, tiles);
                }
            }
            collect_block(isa, all, sums, taps.as_chunks_mut().0, false);
        });
    }

    /// Writes the gradient of all batch blocks to the beginning of `workspace`, stage by stage.
    fn add_stages(&self, isa: Isa, stage: usize, [source, grad_output]: [Operand<'_>; 2], workspace: &mut [f32]) {
        let [shared, each] = self.workspace_len();
        let (staged, workspace) = workspace.split_at_mut(shared);
        let (taps, batch_blocks) = staged.split_at_mut(self.taps_len());
        let count = self.grid.chunks.len();
        for first in (0..count).step_by(stage) {
            let staged = first..count.min(first + stage);
            let tasks = batch_blocks.chunks_exact_mut(self.batch_block_len()).zip(staged.clone()).flat_map(
                |(batch_block, i)| {
                    let (tiles, gradients) = batch_block.split_at_mut(self.tiles_part());
                    [(i, true, tiles), (i, false, gradients)]
                },
            );
            parallel_for(tasks, |(i, of_source, part)| {
                let chunk = self.grid.chunks.get(i);
                if of_source {
                    let source = source.read(chunk.images(self.source.image_len()), &mut []);
                    transform_source(isa, self, chunk.alone(), source, part);
                } else {
                    let grad_output = grad_output.read(chunk.images(self.target.image_len()), &mut []);
                    transform_grad_output(isa, self, chunk.alone(), grad_output, part);
                }
            });
            let batch_blocks = &*batch_blocks;
            parallel_for_with_workspace(self.blocks(taps), workspace, each, |(block, taps), workspace| {
                let sums = &mut workspace.as_chunks_mut().0[..block.panels * POINTS * block.sources];
                sums.fill([0.0; LANES]);
                add_block(isa, self, staged.clone(), block, batch_blocks, sums);
                collect_block(isa, block, sums, taps.as_chunks_mut().0, first > 0);
            });
        }
    }
}

dispatch_vector! {
    /// Transforms a batch block of the source.
    fn transform_source(plan: &Gradient, chunk: Chunk, source: &[f32], tiles: &mut [f32]) => source_kernel
}
dispatch_vector! {
    /// Transforms a batch block of the target's gradient.
    fn transform_grad_output(plan: &Gradient, chunk: Chunk, grad_output: &[f32], gradients: &mut [f32]) => grad_output_kernel
}
dispatch_vector! {
    /// Adds the products of the staged batch blocks to the sums of a block.
    fn add_block(plan: &Gradient, staged: Range<usize>, block: Block, batch_blocks: &[f32], sums: &mut [Line]) => block_kernel
}
dispatch_vector! {
    /// Transforms the sums of a block to gradients of its weights, which replace those in `taps` or are added to them.
    fn collect_block(block: Block, sums: &[Line], taps: &mut [Line], accumulate: bool) => collect_kernel
}

#[inline(always)]
fn source_kernel<V: Vector, const M: usize>(zero: V, plan: &Gradient, chunk: Chunk, source: &[f32], tiles: &mut [f32]) {
    read_block(zero, &plan.grid, chunk, source, plan.source, plan.padding, tiles, plan.spacing()[0]);
}

#[inline(always)]
fn grad_output_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    grad_output: &[f32],
    gradients: &mut [f32],
) {
    let (gradients, spacing) = (gradients.as_chunks_mut().0, plan.spacing()[1]);
    if plan.target.channels.is_multiple_of(LANES) {
        read_grad_output::<V, LANES>(zero, plan, chunk, grad_output, gradients, spacing);
    } else {
        read_grad_output::<V, HALF>(zero, plan, chunk, grad_output, gradients, spacing);
    }
}

#[inline(always)]
fn read_grad_output<V: Vector, const UNIT: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    grad_output: &[f32],
    gradients: &mut [Line],
    spacing: usize,
) {
    let (image_len, tiles, units) = (plan.target.image_len(), plan.tiles(), LANES / UNIT);
    for i in 0..plan.grid.count(chunk) {
        let [image, y, x] = plan.grid.location(chunk, i);
        let image = &grad_output[(chunk.image + image) * image_len..][..image_len];
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
    batch_blocks: &[f32],
    sums: &mut [Line],
) {
    let [source_spacing, target_spacing] = plan.spacing();
    for point in 0..POINTS {
        let sums = &mut sums[point * block.panels * block.sources..];
        for (batch_block, i) in batch_blocks.chunks_exact(plan.batch_block_len()).zip(staged.clone()) {
            let count = plan.grid.count(plan.grid.chunks.get(i));
            let (tiles, gradients) = batch_block.as_chunks::<LANES>().0.split_at(POINTS * source_spacing);
            let tiles = &tiles[point * source_spacing..][..source_spacing].as_flattened()[block.source..];
            let first = point * target_spacing + block.panel * plan.tiles();
            let mut product = Product {
                tiles,
                channels: plan.source.channels,
                gradients: gradients[first..].as_flattened(),
                panel_step: plan.tiles() * LANES,
                count,
                sources: block.sources,
                sums,
            };
            each_tile::<V, M>(zero, block.sources, block.panels * LANES, &mut product);
        }
    }
}

/// The product of a batch block's tiles and gradients at a point: a row is a source channel, a line one of a panel.
struct Product<'a> {
    /// `[count, channels]`, from the block's first source channel on.
    tiles: &'a [f32],
    channels: usize,
    /// `[panel, count, lanes]`; panels are `panel_step` elements apart.
    gradients: &'a [f32],
    panel_step: usize,
    /// Terms: tiles of the batch block.
    count: usize,
    sources: usize,
    /// `[panel, sources]`
    sums: &'a mut [Line],
}

impl<V: Vector> Tiles<V> for Product<'_> {
    /// `sums[n · sources + m] += Σₖ tiles[k · channels + m] · line k of panel n`
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
    fn tile<const M: usize, const N: usize, const PART: bool>(&mut self, zero: V, row: usize, line: usize) {
        let Self { tiles, channels, gradients, panel_step, count, sources, ref mut sums } = *self;
        let mut tile = [[zero; N]; M];
        for m in 0..M {
            for n in 0..N {
                tile[m][n] = zero.load(&sums[(line + n) * sources + row + m]);
            }
        }
        let left = (&tiles[row..], [1, channels]);
        let lines = (&gradients[line * panel_step..], [LANES, panel_step]);
        let tile = add_products(zero, tile, left, lines, count);
        for m in 0..M {
            for n in 0..N {
                tile[m][n].store(&mut sums[(line + n) * sources + row + m]);
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
