//! Calls of the network's kernels: arguments in the order of their text, and grids.
//!
//! # Safety
//! Of each call: addresses are of arrays of the shapes and types that it is given, in buffers of the GPU's which live until its
//! stream is done with them, aligned to 16 bytes; what is written overlaps nothing else, unless the call says so.

#![allow(unsafe_code, reason = "calls of kernels, whose callers say why the memory is right")]

use crate::{Argument, Element, Gpu, Result, source};
use cuda::source::Grid;

/// Threads of a block of norm.cu's kernels.
const THREADS: usize = 256;
/// Most vectors of channels of such a block.
const COLUMNS: usize = 32;
/// Blocks that partial sums over rows are divided into, at most: 8 for each multiprocessor of an H100. The same on each GPU, so
/// that sums are.
const BLOCKS: usize = 1056;
/// Fewest rows of a thread: what it loads of its channels is worth so many.
const ROWS: usize = 8;
/// As norm.cu: channels of a block that adds partial sums, and threads for each.
const FINAL_COLUMNS: usize = 8;
const FINAL_LANES: usize = 32;

/// `[rows, channels]` of a type in the GPU's memory, where rows are all positions of all images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Positions of all images.
    pub rows: usize,
    /// Channels, or features.
    pub channels: usize,
    /// Of the elements.
    pub element: Element,
}

impl Shape {
    /// Elements.
    pub fn count(self) -> usize {
        self.rows * self.channels
    }

    /// The grid of an elementwise kernel.
    fn grid(self) -> Grid {
        source::grid(self.count(), 16 / self.element.size())
    }

    fn name(self, kernel: &str) -> String {
        format!("{kernel}_{}", self.element.suffix())
    }
}

/// How rows and channels are divided, as norm.cu has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Blocks of rows.
    pub blocks: usize,
    /// Rows of each, but for the last.
    pub rows_per_block: usize,
    columns: usize,
    grid: Grid,
}

impl Tiling {
    /// For partial sums: blocks of rows are few.
    pub fn of_sums(shape: Shape) -> Self {
        Self::new(shape, BLOCKS, 2)
    }

    /// For results of each row.
    fn of_rows(shape: Shape) -> Self {
        Self::new(shape, usize::MAX, 0)
    }

    /// At most `blocks` blocks, of `arrays` shared arrays of `f32` for each vector.
    fn new(shape: Shape, blocks: usize, arrays: usize) -> Self {
        let per_line = 16 / shape.element.size();
        let vector = if shape.channels.is_multiple_of(per_line) { per_line } else { 1 };
        let vectors = shape.channels / vector;
        let columns = vectors.next_power_of_two().min(COLUMNS);
        let slices = vectors.div_ceil(columns);
        let fewest = ROWS * THREADS / columns;
        let rows_per_block = shape.rows.div_ceil(blocks.div_ceil(slices)).max(fewest);
        let blocks = shape.rows.div_ceil(rows_per_block);
        let shared = THREADS * arrays * vector * size_of::<f32>();
        Self { blocks, rows_per_block, columns, grid: Grid::new(slices * blocks, THREADS, shared) }
    }

    /// The most numbers that two partial sums of so many channels are, whatever the rows.
    pub fn capacity(channels: usize) -> usize {
        // With vectors of 8 there are the fewest slices.
        2 * channels * BLOCKS.div_ceil(channels.div_ceil(8 * COLUMNS))
    }

    fn arguments(self, shape: Shape) -> [Argument; 4] {
        let (rows, rows_per_block) = (shape.rows as u64, self.rows_per_block as u64);
        [rows.into(), rows_per_block.into(), u32_of(shape.channels).into(), u32_of(self.columns).into()]
    }
}

/// The grid of a kernel that adds partial sums.
fn final_grid(channels: usize) -> Grid {
    let threads = FINAL_COLUMNS * FINAL_LANES;
    Grid::new(channels.div_ceil(FINAL_COLUMNS), threads, (threads + FINAL_COLUMNS) * size_of::<f64>())
}

