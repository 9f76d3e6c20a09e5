//! The direct algorithm: an implicit matrix product (im2col without the matrix).

use super::{
    Algorithm, ConvShape, GradInput,
    algorithm::{ConvAlgorithm, ConvPass},
    chunks::Chunk,
    gradient::Gradient,
    padded::{self, Frame},
    pass::{Pass, Phase, Pixels},
    tile::{put, sum_runs},
};
use crate::{
    epilogue::Store,
    isa::Isa,
    norm::statistics,
    operand::Operand,
    vector::{LANES, Line, Vector, dispatch_vector},
};
use parallel::{parallel_for, parallel_for_with_workspace};

/// The plan of a shape.
#[derive(Debug)]
pub(super) struct Direct {
    forward: Pass,
    backward: Pass,
    gradient: Gradient,
}

impl Direct {
    pub fn new(shape: &ConvShape) -> Self {
        Self { forward: Pass::forward(shape), backward: Pass::backward(shape), gradient: Gradient::new(shape) }
    }
}

impl ConvAlgorithm for Direct {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Direct
    }

    fn forward(&self) -> &dyn ConvPass {
        &self.forward
    }

    fn backward_input(&self) -> &dyn ConvPass {
        &self.backward
    }

    fn backward_workspace_len(&self) -> [usize; 2] {
        self.gradient.workspace_len()
    }

    fn backward(
        &self,
        isa: Isa,
        [input, grad_output]: [Operand<'_>; 2],
        grad_weight: &mut [f32],
        grad_input: Option<GradInput<'_>>,
        workspace: &mut [f32],
    ) {
        self.gradient.run(isa, input.values(), grad_output.values(), grad_weight, workspace);
        if let Some(GradInput { packed, grad_input, accumulate, .. }) = grad_input {
            self.backward.run(isa, grad_output, packed, grad_input, Store::adding(accumulate), &mut [], workspace);
        }
    }
}

impl ConvPass for Pass {
    fn packed_len(&self) -> usize {
        self.packed_len()
    }

    fn workspace_len(&self) -> usize {
        self.workspace_len()
    }

    fn blocks(&self) -> usize {
        self.chunks.len()
    }

    /// By panels: of each phase and panel `[runs, depth, LANES]`, zeros beyond the last target channel.
    fn pack(&self, _: Isa, weights: &[f32], packed: &mut [f32]) {
        let mut rest = packed;
        for phase in self.phases.iter().filter(|phase| phase.runs > 0) {
            let panel_len = phase.runs * phase.depth * LANES;
            let (panels, after) = rest.split_at_mut(self.panels() * panel_len);
            rest = after;
            let panels = panels.chunks_exact_mut(panel_len).enumerate();
            parallel_for(panels, |(panel, lines)| self.pack_panel(phase, panel * LANES, weights, lines));
        }
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
        let source = source.values();
        let mut bias = [0.0; LANES];
        let store = store.repeated(self.target.channels, self.group, &mut bias);
        let row_len = self.y.target_step * self.target.row_len();
        let blocks = self.chunks.cut(target, self.target.image_len(), row_len);
        let blocks = statistics::pair(store.pair(blocks), statistics, self.target.channels).enumerate();
        parallel_for_with_workspace(
            blocks,
            workspace,
            self.workspace_len(),
            |(i, ((block, store), partial)), padded| {
                let chunk = self.chunks.get(i);
                self.copy(source, chunk, padded);
                run_chunk(isa, self, chunk, padded, packed.as_chunks::<LANES>().0, block, &store);
                store.finish(isa, block);
                statistics::take(isa, block, self.target.channels, partial);
            },
        );
    }
}

impl Pass {
    fn pack_panel(&self, phase: &Phase, first: usize, weights: &[f32], panel: &mut [f32]) {
        let [target_step, source_step] = self.weight_steps;
        let lanes = LANES.min(self.target.channels - first);
        let x = &self.x.phases[phase.axes[1]];
        let mut lines = panel.as_chunks_mut::<LANES>().0.iter_mut();
        for y in &self.y.phases[phase.axes[0]].taps {
            for column in 0..self.columns(x) {
                for (c, line) in (0..self.source.channels).zip(&mut lines) {
                    *line = [0.0; LANES];
                    for (pixel, line) in line.chunks_mut(lanes).take(self.group).enumerate() {
                        // The taps of the pixels after the first lie further to the right.
                        let own = column.checked_sub(pixel * self.x.source_step);
                        let Some(x) = own.and_then(|own| x.taps.get(own)) else { continue };
                        let tap = y * self.kernel + x + first * target_step + c * source_step;
                        for (lane, w) in line.iter_mut().enumerate() {
                            *w = weights[tap + lane * target_step];
                        }
                    }
                }
            }
        }
    }

