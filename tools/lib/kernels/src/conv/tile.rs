//! Micro-kernels: a tile of sums kept in registers.
//!
//! A tile is M by N vectors of [`LANES`] sums. With AVX2 it is 6 by 1: twelve of its sixteen registers hold sums, two a row of the panel
//! and one a broadcast source element. With AVX-512 up to four panels share a source element.

#![allow(unsafe_code, reason = "the loop of a sum checks its bounds once")]

use crate::{
    epilogue::Store,
    vector::{LANES, Line, Vector},
};

/// Of N panels, one after the other: `Σᵣ Σₖ source[r · row + starts[m] + k] · panel[r · depth + k]` over runs r of `depth` elements k.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
pub(super) fn sum_runs<V: Vector, const M: usize, const N: usize>(
    zero: V,
    source: &[f32],
    starts: &[usize; M],
    row: usize,
    panels: &[Line],
    depth: usize,
) -> [[Line; N]; M] {
    let mut tile = [[zero; N]; M];
    let panel_len = panels.len() / N;
    for (run, from) in (0..panel_len).step_by(depth).enumerate() {
        let source = &source[run * row..];
        // One check of each operand in place of one of each element: those would take registers from the tile.
        let mut rows = [source.as_ptr(); M];
        for m in 0..M {
            rows[m] = source[starts[m]..][..depth].as_ptr();
        }
        let lines = &panels[from..][..(N - 1) * panel_len + depth];
        for k in 0..depth {
            let mut loaded = [zero; N];
            for n in 0..N {
                // SAFETY: with n < N and k < depth the line is the last of `lines`, or before it.
                loaded[n] = zero.load(unsafe { &*lines.as_ptr().add(n * panel_len + k) });
            }
            for m in 0..M {
                // SAFETY: each of the rows has `depth` elements.
                let factor = zero.splat(unsafe { *rows[m].add(k) });
                for n in 0..N {
                    tile[m][n] = factor.mul_add(loaded[n], tile[m][n]);
                }
            }
        }
    }
    // Unrolled: a tile indexed by a variable would be kept in memory.
    let mut sums = [[[0.0; LANES]; N]; M];
    for m in 0..M {
        for n in 0..N {
            tile[m][n].store(&mut sums[m][n]);
        }
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
