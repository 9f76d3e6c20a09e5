//! The plan of one direction (forward or `grad_input`) of the direct algorithm.

use super::{
    axis::{Axis, AxisPhase},
    chunks::{Chunk, Chunks},
    shape::ConvShape,
};
use crate::vector::LANES;

/// Bytes of padded source in a block: half of the L2 cache.
const SOURCE_BYTES: usize = 256 << 10;
/// Minimum number of blocks of a batch with as many images: enough tasks for the threads.
const BLOCKS: usize = 32;

/// The shape of one image, NHWC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Plane {
    pub fn row_len(&self) -> usize {
        self.width * self.channels
    }

    pub fn image_len(&self) -> usize {
        self.height * self.row_len()
    }
}

/// Sums over runs of a padded source: the forward pass or `grad_input`.
#[derive(Debug)]
pub(super) struct Pass {
    pub source: Plane,
    pub target: Plane,
    pub y: Axis,
    pub x: Axis,
    pub chunks: Chunks,
    pub phases: Vec<Phase>,
    /// Steps in the weights from one target channel, and one source channel, to the next.
    pub weight_steps: [usize; 2],
    pub kernel: usize,
    /// Adjacent target pixels whose channels share a line.
    pub group: usize,
}

/// Target pixels that see the same taps: a run of `depth` source elements in each of some rows. With few channels, a line has
/// those of several adjacent pixels, whose runs overlap.
#[derive(Debug)]
pub(super) struct Phase {
    /// Which phase of either axis.
    pub axes: [usize; 2],
    /// Source elements of a run.
    pub depth: usize,
    /// Rows of the kernel, each one run.
    pub runs: usize,
    /// Of a whole block.
    pub pixels: Vec<Pixels>,
}

/// A target pixel, or some adjacent ones whose channels share a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels {
    /// Where the first run starts in the padded source.
    pub source: usize,
    /// Where they start in the block of the target.
    pub target: usize,
    /// Their channels.
    pub len: usize,
}

impl Pass {
    pub fn forward(s: &ConvShape) -> Self {
        let x = Axis::forward(s.out_width(), s.kernel, s.stride, s.padding);
        let group = group(&x, s.outputs);
        Self::forward_of(s, x, group)
    }

    /// As [`Self::forward`], without groups of pixels: the terms of a pixel's neighbours have the weight 0, which makes NaN of what is
    /// not finite. Training stops at the first such value; inference gives each pixel its own.
    pub fn forward_of_single_pixels(s: &ConvShape) -> Self {
        Self::forward_of(s, Axis::forward(s.out_width(), s.kernel, s.stride, s.padding), 1)
    }

    fn forward_of(s: &ConvShape, x: Axis, group: usize) -> Self {
        let y = Axis::forward(s.out_height(), s.kernel, s.stride, s.padding);
        let area = s.kernel * s.kernel;
        Self::new(s, [input(s), output(s)], [y, x], group, [s.inputs * area, area])
    }

    pub fn backward(s: &ConvShape) -> Self {
        let y = Axis::backward(s.height, s.kernel, s.stride, s.padding);
        let x = Axis::backward(s.width, s.kernel, s.stride, s.padding);
        let area = s.kernel * s.kernel;
        let group = group(&x, s.inputs);
        Self::new(s, [output(s), input(s)], [y, x], group, [area, s.inputs * area])
    }

    fn new(
        s: &ConvShape,
        [source, target]: [Plane; 2],
        [y, x]: [Axis; 2],
        group: usize,
        weight_steps: [usize; 2],
    ) -> Self {
        let padded_row = x.padded(x.count().next_multiple_of(group)) * source.channels;
        let fits = |images: usize, rows: usize| images * y.padded(rows) * padded_row * size_of::<f32>() <= SOURCE_BYTES;
        let chunks = Chunks::new(s.images, y.count(), s.images.div_ceil(BLOCKS), fits);
        let mut pass = Self { source, target, y, x, chunks, phases: Vec::new(), weight_steps, kernel: s.kernel, group };
        let kinds = (0..pass.y.phases.len()).flat_map(|y| (0..pass.x.phases.len()).map(move |x| [y, x]));
        pass.phases = kinds.map(|axes| pass.phase(axes)).collect();
        pass
    }