/// The arrays of a norm; addresses.
#[derive(Debug, Clone, Copy)]
pub struct NormArrays {
    /// The input.
    pub x: u64,
    /// What is added before the activation; 0 is none.
    pub residual: u64,
    /// `[2, channels]`: mean, and 1 / √(variance + eps).
    pub statistics: u64,
    /// γ
    pub scale: u64,
    /// β
    pub shift: u64,
}

/// Starts a kernel.
macro_rules! launch {
    ($gpu:expr, $name:expr, $grid:expr, $($argument:expr),*) => {
        // SAFETY: the memory is as the caller says; arguments and grid are those of the text.
        unsafe { $gpu.launch(&$name, $grid, &[$(Argument::from($argument)),*]) }
    };
}

fn u32_of(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// `to[i] = from[i]`, rounded to the nearest.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn convert(gpu: &Gpu, from: (Element, u64), to: (Element, u64), count: usize) -> Result<()> {
    let name = format!("convert_{}_{}", from.0.suffix(), to.0.suffix());
    launch!(gpu, name, source::grid(count, 8), from.1, count as u64, to.1)
}

/// `to[n][j][i] = from[n][i][j]`, or adds; `from` is `[batch, rows, columns]`.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn transpose(
    gpu: &Gpu,
    from: (Element, u64),
    to: (Element, u64),
    [batch, rows, columns]: [usize; 3],
    accumulate: bool,
) -> Result<()> {
    let name = format!("transpose_{}_{}", from.0.suffix(), to.0.suffix());
    let grid = source::grid(batch * rows * columns, 1);
    launch!(gpu, name, grid, from.1, batch as u64, u32_of(rows), u32_of(columns), u32::from(accumulate), to.1)
}

/// Weights `[outputs, inputs, area]` among the parameters to packed ones, `[outputs, area, inputs]`.
/// `segments` are an address and a number.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn pack(gpu: &Gpu, element: Element, parameters: u64, segments: (u64, usize), packed: u64) -> Result<()> {
    let grid = Grid::new(segments.1, source::THREADS, 0);
    launch!(gpu, format!("pack_{}", element.suffix()), grid, parameters, segments.0, packed)
}

/// The reverse of [`pack`].
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn unpack(gpu: &Gpu, element: Element, packed: u64, segments: (u64, usize), parameters: u64) -> Result<()> {
    let grid = Grid::new(segments.1, source::THREADS, 0);
    launch!(gpu, format!("unpack_{}", element.suffix()), grid, packed, segments.0, parameters)
}

/// `y = activation(x)`, by its number in activation.cu.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn activation(gpu: &Gpu, shape: Shape, x: u64, activation: u32, y: u64) -> Result<()> {
    launch!(gpu, shape.name("activation_forward"), shape.grid(), x, shape.count() as u64, activation, y)
}

/// `grad_x = grad_y · activation′(x)`, or adds.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn activation_backward(
    gpu: &Gpu,
    shape: Shape,
    (x, grad_y, grad_x): (u64, u64, u64),
    activation: u32,
    accumulate: bool,
) -> Result<()> {
    let name = shape.name("activation_backward");
    launch!(gpu, name, shape.grid(), x, grad_y, shape.count() as u64, activation, u32::from(accumulate), grad_x)
}

/// `y = factor · x`, or adds.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn scale(gpu: &Gpu, shape: Shape, x: u64, factor: f32, accumulate: bool, y: u64) -> Result<()> {
    launch!(gpu, shape.name("scale"), shape.grid(), x, shape.count() as u64, factor, u32::from(accumulate), y)
}

/// `y = a + b`
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn add(gpu: &Gpu, shape: Shape, a: u64, b: u64, y: u64) -> Result<()> {
    launch!(gpu, shape.name("add"), shape.grid(), a, b, shape.count() as u64, y)
}

