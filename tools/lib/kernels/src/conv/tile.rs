//! Micro-kernels: a tile of sums kept in registers.
//!
//! A tile is M vectors of [`LANES`] sums. With AVX2 M is 6: twelve of its sixteen registers hold sums,
//! two a row of the panel and one a broadcast source element.

use crate::{
    epilogue::Store,
    vector::{LANES, Line, Vector},
};

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
    // Unrolled: a tile indexed by a variable would be kept in memory.
    let mut sums = [[0.0; LANES]; M];
    for m in 0..M {
        tile[m].store(&mut sums[m]);
    }
    sums
}

/// Where [`add_columns`] reads: `source[starts[r] + k · step + m]` for `width` pixels k of each row r.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub source: &'a [f32],
    pub starts: &'a [usize],
    pub step: usize,
    pub width: usize,
}

/// `sums[m] += Σᵣ Σₖ source[starts[r] + k · step + m] · panel[r · width + k]` for all m, M at a time.
#[inline(always)]
pub(super) fn add_columns<V: Vector, const M: usize>(zero: V, sums: &mut [Line], columns: Columns<'_>, panel: &[Line]) {
    let mut at = 0;
    at = add_tiles::<V, M>(zero, sums, at, columns, panel);
    if M > 8 {
        at = add_tiles::<V, 8>(zero, sums, at, columns, panel);
    }
    at = add_tiles::<V, 4>(zero, sums, at, columns, panel);
    at = add_tiles::<V, 3>(zero, sums, at, columns, panel);
    at = add_tiles::<V, 2>(zero, sums, at, columns, panel);
    add_tiles::<V, 1>(zero, sums, at, columns, panel);
}

/// Adds to whole tiles of M sums from `at`; returns the first that is left.
#[inline(always)]
fn add_tiles<V: Vector, const M: usize>(
    zero: V,
    sums: &mut [Line],
    at: usize,
    columns: Columns<'_>,
    panel: &[Line],
) -> usize {
    let mut at = at;
    for sums in sums[at..].as_chunks_mut::<M>().0 {
        let source = &columns.source[at..];
        add_tile(zero, sums, Columns { source, ..columns }, panel);
        at += M;
    }
    at
}

#[inline(always)]
fn add_tile<V: Vector, const M: usize>(zero: V, sums: &mut [Line; M], columns: Columns<'_>, panel: &[Line]) {
    let Columns { source, starts, step, width } = columns;
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

/// Stores the first `target.len()` sums, usually all, of the line from `channel`; `residual` is empty, or begins with that of the line.
#[inline(always)]
pub(super) fn put<V: Vector>(
    zero: V,
    sums: &Line,
    target: &mut [f32],
    residual: &[f32],
    channel: usize,
    store: &Store<'_>,
) {
    let sums = zero.load(sums);
    match target.first_chunk_mut::<LANES>() {
        Some(target) => {
            let residual = || residual.first_chunk::<LANES>().map_or(zero, |line| zero.load(line));
            let old = zero.load(target);
            store.value(zero, sums, || old, residual, channel).store(target);
        }
        None => {
            let old = zero.load_first(target);
            let residual = || zero.load_first(&residual[..residual.len().min(target.len())]);
            store.value(zero, sums, || old, residual, channel).store_first(target);
        }
    }
}
