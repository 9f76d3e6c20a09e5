//! The innermost loops: a tile of sums kept in registers.
//!
//! A tile is M vectors of [`LANES`] sums. With AVX2 M is 6: twelve of its sixteen registers hold sums,
//! two a row of the panel and one a factor.

use super::vector::{LANES, Line, Vector};

/// `Σᵣ Σₖ source[r · row + starts[m] + k] · panel[r · depth + k]` over runs r of `depth` elements k.
#[inline(always)]
pub(super) fn sum_runs<V: Vector, const M: usize>(
    zero: V,
    source: &[f32],
    starts: &[usize; M],
    row: usize,
    panel: &[Line],
    depth: usize,
) -> [Line; M] {
    let mut tile = [zero; M];
    for (run, panel) in panel.chunks_exact(depth).enumerate() {
        let source = &source[run * row..];
        let mut rows = [source; M];
        for m in 0..M {
            rows[m] = &source[starts[m]..][..depth];
        }
        for (k, line) in panel.iter().enumerate() {
            let line = zero.load(line);
            for m in 0..M {
                tile[m] = zero.splat(rows[m][k]).mul_add(line, tile[m]);
            }
        }
    }
    // By numbers, not by a variable: a tile that is indexed by one would be kept in memory throughout.
    let mut sums = [[0.0; LANES]; M];
    for m in 0..M {
        tile[m].store(&mut sums[m]);
    }
    sums
}

/// `sums[m] += Σᵣ Σₖ source[starts[r] + k · step + m] · panel[r · width + k]`, over `width` pixels of each row r.
#[inline(always)]
pub(super) fn add_columns<V: Vector, const M: usize>(
    zero: V,
    sums: &mut [Line; M],
    source: &[f32],
    starts: &[usize],
    step: usize,
    panel: &[Line],
    width: usize,
) {
    let mut tile = [zero; M];
    for m in 0..M {
        tile[m] = zero.load(&sums[m]);
    }
    for (&start, panel) in starts.iter().zip(panel.chunks_exact(width)) {
        let row = &source[start..start + (width - 1) * step + M];
        for (k, line) in panel.iter().enumerate() {
            let line = zero.load(line);
            let Some(column) = row[k * step..].first_chunk::<M>() else { break };
            for m in 0..M {
                tile[m] = zero.splat(column[m]).mul_add(line, tile[m]);
            }
        }
    }
    for m in 0..M {
        tile[m].store(&mut sums[m]);
    }
}

/// Writes the first sums, or adds them; all of them in the usual case.
#[inline(always)]
pub(super) fn put(sums: &Line, target: &mut [f32], accumulate: bool) {
    match (target.first_chunk_mut::<LANES>(), accumulate) {
        (Some(target), false) => *target = *sums,
        (Some(target), true) => {
            for (target, sum) in target.iter_mut().zip(sums) {
                *target += sum;
            }
        }
        (None, _) => {
            for (target, sum) in target.iter_mut().zip(sums) {
                *target = if accumulate { *target + sum } else { *sum };
            }
        }
    }
}
