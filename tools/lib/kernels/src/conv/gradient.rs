//! `grad_weight` by the direct algorithm.
//!
//! Each weight's gradient is a sum over all pixels. Slices of the batch have partial sums of their own, which are added in
//! order: the same bytes for any number of threads.

use super::{
    axis::Axis,
    chunks::{Chunk, Chunks},
    padded::{self, Frame},
    pass::{Plane, input, output},
    shape::ConvShape,
    tile::{Columns, add_columns},
};
use crate::{
    isa::Isa,
    vector::{LANES, Line, Vector, dispatch_vector},
};
use parallel::{parallel_for, parallel_for_with_workspace};

/// Bytes of a block, input and output: a share of the L2 cache. All sums are read and written for each block.
const PIECE_BYTES: usize = 192 << 10;
/// Maximum elements of all partial sums.
const PARTIAL_LEN: usize = 2 << 20;
/// Tasks of a large enough layer: slices of the batch times groups of output channels.
const TASKS: usize = 16;

/// A plan of `grad_weight`.
#[derive(Debug)]
pub(super) struct Gradient {
    source: Plane,
    target: Plane,
    kernel: usize,
    stride: usize,
    y: Axis,
    x: Axis,
    chunks: Chunks,
    parts: usize,
    /// Panels of output channels of one task.
    group: usize,
    /// Where each output row of a whole block starts to read the padded input.
    row_starts: Vec<usize>,
}

impl Gradient {
    pub fn new(s: &ConvShape) -> Self {
        let y = Axis::forward(s.out_height(), s.kernel, s.stride, s.padding);
        let x = Axis::forward(s.out_width(), s.kernel, s.stride, s.padding);
        let panels = s.outputs.div_ceil(LANES);
        let partial = panels * LANES * s.inputs * s.kernel * s.kernel;
        let parts = (PARTIAL_LEN / partial).clamp(1, TASKS.min(s.images));
        let padded_row = x.padded(x.count()) * s.inputs;
        let fits = |images: usize, rows: usize| {
            images * (y.padded(rows) * padded_row + rows * x.count() * LANES) * size_of::<f32>() <= PIECE_BYTES
        };
        let chunks = Chunks::new(s.images, y.count(), s.images.div_ceil(parts), fits);
        let chunk = chunks.largest();
        let starts = |image: usize| {
            let first = image * y.padded(chunk.rows);
            (0..chunk.rows).map(move |row| (first + row * s.stride) * padded_row)
        };
        let row_starts = (0..chunk.images).flat_map(starts).collect();
        let (parts, group) = (parts.min(chunks.len()), panels.div_ceil(TASKS.div_ceil(parts)));
        Self {
            source: input(s),
            target: output(s),
            kernel: s.kernel,
            stride: s.stride,
            y,
            x,
            chunks,
            parts,
            group,
            row_starts,
        }
    }

    /// Elements of workspace for all threads together, and for each of them.
    pub fn workspace_len(&self) -> [usize; 2] {
        [self.parts * self.partial_len(), self.padded_len() + self.row_starts.len() * self.target.width * LANES]
    }

    /// Replaces `gradient` (OIHW).
    pub fn run(&self, isa: Isa, source: &[f32], grad_output: &[f32], gradient: &mut [f32], workspace: &mut [f32]) {
        let [shared, each] = self.workspace_len();
        let (partials, workspace) = workspace.split_at_mut(shared);
        let groups = self.panels().div_ceil(self.group);
        let (partial_len, group_len) = (self.partial_len(), self.group * self.panel_len());
        let tasks =
            partials.chunks_exact_mut(partial_len).flat_map(|partial| partial.chunks_mut(group_len)).enumerate();
        parallel_for_with_workspace(tasks, workspace, each, |(i, sums), workspace| {
            sums.fill(0.0);
            let (part, group) = (i / groups, i % groups);
            let pieces = self.chunks.len();
            for piece in part * pieces / self.parts..(part + 1) * pieces / self.parts {
                self.add_piece(isa, self.chunks.get(piece), source, grad_output, group * self.group, sums, workspace);
            }
        });
        self.collect(partials, gradient);
    }