    fn phase(&self, axes: [usize; 2]) -> Phase {
        let (y, x) = (&self.y.phases[axes[0]], &self.x.phases[axes[1]]);
        let chunk = self.chunks.largest();
        let c = [self.source.channels, self.target.channels];
        let mut pixels = Vec::new();
        for image in 0..chunk.images {
            for row in 0..chunk.rows.min(y.count) {
                let source =
                    (image * self.padded_rows(chunk.rows) + row * self.y.source_step + y.start) * self.padded_width();
                let target = (image * self.target.height + row * self.y.target_step + y.origin) * self.target.width;
                for i in (0..x.count).step_by(self.group) {
                    let source = source + i * self.x.source_step + x.start;
                    let target = target + i * self.x.target_step + x.origin;
                    let len = self.group.min(x.count - i) * c[1];
                    pixels.push(Pixels { source: source * c[0], target: target * c[1], len });
                }
            }
        }
        // Without taps in a row there is nothing to sum in any.
        let runs = if x.taps.is_empty() { 0 } else { y.taps.len() };
        Phase { axes, depth: self.columns(x) * c[0], runs, pixels }
    }

    /// Source pixels of a run.
    pub fn columns(&self, x: &AxisPhase) -> usize {
        if x.taps.is_empty() { 0 } else { x.taps.len() + (self.group - 1) * self.x.source_step }
    }

    /// The pixels of a phase that lie in a block: the first so many of `phase.pixels`.
    pub fn pixels<'a>(&self, phase: &'a Phase, chunk: Chunk) -> &'a [Pixels] {
        let [y, x] = phase.axes;
        let rows = chunk.rows.min(self.y.phases[y].count.saturating_sub(chunk.row));
        &phase.pixels[..chunk.images * rows * self.x.phases[x].count.div_ceil(self.group)]
    }

    /// Rows of the padded source of a block, from the source row that [`Self::first_row`] says.
    pub fn padded_rows(&self, rows: usize) -> usize {
        self.y.padded(rows)
    }

    /// The padded row of a whole image where that of a block starts.
    pub fn first_row(&self, chunk: Chunk) -> usize {
        chunk.row * self.y.source_step
    }

    /// Pixels of a row of the padded source.
    pub fn padded_width(&self) -> usize {
        self.x.padded(self.x.count().next_multiple_of(self.group))
    }

    /// Elements of the padded source of the largest block: the workspace of a thread.
    pub fn workspace_len(&self) -> usize {
        let chunk = self.chunks.largest();
        chunk.images * self.padded_rows(chunk.rows) * self.padded_width() * self.source.channels
    }

    /// Panels: groups of target channels that are computed together.
    pub fn panels(&self) -> usize {
        self.target.channels.div_ceil(LANES)
    }

    /// Elements of the packed weights.
    pub fn packed_len(&self) -> usize {
        self.phases.iter().map(|phase| self.panels() * phase.runs * phase.depth * LANES).sum()
    }
}

/// How many adjacent pixels of `channels` share a line: so many that the fewest lines are multiplied. The runs of more pixels are longer.
///
/// A line without the sum of a pixel has zeros there, so that the terms of each element are added in the same order.
pub(super) fn group(x: &Axis, channels: usize) -> usize {
    let [phase] = x.phases.as_slice() else { return 1 };
    let lines = |group: &usize| phase.count.div_ceil(*group) * (phase.taps.len() + (group - 1) * x.source_step);
    (1..=(LANES / channels).max(1)).min_by_key(lines).unwrap_or(1)
}

pub(super) fn input(s: &ConvShape) -> Plane {
    Plane { height: s.height, width: s.width, channels: s.inputs }
}

pub(super) fn output(s: &ConvShape) -> Plane {
    Plane { height: s.out_height(), width: s.out_width(), channels: s.outputs }
}