/// `y + bias`, for each channel, in place.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn add_bias(gpu: &Gpu, shape: Shape, y: u64, bias: u64) -> Result<()> {
    let tiling = Tiling::of_rows(shape);
    let [rows, rows_per_block, channels, columns] = tiling.arguments(shape);
    launch!(gpu, shape.name("add_bias"), tiling.grid, y, rows, rows_per_block, channels, columns, bias)
}

/// `input` is `[channels, height, width]` of `rows` images.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn pool(
    gpu: &Gpu,
    kind: (bool, Element),
    (rows, input, size): (usize, [usize; 3], [usize; 2]),
    x: u64,
    y: u64,
) -> Result<()> {
    let [channels, height, width] = input.map(u32_of);
    let name = format!("{}_{}", pool_name(kind.0), kind.1.suffix());
    let [tall, wide] = size.map(u32_of);
    launch!(gpu, name, pool_grid(kind.1, rows, input, size), x, rows as u64, height, width, channels, tall, wide, y)
}

/// The gradient of [`pool`], or adds; elements that no window has are not written. `x` is read for a maximum only.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn pool_backward(
    gpu: &Gpu,
    kind: (bool, Element),
    (rows, input, size): (usize, [usize; 3], [usize; 2]),
    (x, grad_y, grad_x): (u64, u64, u64),
    accumulate: bool,
) -> Result<()> {
    let [channels, height, width] = input.map(u32_of);
    let name = format!("{}_backward_{}", pool_name(kind.0), kind.1.suffix());
    let grid = pool_grid(kind.1, rows, input, size);
    let ([tall, wide], accumulate) = (size.map(u32_of), u32::from(accumulate));
    launch!(gpu, name, grid, x, grad_y, rows as u64, height, width, channels, tall, wide, accumulate, grad_x)
}

fn pool_name(max: bool) -> &'static str {
    if max { "max_pool" } else { "average_pool" }
}

fn pool_grid(element: Element, rows: usize, [channels, height, width]: [usize; 3], size: [usize; 2]) -> Grid {
    let per_line = 16 / element.size();
    let vector = if channels.is_multiple_of(per_line) { per_line } else { 1 };
    source::grid(rows * (height / size[0]) * (width / size[1]) * (channels / vector), 1)
}

/// Batch statistics `[2, channels]`, and the running ones updated.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn statistics(
    gpu: &Gpu,
    shape: Shape,
    (x, partials, statistics): (u64, u64, u64),
    (momentum, eps): (f32, f32),
    (running_mean, running_variance): (u64, u64),
) -> Result<()> {
    let tiling = Tiling::of_sums(shape);
    let [rows, rows_per_block, channels, columns] = tiling.arguments(shape);
    let name = shape.name("partial_statistics");
    launch!(gpu, name, tiling.grid, x, rows, rows_per_block, channels, columns, partials)?;
    let (grid, blocks) = (final_grid(shape.channels), u32_of(tiling.blocks));
    launch!(
        gpu,
        "norm_statistics",
        grid,
        partials,
        blocks,
        rows,
        channels,
        rows_per_block,
        eps,
        momentum,
        running_mean,
        running_variance,
        statistics
    )
}

/// The running statistics as `[2, channels]`.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn running_statistics(
    gpu: &Gpu,
    channels: usize,
    (mean, variance): (u64, u64),
    eps: f32,
    statistics: u64,
) -> Result<()> {
    launch!(gpu, "norm_running", source::grid(channels, 1), mean, variance, u32_of(channels), eps, statistics)
}

/// `y = activation(normalized(x) · scale + shift + residual)`
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn norm(gpu: &Gpu, shape: Shape, arrays: NormArrays, activation: u32, y: u64) -> Result<()> {
    let NormArrays { x, residual, statistics, scale, shift } = arrays;
    let tiling = Tiling::of_rows(shape);
    let [rows, rows_per_block, channels, columns] = tiling.arguments(shape);
    launch!(
        gpu,
        shape.name("norm_apply"),
        tiling.grid,
        x,
        residual,
        rows,
        rows_per_block,
        channels,
        columns,
        statistics,
        scale,
        shift,
        activation,
        y
    )
}

