//! The innermost loops: a tile of sums kept in registers.
//!
//! A tile is M × [`LANES`] sums. M is 6 with AVX2: twelve of its sixteen registers hold sums, two a row
//! of the panel and one a factor. The loops are plain; the compiler turns them into a broadcast and
//! fused multiplications.

/// Columns of a tile: target channels that are computed together.
pub(super) const LANES: usize = 16;

/// One row of a tile or of a panel.
pub(super) type Line = [f32; LANES];

/// a · b + c, in one rounding where the instruction set has an instruction for it.
#[inline(always)]
pub(super) fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `sums[m] += Σₖ source[starts[m] + k] · panel[k]`
#[inline(always)]
pub(super) fn add_rows<const FUSED: bool, const M: usize>(
    sums: &mut [Line; M],
    source: &[f32],
    starts: &[usize; M],
    panel: &[Line],
) {
    // A local copy: sums behind a reference would be stored in each iteration.
    let mut tile = *sums;
    let mut rows = [source; M];
    for (row, &start) in rows.iter_mut().zip(starts) {
        *row = &source[start..start + panel.len()];
    }
    for (k, line) in panel.iter().enumerate() {
        for (sums, row) in tile.iter_mut().zip(&rows) {
            for (sum, &w) in sums.iter_mut().zip(line) {
                *sum = fma::<FUSED>(row[k], w, *sum);
            }
        }
    }
    *sums = tile;
}

/// `sums[m] += Σᵣ Σₖ source[starts[r] + k · step + m] · panel[r · width + k]`, over `width` pixels of each row r.
#[inline(always)]
pub(super) fn add_columns<const FUSED: bool, const M: usize>(
    sums: &mut [Line; M],
    source: &[f32],
    starts: &[usize],
    step: usize,
    panel: &[Line],
    width: usize,
) {
    let mut tile = *sums;
    for (&start, panel) in starts.iter().zip(panel.chunks_exact(width)) {
        let row = &source[start..start + (width - 1) * step + M];
        for (k, line) in panel.iter().enumerate() {
            let column = &row[k * step..k * step + M];
            for (sums, &x) in tile.iter_mut().zip(column) {
                for (sum, &w) in sums.iter_mut().zip(line) {
                    *sum = fma::<FUSED>(x, w, *sum);
                }
            }
        }
    }
    *sums = tile;
}
