//! Micro-kernels: rows of factors times lines of a block, summed in registers.

use super::{BLOCK, Lanes};
use crate::conv::vector::{LANES, Line, Vector, dispatch_vector};

/// Where sums are written: `width` elements of each row, at most [`BLOCK`]; the rows are `step` apart.
pub(super) struct Target<'a> {
    pub values: &'a mut [f32],
    pub step: usize,
    pub width: usize,
    /// Whether the sums are added to what is there.
    pub accumulate: bool,
}

dispatch_vector! {
    /// `target[m] = Σₖ rows[m · step + k] · lanes[k]` for `count` rows m.
    pub(super) fn multiply_rows(rows: &[f32], step: usize, count: usize, lanes: &[Lanes], target: Target<'_>) => rows_kernel
}
dispatch_vector! {
    /// `target[m] = Σₖ columns[k · step + m] · lanes[k]` for `count` columns m.
    pub(super) fn multiply_columns(columns: &[f32], step: usize, count: usize, lanes: &[Lanes], target: Target<'_>) => columns_kernel
}

/// The left operand: for each term of the sum, the factors of M rows of a tile.
trait Factors: Copy {
    /// From row `row`.
    fn tile<const M: usize>(self, row: usize, depth: usize) -> impl Fn(usize) -> [f32; M];
}

#[derive(Clone, Copy)]
struct Rows<'a>(&'a [f32], usize);

impl Factors for Rows<'_> {
    #[inline(always)]
    fn tile<const M: usize>(self, row: usize, depth: usize) -> impl Fn(usize) -> [f32; M] {
        let rows: [&[f32]; M] = std::array::from_fn(|m| &self.0[(row + m) * self.1..][..depth]);
        #[inline(always)]
        move |k| std::array::from_fn(|m| rows[m][k])
    }
}

#[derive(Clone, Copy)]
struct Columns<'a>(&'a [f32], usize);

impl Factors for Columns<'_> {
    #[inline(always)]
    fn tile<const M: usize>(self, row: usize, _: usize) -> impl Fn(usize) -> [f32; M] {
        let columns = &self.0[row..];
        #[inline(always)]
        move |k| *columns[k * self.1..].first_chunk::<M>().unwrap_or(&[f32::NAN; M])
    }
}

#[inline(always)]
fn rows_kernel<V: Vector, const M: usize>(
    zero: V,
    rows: &[f32],
    step: usize,
    count: usize,
    lanes: &[Lanes],
    mut target: Target<'_>,
) {
    multiply::<V, M>(zero, Rows(rows, step), count, lanes, &mut target);
}

#[inline(always)]
fn columns_kernel<V: Vector, const M: usize>(
    zero: V,
    columns: &[f32],
    step: usize,
    count: usize,
    lanes: &[Lanes],
    mut target: Target<'_>,
) {
    multiply::<V, M>(zero, Columns(columns, step), count, lanes, &mut target);
}

/// With registers for twelve lines, a tile is six rows of up to four lines; it reads the least of both operands.
#[inline(always)]
fn multiply<V: Vector, const M: usize>(
    zero: V,
    factors: impl Factors,
    count: usize,
    lanes: &[Lanes],
    target: &mut Target<'_>,
) {
    let lines = target.width.div_ceil(LANES);
    if M == 12 {
        match lines {
            4 => all_rows::<V, 6, 4>(zero, factors, count, lanes, 0, target),
            3 => all_rows::<V, 6, 3>(zero, factors, count, lanes, 0, target),
            2 => all_rows::<V, 6, 2>(zero, factors, count, lanes, 0, target),
            _ => all_rows::<V, 6, 1>(zero, factors, count, lanes, 0, target),
        }
    } else {
        (0..lines).for_each(|line| all_rows::<V, M, 1>(zero, factors, count, lanes, line, target));
    }
}

/// Tiles of M rows by N lines from `line`; fewer rows for those that remain.
#[inline(always)]
fn all_rows<V: Vector, const M: usize, const N: usize>(
    zero: V,
    factors: impl Factors,
    count: usize,
    lanes: &[Lanes],
    line: usize,
    target: &mut Target<'_>,
) {
    let mut row = 0;
    while count - row >= M {
        tile::<V, M, N>(zero, factors, row, lanes, line, target);
        row += M;
    }
    if count - row >= 4 {
        tile::<V, 4, N>(zero, factors, row, lanes, line, target);
        row += 4;
    }
    if count - row >= 2 {
        tile::<V, 2, N>(zero, factors, row, lanes, line, target);
        row += 2;
    }
    if count > row {
        tile::<V, 1, N>(zero, factors, row, lanes, line, target);
    }
}

#[inline(always)]
fn tile<V: Vector, const M: usize, const N: usize>(
    zero: V,
    factors: impl Factors,
    row: usize,
    lanes: &[Lanes],
    line: usize,
    target: &mut Target<'_>,
) {
    let mut sums = [[zero; N]; M];
    if target.accumulate {
        for (m, sums) in sums.iter_mut().enumerate() {
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = zero.load(&target.line(row + m, line + n));
            }
        }
    }
    let factors = factors.tile::<M>(row, lanes.len());
    let first = line * LANES;
    for (k, lanes) in lanes.iter().enumerate() {
        let factors = factors(k);
        let mut lines = [zero; N];
        for n in 0..N {
            let Some(line) = lanes[first + n * LANES..].first_chunk::<LANES>() else { return };
            lines[n] = zero.load(line);
        }
        for m in 0..M {
            let factor = zero.splat(factors[m]);
            for n in 0..N {
                sums[m][n] = factor.mul_add(lines[n], sums[m][n]);
            }
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            target.put(row + m, line + n, *sum);
        }
    }
}

impl Target<'_> {
    #[inline(always)]
    fn range(&self, row: usize, line: usize) -> std::ops::Range<usize> {
        let start = row * self.step + line * LANES;
        start..start + LANES.min(self.width - line * LANES)
    }

    /// A line of a row, zeros beyond the width.
    #[inline(always)]
    fn line(&self, row: usize, line: usize) -> Line {
        let values = &self.values[self.range(row, line)];
        values.first_chunk::<LANES>().copied().unwrap_or_else(|| {
            let mut padded = [0.0; LANES];
            padded[..values.len()].copy_from_slice(values);
            padded
        })
    }

    #[inline(always)]
    fn put<V: Vector>(&mut self, row: usize, line: usize, sums: V) {
        let range = self.range(row, line);
        let values = &mut self.values[range];
        match values.first_chunk_mut::<LANES>() {
            Some(values) => sums.store(values),
            None => {
                let mut padded = [0.0; LANES];
                sums.store(&mut padded);
                values.copy_from_slice(&padded[..values.len()]);
            }
        }
    }
}

const _: () = assert!(BLOCK == 4 * LANES, "a tile has at most four lines");