    /// Adds what one block gives to the panels from `first`.
    #[allow(clippy::too_many_arguments, reason = "the operands of one product, and where they lie")]
    fn add_piece(
        &self,
        isa: Isa,
        chunk: Chunk,
        source: &[f32],
        grad_output: &[f32],
        first: usize,
        sums: &mut [f32],
        workspace: &mut [f32],
    ) {
        let (padded, panel) = workspace.split_at_mut(self.padded_len());
        let len = self.source.image_len();
        let frame = Frame {
            first: chunk.row * self.stride,
            rows: self.y.padded(chunk.rows),
            before: self.y.before,
            width: self.x.padded(self.x.count()),
            left: self.x.before,
        };
        padded::copy(&source[chunk.image * len..][..chunk.images * len], self.source, frame, padded);
        for (i, sums) in sums.chunks_exact_mut(self.panel_len()).enumerate() {
            let panel = panel.as_chunks_mut::<LANES>().0;
            self.pack(chunk, grad_output, (first + i) * LANES, panel);
            add_panel(isa, self, chunk, padded, panel, sums.as_chunks_mut::<LANES>().0);
        }
    }

    /// Copies the channels from `first` of a block of the output's gradient, zeros beyond the last.
    fn pack(&self, chunk: Chunk, grad_output: &[f32], first: usize, panel: &mut [Line]) {
        let c = self.target.channels;
        let lanes = LANES.min(c - first);
        let pixels = chunk.rows * self.target.width;
        for image in 0..chunk.images {
            let start = (chunk.image + image) * self.target.image_len() + chunk.row * self.target.row_len();
            let grad_output = grad_output[start..][..pixels * c].chunks_exact(c);
            for (line, grad_output) in panel[image * pixels..].iter_mut().zip(grad_output) {
                let grad_output = &grad_output[first..][..lanes];
                match grad_output.first_chunk() {
                    Some(grad_output) => *line = *grad_output,
                    None => {
                        *line = [0.0; LANES];
                        line[..lanes].copy_from_slice(grad_output);
                    }
                }
            }
        }
    }

    /// Adds the parts up, and puts the sums where the weights are.
    fn collect(&self, partials: &[f32], gradient: &mut [f32]) {
        let area = self.kernel * self.kernel;
        let output_len = self.source.channels * area;
        let (run_len, panel_len) = (self.depth(), self.panel_len());
        let panels = gradient.chunks_mut(LANES * output_len).enumerate();
        parallel_for(panels, |(panel, gradient)| {
            for i in 0..panel_len / LANES {
                let (y, x, c) = (i / run_len, i % run_len / self.source.channels, i % self.source.channels);
                let mut sums = [0.0; LANES];
                for partial in partials.chunks_exact(self.partial_len()) {
                    let line = &partial[panel * panel_len + i * LANES..][..LANES];
                    sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
                }
                let first = c * area + y * self.kernel + x;
                let weights = gradient[first..].iter_mut().step_by(output_len);
                weights.zip(sums).for_each(|(weight, sum)| *weight = sum);
            }
        });
    }

    fn panels(&self) -> usize {
        self.target.channels.div_ceil(LANES)
    }

    /// Input elements that one row of a window covers.
    fn depth(&self) -> usize {
        self.kernel * self.source.channels
    }

    fn panel_len(&self) -> usize {
        self.kernel * self.depth() * LANES
    }

    fn partial_len(&self) -> usize {
        self.panels() * self.panel_len()
    }

    fn padded_row_len(&self) -> usize {
        self.x.padded(self.x.count()) * self.source.channels
    }

    fn padded_len(&self) -> usize {
        let chunk = self.chunks.largest();
        chunk.images * self.y.padded(chunk.rows) * self.padded_row_len()
    }
}

dispatch_vector! {
    fn add_panel(plan: &Gradient, chunk: Chunk, padded: &[f32], panel: &[Line], sums: &mut [Line]) => panel_kernel
}

#[inline(always)]
fn panel_kernel<V: Vector, const M: usize>(
    zero: V,
    plan: &Gradient,
    chunk: Chunk,
    padded: &[f32],
    panel: &[Line],
    sums: &mut [Line],
) {
    let starts = &plan.row_starts[..chunk.images * chunk.rows];
    let (step, width) = (plan.stride * plan.source.channels, plan.target.width);
    for (y, sums) in sums.chunks_exact_mut(plan.depth()).enumerate() {
        let source = &padded[y * plan.padded_row_len()..];
        add_columns::<V, M>(zero, sums, Columns { source, starts, step, width }, panel);
    }
}
