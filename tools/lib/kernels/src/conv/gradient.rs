//! `grad_weight` by the direct algorithm.
//!
//! Each weight's gradient is a sum over all pixels. Slices of the batch have partial sums of their own, which are added in
//! order: the same bytes for any number of threads.

use super::{
    axis::Axis,
    chunks::{Chunk, Chunks},
    padded::{self, Frame},
    pass::{self, Plane, input, output},
    shape::ConvShape,
    tile::{Columns, add_columns},
};
use crate::{
    isa::Isa,
    vector::{LANES, Line, Vector, dispatch_vector},
};
use parallel::{parallel_for, parallel_for_with_workspace};

/// Bytes of a block, input and output: a share of the L2 cache. All sums are read and written for each block.
const BLOCK_BYTES: usize = 192 << 10;
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
    task_panels: usize,
    /// Adjacent output pixels whose channels share a line.
    group: usize,
    /// Where each output row of a whole block starts to read the padded input.
    row_starts: Vec<usize>,
}

impl Gradient {
    pub fn new(s: &ConvShape) -> Self {
        let y = Axis::forward(s.out_height(), s.kernel, s.stride, s.padding);
        let x = Axis::forward(s.out_width(), s.kernel, s.stride, s.padding);
        let panels = s.outputs.div_ceil(LANES);
        let group = pass::group(&x, s.outputs);
        let partial = panels * LANES * s.inputs * s.kernel * (s.kernel + (group - 1) * s.stride);
        let parts = (PARTIAL_LEN / partial).clamp(1, TASKS.min(s.images));
        let lines = x.count().div_ceil(group);
        let padded_row = x.padded(lines * group) * s.inputs;
        let fits = |images: usize, rows: usize| {
            images * (y.padded(rows) * padded_row + rows * lines * LANES) * size_of::<f32>() <= BLOCK_BYTES
        };
        let chunks = Chunks::new(s.images, y.count(), s.images.div_ceil(parts), fits);
        let chunk = chunks.largest();
        let starts = |image: usize| {
            let first = image * y.padded(chunk.rows);
            (0..chunk.rows).map(move |row| (first + row * s.stride) * padded_row)
        };
        let row_starts = (0..chunk.images).flat_map(starts).collect();
        let (parts, task_panels) = (parts.min(chunks.len()), panels.div_ceil(TASKS.div_ceil(parts)));
        Self {
            source: input(s),
            target: output(s),
            kernel: s.kernel,
            stride: s.stride,
            y,
            x,
            chunks,
            parts,
            task_panels,
            group,
            row_starts,
        }
    }

    /// Elements of workspace for all threads together, and for each of them.
    pub fn workspace_len(&self) -> [usize; 2] {
        [self.parts * self.partial_len(), self.padded_len() + self.row_starts.len() * self.row_lines() * LANES]
    }

    /// Replaces `gradient` (OIHW).
    pub fn run(&self, isa: Isa, source: &[f32], grad_output: &[f32], gradient: &mut [f32], workspace: &mut [f32]) {
        let [shared, each] = self.workspace_len();
        let (partials, workspace) = workspace.split_at_mut(shared);
        let shares = self.panels().div_ceil(self.task_panels);
        let (partial_len, task_len) = (self.partial_len(), self.task_panels * self.panel_len());
        let tasks = partials.chunks_exact_mut(partial_len).flat_map(|partial| partial.chunks_mut(task_len)).enumerate();
        parallel_for_with_workspace(tasks, workspace, each, |(i, sums), workspace| {
            sums.fill(0.0);
            let (part, share) = (i / shares, i % shares);
            let blocks = self.chunks.len();
            for block in part * blocks / self.parts..(part + 1) * blocks / self.parts {
                self.add_block(
                    isa,
                    self.chunks.get(block),
                    source,
                    grad_output,
                    share * self.task_panels,
                    sums,
                    workspace,
                );
            }
        });
        self.collect(partials, gradient);
    }

    /// Adds what one block gives to the panels from `first`.
    #[allow(clippy::too_many_arguments, reason = "the operands of one product, and where they lie")]
    fn add_block(
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
            width: self.padded_width(),
            left: self.x.before,
        };
        padded::copy(&source[chunk.image * len..][..chunk.images * len], self.source, frame, padded);
        for (i, sums) in sums.chunks_exact_mut(self.panel_len()).enumerate() {
            let panel = panel.as_chunks_mut::<LANES>().0;
            self.pack(chunk, grad_output, (first + i) * LANES, panel);
            add_panel(isa, self, chunk, padded, panel, sums.as_chunks_mut::<LANES>().0);
        }
    }

    /// Copies the channels from `first` of a block of the output's gradient, zeros beyond the last; or all channels of each
    /// group of pixels.
    fn pack(&self, chunk: Chunk, grad_output: &[f32], first: usize, panel: &mut [Line]) {
        let c = self.target.channels;
        for image in 0..chunk.images {
            let start = (chunk.image + image) * self.target.image_len() + chunk.row * self.target.row_len();
            let rows = grad_output[start..][..chunk.rows * self.target.row_len()].chunks_exact(self.target.row_len());
            let lines = panel[image * chunk.rows * self.row_lines()..].chunks_exact_mut(self.row_lines());
            for (lines, row) in lines.zip(rows) {
                for (line, pixels) in lines.iter_mut().zip(row.chunks(self.group * c)) {
                    let values = &pixels[first..][..LANES.min(pixels.len() - first)];
                    match values.first_chunk() {
                        Some(values) => *line = *values,
                        None => {
                            *line = [0.0; LANES];
                            line[..values.len()].copy_from_slice(values);
                        }
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
            gradient.fill(0.0);
            for i in 0..panel_len / LANES {
                let (y, column, c) = (i / run_len, i % run_len / self.source.channels, i % self.source.channels);
                let mut sums = [0.0; LANES];
                for partial in partials.chunks_exact(self.partial_len()) {
                    let line = &partial[panel * panel_len + i * LANES..][..LANES];
                    sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
                }
                for (pixel, sums) in sums.chunks(LANES.min(self.target.channels)).take(self.group).enumerate() {
                    // The taps of the pixels after the first lie further to the right.
                    let tap = column.checked_sub(pixel * self.stride).filter(|&tap| tap < self.kernel);
                    let Some(x) = tap else { continue };
                    let weights = gradient[c * area + y * self.kernel + x..].iter_mut().step_by(output_len);
                    weights.zip(sums).for_each(|(weight, sum)| *weight += sum);
                }
            }
        });
    }

    fn panels(&self) -> usize {
        self.target.channels.div_ceil(LANES)
    }

    /// Lines of a row of the output.
    fn row_lines(&self) -> usize {
        self.target.width.div_ceil(self.group)
    }

    /// Input elements that one row of the windows of a line covers.
    fn depth(&self) -> usize {
        (self.kernel + (self.group - 1) * self.stride) * self.source.channels
    }

    fn panel_len(&self) -> usize {
        self.kernel * self.depth() * LANES
    }

    fn partial_len(&self) -> usize {
        self.panels() * self.panel_len()
    }

    fn padded_width(&self) -> usize {
        self.x.padded(self.row_lines() * self.group)
    }

    fn padded_row_len(&self) -> usize {
        self.padded_width() * self.source.channels
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
    let (step, width) = (plan.group * plan.stride * plan.source.channels, plan.row_lines());
    for (y, sums) in sums.chunks_exact_mut(plan.depth()).enumerate() {
        let source = &padded[y * plan.padded_row_len()..];
        add_columns::<V, M>(zero, sums, Columns { source, starts, step, width }, panel);
    }
}
