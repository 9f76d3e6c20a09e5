//! Products over windows: blocks of rows of the output, tiles of sums in registers.

use super::{
    dot::{Dot, GROUP, LANES, WeightLine, dispatch_dot},
    pack::{LINES, QuantizedWeights},
    requantize::{Requantization, quantize_block},
};
use crate::{isa::Isa, windows::Windows};
use parallel::parallel_for_with_workspace;
use std::{ops::Range, sync::Arc};

/// Multiply-adds of a task, some tens of microseconds with VNNI.
const TASK: usize = 1 << 22;
/// Most bytes of a block of the input that is copied: with the weights they stay in the L2 cache.
const BLOCK: usize = 1 << 18;

/// A multiple of the pixels of every tile.
const TILE: usize = 12;

/// A plan of a convolution, or of a product of matrices: [`Windows::rows`].
#[derive(Debug)]
pub struct QuantizedConv {
    windows: Windows,
    weights: Arc<QuantizedWeights>,
    requantization: Requantization,
    /// Rows of the output of a block.
    block: usize,
    /// Whether a block of the input is copied: into padding, to whole groups, to uint8.
    copies: bool,
    /// Where the runs of a window begin, from its first byte.
    runs: Vec<usize>,
}

/// What a run computes.
pub enum Output<'a> {
    /// uint8 or int8.
    Integers(&'a mut [u8]),
    /// float32.
    Floats(&'a mut [f32]),
}

impl QuantizedConv {
    /// Plans a convolution of NHWC images with weights whose kernel is that of the windows.
    pub fn new(windows: Windows, weights: Arc<QuantizedWeights>, requantization: Requantization) -> Self {
        let windows =
            if windows.is_pointwise() { Windows::rows(windows.images * windows.input_pixels()) } else { windows };
        let copies = !windows.is_inside() || !weights.run_len.is_multiple_of(GROUP) || weights.input.signed;
        let mut plan = Self { windows, weights, requantization, block: 1, copies, runs: Vec::new() };
        let row_cost = windows.output[1] * plan.weights.depth() * plan.weights.outputs;
        let rows = (TASK / row_cost.max(1)).max(1);
        let by_cost = if windows.output[1] == 1 { rows.next_multiple_of(TILE) } else { rows };
        let by_bytes = BLOCK / (plan.row_len() * windows.stride[0]).max(1);
        plan.block = by_cost.min(if copies { by_bytes } else { usize::MAX }).clamp(1, windows.output[0].max(1));
        plan.runs = plan.run_offsets();
        plan
    }

    /// Bytes of a row of the input, as a block has it.
    fn row_len(&self) -> usize {
        let pixels = if self.copies { self.padded_width() } else { self.windows.input[1] };
        pixels * self.weights.channels
    }

    fn padded_width(&self) -> usize {
        self.windows.reach(1, self.windows.output[1])
    }

    fn run_offsets(&self) -> Vec<usize> {
        let [height, width] = self.windows.kernel;
        let [down, right] = self.windows.dilation;
        let columns = if self.weights.runs == height { 1 } else { width };
        let (row_len, channels) = (self.row_len(), self.weights.channels);
        (0..height).flat_map(|y| (0..columns).map(move |x| y * down * row_len + x * right * channels)).collect()
    }

    /// Bytes of a copied block; a group may end beyond the last run.
    fn copy_len(&self) -> usize {
        if self.copies { self.windows.reach(0, self.block) * self.row_len() + GROUP - 1 } else { 0 }
    }

    /// Elements of the sums of a block, where they are kept as float32.
    fn floats_len(&self) -> usize {
        if self.requantization.needs_floats() { self.block * self.windows.output[1] * self.weights.outputs } else { 0 }
    }

    /// Elements of workspace for so many threads, in float32.
    pub fn workspace_len(&self, threads: usize) -> usize {
        threads.max(1) * self.thread_len()
    }

    fn thread_len(&self) -> usize {
        self.copy_len().div_ceil(size_of::<f32>()) + self.floats_len()
    }

    /// Multiply-adds of a run.
    pub fn cost(&self) -> usize {
        let pixels = self.windows.images * self.windows.output_pixels();
        pixels.saturating_mul(self.weights.depth() * self.weights.outputs)
    }

    /// Whether the output is float32.
    pub fn is_float(&self) -> bool {
        self.requantization.is_float()
    }

    /// Bytes of the input.
    pub fn input_len(&self) -> usize {
        self.windows.images * self.windows.input_pixels() * self.weights.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.windows.images * self.windows.output_pixels() * self.weights.outputs
    }

    /// Computes NHWC integers, `output`, from NHWC integers; `residual` is of float32 and the output's shape, or empty.
    ///
    /// # Panics
    /// If a length does not match the plan, or the output is of the other type.
    pub fn integers(&self, input: &[u8], residual: &[f32], output: &mut [u8], workspace: &mut [f32]) {
        assert!(!self.is_float(), "a product of float32");
        self.check(input, residual, output.len());
        self.each_block(input, residual, output, workspace, |from, residual, output, floats| {
            if self.requantization.direct {
                products(self.weights.engine, self, from, residual, &mut Output::Integers(output));
                return;
            }
            let floats = &mut floats[..output.len()];
            self.floats_of(from, residual, floats);
            if let Some(affine) = self.requantization.output {
                quantize_block(Isa::chosen(), affine, floats, output);
            }
        });
    }

    /// As [`Self::integers`], of float32.
    ///
    /// # Panics
    /// As [`Self::integers`].
    pub fn floats(&self, input: &[u8], residual: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        assert!(self.is_float(), "a product of integers");
        self.check(input, residual, output.len());
        self.each_block(input, residual, output, workspace, |from, residual, output, _| {
            self.floats_of(from, residual, output);
        });
    }

    fn check(&self, input: &[u8], residual: &[f32], output: usize) {
        assert_eq!(input.len(), self.input_len(), "bytes of the input");
        assert_eq!(output, self.output_len(), "elements of the output");
        assert!(residual.is_empty() || residual.len() == output, "elements of the residual");
    }

    fn floats_of(&self, from: &[u8], residual: &[f32], output: &mut [f32]) {
        products(self.weights.engine, self, from, residual, &mut Output::Floats(output));
        if self.requantization.activation.bounds().is_none() {
            self.requantization.activation.apply(output);
        }
    }

    /// Calls `work` with each block: what its windows read, its residual, its output, and room for floats.
    fn each_block<T: Send>(
        &self,
        input: &[u8],
        residual: &[f32],
        output: &mut [T],
        workspace: &mut [f32],
        work: impl Fn(&[u8], &[f32], &mut [T], &mut [f32]) + Sync,
    ) {
        let row_len = self.windows.output[1] * self.weights.outputs;
        let image_len = self.windows.input_pixels() * self.weights.channels;
        let images = output.chunks_mut((self.windows.output[0] * row_len).max(1)).enumerate();
        let blocks = images.flat_map(|(image, output)| {
            let blocks = output.chunks_mut((self.block * row_len).max(1)).enumerate();
            blocks.map(move |(block, output)| (image, block * self.block, output))
        });
        parallel_for_with_workspace(blocks, workspace, self.thread_len(), |(image, row, output), workspace| {
            let (copy, floats) = workspace.split_at_mut(self.copy_len().div_ceil(size_of::<f32>()));
            let rows = row..row + output.len() / row_len;
            let residual = if residual.is_empty() {
                residual
            } else {
                &residual[(image * self.windows.output[0] + row) * row_len..][..output.len()]
            };
            let image = &input[image * image_len..][..image_len];
            if self.copies {
                let copy: &mut [u8] = bytemuck::cast_slice_mut(copy);
                self.copy(image, rows, copy);
                work(copy, residual, output, floats);
            } else {
                let first = row * self.windows.stride[0] * self.row_len();
                work(&image[first..], residual, output, floats);
            }
        });
    }

    /// Copies what the windows of some rows of the output read, as uint8, padding included.
    fn copy(&self, image: &[u8], rows: Range<usize>, copy: &mut [u8]) {
        let Windows { input, stride, before, .. } = self.windows;
        let (channels, affine) = (self.weights.channels, self.weights.input);
        let (zero, flip) = (affine.zero_as_u8(), affine.flip());
        let (row_len, left) = (self.row_len(), before[1].min(self.padded_width()));
        let inside = input[1].min(self.padded_width() - left);
        let first = rows.start * stride[0];
        let (height, rest) = (self.windows.reach(0, rows.len()), GROUP - 1);
        let (copied, after) = copy[..height * row_len + rest].split_at_mut(height * row_len);
        after.fill(0);
        for (y, to) in copied.chunks_exact_mut(row_len.max(1)).enumerate() {
            let row = (first + y).checked_sub(before[0]).filter(|&row| row < input[0]);
            let Some(row) = row else {
                to.fill(zero);
                continue;
            };
            let from = &image[row * input[1] * channels..][..inside * channels];
            let (head, tail) = to.split_at_mut(left * channels);
            let (middle, tail) = tail.split_at_mut(from.len());
            head.fill(zero);
            tail.fill(zero);
            if flip == 0 {
                middle.copy_from_slice(from);
            } else {
                middle.iter_mut().zip(from).for_each(|(to, from)| *to = from ^ flip);
            }
        }
    }
}

dispatch_dot! {
    fn products(conv: &QuantizedConv, input: &[u8], residual: &[f32], output: &mut Output<'_>) => products_kernel
}

/// One panel of columns, over the pixels of a block.
#[derive(Clone, Copy)]
struct Panel<'a> {
    conv: &'a QuantizedConv,
    input: &'a [u8],
    /// From a window to the next, along a row and to the next row.
    steps: [usize; 2],
    pixels: usize,
    weights: &'a [WeightLine],
    /// The panel's first line, and how many it has.
    first: usize,
    lines: usize,
    residual: &'a [f32],
}

#[inline(always)]
fn products_kernel<D: Dot, const M: usize>(
    zero: D,
    conv: &QuantizedConv,
    input: &[u8],
    residual: &[f32],
    output: &mut Output<'_>,
) {
    let weights = &*conv.weights;
    let [down, right] = conv.windows.stride;
    let len = match output {
        Output::Integers(output) => output.len(),
        Output::Floats(output) => output.len(),
    };
    let groups = weights.runs * weights.groups();
    for first in (0..weights.starts.len()).step_by(LINES) {
        let lines = LINES.min(weights.starts.len() - first);
        let panel = Panel {
            conv,
            input,
            steps: [right * weights.channels, down * conv.row_len()],
            pixels: len / weights.outputs,
            weights: &weights.lines[first * groups..][..lines * groups],
            first,
            lines,
            residual,
        };
        match (M, lines) {
            (12, 4) => all_pixels::<D, 6, 4>(zero, panel, 0, output),
            (12, 3) => all_pixels::<D, 6, 3>(zero, panel, 0, output),
            (12, 2) => all_pixels::<D, 12, 2>(zero, panel, 0, output),
            (12, 1) => all_pixels::<D, 12, 1>(zero, panel, 0, output),
            _ => {
                for line in 0..lines {
                    all_pixels::<D, M, 1>(zero, panel, line, output);
                }
            }
        }
    }
}

/// Tiles of M pixels by N lines from `line`; fewer pixels for those that remain.
#[inline(always)]
fn all_pixels<D: Dot, const M: usize, const N: usize>(zero: D, panel: Panel<'_>, line: usize, output: &mut Output<'_>) {
    let mut pixel = 0;
    while panel.pixels - pixel >= M {
        tile::<D, M, N>(zero, panel, pixel, line, output);
        pixel += M;
    }
    if M > 8 && panel.pixels - pixel >= 8 {
        tile::<D, 8, N>(zero, panel, pixel, line, output);
        pixel += 8;
    }
    if M > 4 && panel.pixels - pixel >= 4 {
        tile::<D, 4, N>(zero, panel, pixel, line, output);
        pixel += 4;
    }
    while M > 2 && panel.pixels - pixel >= 2 {
        tile::<D, 2, N>(zero, panel, pixel, line, output);
        pixel += 2;
    }
    if panel.pixels > pixel {
        tile::<D, 1, N>(zero, panel, pixel, line, output);
    }
}

/// Arrays are filled and read by index: what iterators or closures borrow is kept in memory instead of registers.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
fn tile<D: Dot, const M: usize, const N: usize>(
    zero: D,
    panel: Panel<'_>,
    pixel: usize,
    line: usize,
    output: &mut Output<'_>,
) {
    let weights = &*panel.conv.weights;
    let groups = weights.groups();
    let mut sums = [[zero; N]; M];
    let Some(starts) = weights.starts[panel.first + line..].first_chunk::<N>() else { return };
    for n in 0..N {
        let start = zero.load(&starts[n]);
        for m in 0..M {
            sums[m][n] = start;
        }
    }
    let windows = starts_of::<M>(panel, pixel);
    let mut lines = &panel.weights[line..];
    for &run in &panel.conv.runs {
        let mut rows: [&[[u8; GROUP]]; M] = [&[]; M];
        for m in 0..M {
            rows[m] = &panel.input[windows[m] + run..].as_chunks::<GROUP>().0[..groups];
        }
        for group in 0..groups {
            let Some(line) = lines.first_chunk::<N>() else { return };
            let mut loaded = [zero.weights(&line[0]); N];
            for n in 1..N {
                loaded[n] = zero.weights(&line[n]);
            }
            for m in 0..M {
                let inputs = zero.inputs(rows[m][group]);
                for n in 0..N {
                    sums[m][n] = sums[m][n].dot(inputs, loaded[n]);
                }
            }
            lines = lines.get(panel.lines..).unwrap_or_default();
        }
    }
    // Stored by a loop that is unrolled: with sums that a loop's counter indexes, all would be in memory from the start.
    let mut stored = [[[0; LANES]; N]; M];
    for m in 0..M {
        for n in 0..N {
            sums[m][n].store(&mut stored[m][n]);
        }
    }
    put(panel, pixel, panel.first + line, &stored, output);
}

/// First bytes of the windows of M pixels.
#[inline(always)]
fn starts_of<const M: usize>(panel: Panel<'_>, pixel: usize) -> [usize; M] {
    let width = panel.conv.windows.output[1];
    let (mut y, mut x) = (pixel / width, pixel % width);
    let mut starts = [0; M];
    for start in &mut starts {
        *start = x * panel.steps[0] + y * panel.steps[1];
        x += 1;
        if x == width {
            (y, x) = (y + 1, 0);
        }
    }
    starts
}

/// Stores the sums of a tile, from a line of columns on.
#[inline(always)]
fn put<const M: usize, const N: usize>(
    panel: Panel<'_>,
    pixel: usize,
    line: usize,
    sums: &[[[i32; LANES]; N]; M],
    output: &mut Output<'_>,
) {
    let (outputs, requantization) = (panel.conv.weights.outputs, &panel.conv.requantization);
    let range = pixel * outputs..(pixel + M) * outputs;
    for n in 0..N {
        let columns = (line + n) * LANES..outputs.min((line + n + 1) * LANES);
        match output {
            Output::Integers(output) => {
                let column = requantization.column(line + n);
                for (sums, row) in sums.iter().zip(output[range.clone()].chunks_exact_mut(outputs)) {
                    store(&column.integers(&sums[n]), &mut row[columns.clone()]);
                }
            }
            Output::Floats(output) => {
                let rows = output[range.clone()].chunks_exact_mut(outputs).enumerate();
                for (sums, (m, row)) in sums.iter().zip(rows) {
                    let first = (pixel + m) * outputs;
                    let residual = panel.residual.get(first + columns.start..first + columns.end).unwrap_or_default();
                    store(&requantization.floats(&sums[n], line + n, residual), &mut row[columns.clone()]);
                }
            }
        }
    }
}

/// Stores a line, or its first elements: in pieces, as a loop would become a call of `memcpy`.
#[inline(always)]
fn store<T: Copy>(line: &[T; LANES], to: &mut [T]) {
    if let Some(to) = to.first_chunk_mut::<LANES>() {
        *to = *line;
        return;
    }
    let mut at = 0;
    if let Some(to) = to.first_chunk_mut::<8>() {
        to.copy_from_slice(&line[..8]);
        at = 8;
    }
    if let Some(to) = to[at..].first_chunk_mut::<4>() {
        to.copy_from_slice(&line[at..at + 4]);
        at += 4;
    }
    for _ in 0..3 {
        if at < to.len() {
            to[at] = line[at];
            at += 1;
        }
    }
}
