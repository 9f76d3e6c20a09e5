//! Micro-kernels: a tile of the product in registers.
//!
//! A tile has M rows by N lines of [`LANES`] columns. For each k it loads N lines of the right operand, broadcasts M elements
//! of the left, and accumulates by fused multiply-add. An element of the product is one lane of one accumulator: its terms
//! are added in the order of k, whatever the tile's size and the width of a register.

#![allow(unsafe_code, reason = "the loop of a product checks its bounds once")]

use crate::vector::{LANES, Line, Vector, dispatch_vector};

/// Columns of a panel: the lines of the widest tile.
pub(crate) const PANEL: usize = 4 * LANES;

/// The right operand, in lines of [`LANES`] columns.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub values: &'a [f32],
    /// Elements from one row to the next.
    pub step: usize,
    /// Elements from one line of a row to the next.
    pub line_step: usize,
}

impl<'a> Panel<'a> {
    /// Contiguous rows of [`PANEL`] columns.
    pub fn of_rows(rows: &'a [[f32; PANEL]]) -> Self {
        Self { values: rows.as_flattened(), step: PANEL, line_step: LANES }
    }
}

/// Where the product is written: `width` elements of each row, at most [`PANEL`]; the rows are `step` apart.
pub(crate) struct Target<'a> {
    pub values: &'a mut [f32],
    pub step: usize,
    pub width: usize,
    /// Whether accumulation starts from the target's elements instead of zeros.
    pub accumulate: bool,
}

dispatch_vector! {
    /// `target[m] = Σₖ rows[m · step + k] · panel[k]` for `count` rows m and `depth` terms k.
    pub(crate) fn multiply_rows(rows: &[f32], step: usize, count: usize, depth: usize, panel: Panel<'_>, target: Target<'_>) => rows_kernel
}
dispatch_vector! {
    /// `target[m] = Σₖ columns[k · step + m] · panel[k]` for `count` columns m and `depth` terms k.
    pub(crate) fn multiply_columns(columns: &[f32], step: usize, count: usize, depth: usize, panel: Panel<'_>, target: Target<'_>) => columns_kernel
}

/// The left operand: element k of row m, or of column m with COLUMNS, whose rows or columns are `step` apart.
#[derive(Clone, Copy)]
struct Left<'a, const COLUMNS: bool> {
    values: &'a [f32],
    step: usize,
}

#[inline(always)]
fn rows_kernel<V: Vector, const M: usize>(
    zero: V,
    rows: &[f32],
    step: usize,
    count: usize,
    depth: usize,
    panel: Panel<'_>,
    mut target: Target<'_>,
) {
    let left = Left::<false> { values: rows, step };
    let width = target.width;
    each_tile::<V, M>(zero, count, width, &mut Product { left, depth, panel, target: &mut target });
}

#[inline(always)]
fn columns_kernel<V: Vector, const M: usize>(
    zero: V,
    columns: &[f32],
    step: usize,
    count: usize,
    depth: usize,
    panel: Panel<'_>,
    mut target: Target<'_>,
) {
    let left = Left::<true> { values: columns, step };
    let width = target.width;
    each_tile::<V, M>(zero, count, width, &mut Product { left, depth, panel, target: &mut target });
}

/// A product that is computed tile by tile: where its operands and its sums are.
pub(crate) trait Tiles<V: Vector> {
    /// Computes the sums of M rows from `row` by N lines from `line`. With PART the line, which is the last, is not whole.
    fn tile<const M: usize, const N: usize, const PART: bool>(&mut self, zero: V, row: usize, line: usize);
}

/// Computes `rows` rows of `width` columns. With registers for 24 lines (AVX-512), a tile is six rows of up to four lines: it reads
/// the least of both operands. A line that is not whole has tiles of its own.
#[inline(always)]
pub(crate) fn each_tile<V: Vector, const M: usize>(zero: V, rows: usize, width: usize, product: &mut impl Tiles<V>) {
    let lines = width / LANES;
    let mut line = 0;
    if M == 12 {
        while lines - line >= 4 {
            each_row::<V, 6, 4, false>(zero, rows, line, product);
            line += 4;
        }
        match lines - line {
            3 => each_row::<V, 6, 3, false>(zero, rows, line, product),
            2 => each_row::<V, 8, 2, false>(zero, rows, line, product),
            1 => each_row::<V, 8, 1, false>(zero, rows, line, product),
            _ => {}
        }
        if !width.is_multiple_of(LANES) {
            each_row::<V, 8, 1, true>(zero, rows, lines, product);
        }
    } else {
        while line < lines {
            each_row::<V, M, 1, false>(zero, rows, line, product);
            line += 1;
        }
        if !width.is_multiple_of(LANES) {
            each_row::<V, M, 1, true>(zero, rows, lines, product);
        }
    }
}