/// Sums `[2, channels]` of the gradient before the activation, and of its products with the normalized input; which are the
/// gradients of shift and scale. 0 is not written.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn norm_sums(
    gpu: &Gpu,
    shape: Shape,
    arrays: NormArrays,
    (grad_y, activation): (u64, u32),
    partials: u64,
    (sums, grad_scale, grad_shift): (u64, u64, u64),
) -> Result<()> {
    let NormArrays { x, residual, statistics, scale, shift } = arrays;
    let tiling = Tiling::of_sums(shape);
    let [rows, rows_per_block, channels, columns] = tiling.arguments(shape);
    launch!(
        gpu,
        shape.name("partial_gradients"),
        tiling.grid,
        x,
        residual,
        grad_y,
        rows,
        rows_per_block,
        channels,
        columns,
        statistics,
        scale,
        shift,
        activation,
        partials
    )?;
    let grid = final_grid(shape.channels);
    launch!(gpu, "norm_gradients", grid, partials, u32_of(tiling.blocks), channels, sums, grad_scale, grad_shift)
}

/// The sums of `grad_y` `[rows, channels]` over rows: a bias's gradient.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn bias_gradient(gpu: &Gpu, shape: Shape, grad_y: u64, partials: u64, grad_bias: u64) -> Result<()> {
    let none = NormArrays { x: 0, residual: 0, statistics: 0, scale: 0, shift: 0 };
    // SAFETY: as the caller says; without statistics only `grad_y` is read.
    unsafe { norm_sums(gpu, shape, none, (grad_y, 0), partials, (0, 0, grad_bias)) }
}

/// A gradient that a norm writes: its address, 0 for none, and whether it adds.
pub type Target = (u64, bool);

/// The gradients of [`norm`] with respect to `x` and `residual`, which may be the same.
///
/// # Errors
/// If the driver refuses.
///
/// # Safety
/// As the module says.
pub unsafe fn norm_backward(
    gpu: &Gpu,
    shape: Shape,
    arrays: NormArrays,
    (grad_y, sums, activation): (u64, u64, u32),
    (grad_x, grad_residual): (Target, Target),
) -> Result<()> {
    let NormArrays { x, residual, statistics, scale, shift } = arrays;
    let accumulate = u32::from(grad_x.1) | u32::from(grad_residual.1) << 1;
    let tiling = Tiling::of_rows(shape);
    let [rows, rows_per_block, channels, columns] = tiling.arguments(shape);
    launch!(
        gpu,
        shape.name("norm_backward"),
        tiling.grid,
        x,
        residual,
        grad_y,
        rows,
        rows_per_block,
        channels,
        columns,
        statistics,
        sums,
        scale,
        shift,
        activation,
        accumulate,
        grad_x.0,
        grad_residual.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_sums_fit_their_memory_and_cover_the_rows() {
        for element in [Element::F32, Element::Bf16] {
            for channels in [1, 3, 8, 10, 64, 255, 256, 257, 2048, 5000] {
                for rows in [1, 7, 31, 33, 1000, 1 << 20] {
                    let shape = Shape { rows, channels, element };
                    let sums = Tiling::of_sums(shape);
                    assert!(2 * channels * sums.blocks <= Tiling::capacity(channels), "{channels} {rows}");
                    for Tiling { blocks, rows_per_block, grid, .. } in [sums, Tiling::of_rows(shape)] {
                        assert!(blocks * rows_per_block >= rows && (blocks - 1) * rows_per_block < rows);
                        assert!(grid.shared_bytes <= 48 << 10);
                    }
                }
            }
        }
    }
}