    fn copy(&self, source: &[f32], chunk: Chunk, padded: &mut [f32]) {
        let len = self.source.image_len();
        let frame = Frame {
            first: self.first_row(chunk),
            rows: self.padded_rows(chunk.rows),
            before: self.y.before,
            width: self.padded_width(),
            left: self.x.before,
        };
        padded::copy(&source[chunk.image * len..][..chunk.images * len], self.source, frame, padded);
    }
}

dispatch_vector! {
    fn run_chunk(pass: &Pass, chunk: Chunk, padded: &[f32], packed: &[Line], target: &mut [f32], store: &Store<'_>) => chunk_kernel
}

#[inline(always)]
fn chunk_kernel<V: Vector, const M: usize>(
    zero: V,
    pass: &Pass,
    chunk: Chunk,
    padded: &[f32],
    packed: &[Line],
    target: &mut [f32],
    store: &Store<'_>,
) {
    let row = pass.padded_width() * pass.source.channels;
    let mut packed = packed;
    for phase in &pass.phases {
        let pixels = pass.pixels(phase, chunk);
        let mut panel = 0;
        while panel < pass.panels() {
            let count = together::<M>(pass.panels() - panel);
            let (lines, rest) = packed.split_at(count * phase.runs * phase.depth);
            packed = rest;
            let operands = Operands { padded, row, lines, depth: phase.depth.max(1), first: panel * LANES };
            match count {
                4 => all_pixels::<V, 6, 4>(zero, operands, pixels, target, store),
                2 => all_pixels::<V, 8, 2>(zero, operands, pixels, target, store),
                _ => {
                    let (whole, rest) = pixels.split_at(whole_tiles::<M>(pixels.len()));
                    all_pixels::<V, M, 1>(zero, operands, whole, target, store);
                    all_pixels::<V, SMALL, 1>(zero, operands, rest, target, store);
                }
            }
            panel += count;
        }
    }
}

/// Pixels of the smaller tile, of instruction sets with registers for more.
const SMALL: usize = 8;

/// How many of `count` pixels are computed in tiles of M: the rest is at most two small tiles, if those compute less in vain.
#[inline(always)]
fn whole_tiles<const M: usize>(count: usize) -> usize {
    let rest = count % M;
    if M <= SMALL || rest == 0 || rest > SMALL {
        count
    } else if rest + M <= 2 * SMALL && count > M {
        count - rest - M
    } else {
        count - rest
    }
}

/// Panels whose sums are computed together, of so many: with registers for 24 lines (AVX-512), up to four.
#[inline(always)]
fn together<const M: usize>(panels: usize) -> usize {
    match panels {
        _ if M < 12 => 1,
        0 | 1 => 1,
        2 | 3 => 2,
        _ => 4,
    }
}

/// What some panels are multiplied with.
#[derive(Clone, Copy)]
struct Operands<'a> {
    padded: &'a [f32],
    /// Elements of a row of it.
    row: usize,
    /// The panels, one after the other.
    lines: &'a [Line],
    /// Elements of a run.
    depth: usize,
    /// The first channel of the panels.
    first: usize,
}

/// Sums and stores the pixels of N panels, M at a time.
#[inline(always)]
fn all_pixels<V: Vector, const M: usize, const N: usize>(
    zero: V,
    operands: Operands<'_>,
    pixels: &[Pixels],
    target: &mut [f32],
    store: &Store<'_>,
) {
    for pixels in pixels.chunks(M) {
        tile::<V, M, N>(zero, operands, pixels, target, store);
    }
}

/// Sums and stores up to M pixels.
#[inline(always)]
fn tile<V: Vector, const M: usize, const N: usize>(
    zero: V,
    operands: Operands<'_>,
    pixels: &[Pixels],
    target: &mut [f32],
    store: &Store<'_>,
) {
    let Operands { padded, row, lines, depth, first } = operands;
    // The last tile repeats its last pixel: what it computes too much is not stored.
    let mut starts = [pixels[pixels.len() - 1].source; M];
    for (start, pixels) in starts.iter_mut().zip(pixels) {
        *start = pixels.source;
    }
    let sums = sum_runs::<V, M, N>(zero, padded, &starts, row, lines, depth);
    for (sums, pixels) in sums.iter().zip(pixels) {
        for (panel, sums) in sums.iter().enumerate() {
            let channel = first + panel * LANES;
            let at = pixels.target + channel;
            let residual = store.residual().get(at..).unwrap_or_default();
            put(zero, sums, &mut target[at..][..LANES.min(pixels.len - channel)], residual, channel, store);
        }
    }
}