/// Tiles of M rows by N lines from `line`; fewer rows for those that remain.
#[inline(always)]
fn each_row<V: Vector, const M: usize, const N: usize, const PART: bool>(
    zero: V,
    rows: usize,
    line: usize,
    product: &mut impl Tiles<V>,
) {
    let mut row = 0;
    while rows - row >= M {
        product.tile::<M, N, PART>(zero, row, line);
        row += M;
    }
    if rows - row >= 4 {
        product.tile::<4, N, PART>(zero, row, line);
        row += 4;
    }
    if rows - row >= 2 {
        product.tile::<2, N, PART>(zero, row, line);
        row += 2;
    }
    if rows > row {
        product.tile::<1, N, PART>(zero, row, line);
    }
}

/// A product of a left operand and a panel.
struct Product<'a, 't, const COLUMNS: bool> {
    left: Left<'a, COLUMNS>,
    depth: usize,
    panel: Panel<'a>,
    target: &'a mut Target<'t>,
}

impl<V: Vector, const COLUMNS: bool> Tiles<V> for Product<'_, '_, COLUMNS> {
    /// Arrays are filled and read by index: what iterators or closures borrow is kept in memory instead of registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
    fn tile<const M: usize, const N: usize, const PART: bool>(&mut self, zero: V, row: usize, line: usize) {
        let Self { left: Left { values, step }, depth, panel, ref mut target } = *self;
        let mut sums = [[zero; N]; M];
        if target.accumulate {
            for m in 0..M {
                for n in 0..N {
                    sums[m][n] = target.get::<V, PART>(zero, row + m, line + n);
                }
            }
        }
        let lines = (&panel.values[line * panel.line_step..], [panel.step, panel.line_step]);
        let left = if COLUMNS { (&values[row..], [1, step]) } else { (&values[row * step..], [step, 1]) };
        sums = add_products(zero, sums, left, lines, depth);
        for m in 0..M {
            for n in 0..N {
                target.put::<V, PART>(row + m, line + n, sums[m][n]);
            }
        }
    }
}

/// `sums[m][n] + Σₖ left[m · steps[0] + k · steps[1]] · line n of row k` for `depth` terms k in ascending order; rows and lines of the
/// right operand start `steps` apart.
///
/// # Panics
/// If an operand ends before its last element.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
pub(crate) fn add_products<V: Vector, const M: usize, const N: usize>(
    zero: V,
    mut sums: [[V; N]; M],
    (left, [row_step, term_step]): (&[f32], [usize; 2]),
    (right, [step, line_step]): (&[f32], [usize; 2]),
    depth: usize,
) -> [[V; N]; M] {
    let Some(last) = depth.checked_sub(1) else { return sums };
    // One check of each operand in place of one of each element: those would take registers from the tile, a quarter of its speed.
    let left = &left[..(M - 1) * row_step + last * term_step + 1];
    let right = &right[..last * step + (N - 1) * line_step + LANES];
    for k in 0..depth {
        let mut lines = [zero; N];
        for n in 0..N {
            // SAFETY: with k ≤ last and n < N the line ends where `right` does, or before.
            lines[n] = zero.load(unsafe { &*right.as_ptr().add(k * step + n * line_step).cast::<Line>() });
        }
        for m in 0..M {
            // SAFETY: with m < M and k ≤ last the element is the last of `left`, or before it.
            let factor = zero.splat(unsafe { *left.as_ptr().add(m * row_step + k * term_step) });
            for n in 0..N {
                sums[m][n] = factor.mul_add(lines[n], sums[m][n]);
            }
        }
    }
    sums
}

/// Loads a line; with PART its first `part` elements, and zeros.
#[inline(always)]
pub(crate) fn read<V: Vector, const PART: bool>(zero: V, values: &[f32], part: usize) -> V {
    if PART {
        return zero.load_first(&values[..part]);
    }
    values.first_chunk::<LANES>().map_or(zero, |line| zero.load(line))
}

/// Stores a line; with PART its first `part` elements.
#[inline(always)]
pub(crate) fn write<V: Vector, const PART: bool>(sums: V, values: &mut [f32], part: usize) {
    if PART {
        sums.store_first(&mut values[..part]);
    } else if let Some(line) = values.first_chunk_mut::<LANES>() {
        sums.store(line);
    }
}

impl Target<'_> {
    /// A line of a row; with PART, zeros beyond the width.
    #[inline(always)]
    fn get<V: Vector, const PART: bool>(&self, zero: V, row: usize, line: usize) -> V {
        read::<V, PART>(zero, &self.values[row * self.step + line * LANES..], self.width % LANES)
    }

    #[inline(always)]
    fn put<V: Vector, const PART: bool>(&mut self, row: usize, line: usize, sums: V) {
        write::<V, PART>(sums, &mut self.values[row * self.step + line * LANES..], self.width % LANES);
    }
}
