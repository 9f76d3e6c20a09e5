//! Panels of the right operand.

use super::{
    DEPTH, Matrix,
    tile::{PANEL, Panel},
};
use crate::{
    isa::Isa,
    lanes::{COLUMNS, Lanes, dispatch_lanes},
    vector::{LANES, Line},
};
use std::cell::RefCell;

/// Fewest rows of the left operand for which copying a panel pays: each reads it once.
const LEAST_ROWS: usize = 16;
/// Largest distance between the rows of a panel that is not copied: rows far apart compete for the same sets of the L1 cache.
const LARGEST_STEP: usize = PANEL;
/// Lines of a packed panel.
const LINES: usize = PANEL / LANES;

thread_local! {
    /// The packed panel, `[LINES, DEPTH]`: a micro-kernel that reads one line of each row reads consecutive memory. It is
    /// kept, as new pages for each product would take as long as a small product.
    static PACKED: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Elements that are copied, or transposed, in the time of a multiply-add of a line.
const COPIED: usize = 8;
const TRANSPOSED: usize = 2;

fn is_in_place(matrix: Matrix<'_>, width: usize, reads: usize) -> bool {
    !matrix.transposed && width.is_multiple_of(LANES) && (matrix.step <= LARGEST_STEP || reads < LEAST_ROWS)
}

/// How long packing takes that precedes a product with a left operand of so many rows, in multiply-adds of a line.
pub(super) fn time(matrix: Matrix<'_>, reads: usize) -> usize {
    let elements = matrix.rows * matrix.columns;
    if matrix.transposed {
        elements / TRANSPOSED
    } else if is_in_place(matrix, matrix.columns, reads) {
        0
    } else {
        elements / COPIED
    }
}

/// Calls `body` with `depth` rows from `k` and `width` columns from `column` of `matrix`, in whole lines.
pub(super) fn with_panel(
    isa: Isa,
    matrix: Matrix<'_>,
    [k, column]: [usize; 2],
    [depth, width]: [usize; 2],
    reads: usize,
    body: impl FnOnce(Panel<'_>),
) {
    if is_in_place(matrix, width, reads) {
        let values = &matrix.data[k * matrix.step + column..];
        return body(Panel { values, step: matrix.step, line_step: LANES });
    }
    PACKED.with_borrow_mut(|packed| {
        packed.resize(LINES * DEPTH, [0.0; LANES]);
        for (line, packed) in packed.chunks_exact_mut(DEPTH).take(width.div_ceil(LANES)).enumerate() {
            let (column, packed) = (column + line * LANES, &mut packed[..depth]);
            let width = LANES.min(width - line * LANES);
            if matrix.transposed {
                pack_columns(isa, &matrix.data[column * matrix.step + k..], matrix.step, width, packed);
            } else {
                pack_rows(&matrix.data[k * matrix.step + column..], matrix.step, width, packed);
            }
        }
        body(Panel { values: packed.as_flattened(), step: LANES, line_step: DEPTH * LANES });
    });
}

/// Copies the first `width` elements of each row, and zeros.
fn pack_rows(rows: &[f32], step: usize, width: usize, packed: &mut [Line]) {
    for (packed, row) in packed.iter_mut().zip(rows.chunks(step)) {
        match row.first_chunk::<LANES>() {
            Some(row) if width == LANES => *packed = *row,
            _ => {
                *packed = [0.0; LANES];
                packed[..width].copy_from_slice(&row[..width]);
            }
        }
    }
}

/// As [`pack_rows`], of a matrix whose columns are contiguous and `step` apart.
fn pack_columns(isa: Isa, columns: &[f32], step: usize, width: usize, packed: &mut [Line]) {
    let whole = if width == LANES { packed.len() - packed.len() % COLUMNS } else { 0 };
    transpose(isa, columns, step, packed[..whole].as_flattened_mut());
    for (k, row) in packed.iter_mut().enumerate().skip(whole) {
        *row = [0.0; LANES];
        for (x, n) in row[..width].iter_mut().zip(0..) {
            *x = columns[n * step + k];
        }
    }
}

dispatch_lanes! {
    /// `packed[k · LANES + n] = columns[n · step + k]`.
    fn transpose<T>(columns: &[T], step: usize, packed: &mut [T]) -> () => transpose_kernel
}

#[inline(always)]
fn transpose_kernel<V: Lanes>(zero: V, columns: &[V::Real], step: usize, packed: &mut [V::Real]) {
    for (block, packed) in packed.chunks_exact_mut(COLUMNS * LANES).enumerate() {
        let vectors = zero.columns(&columns[block * COLUMNS..], step);
        for k in 0..COLUMNS {
            vectors[k].store(&mut packed[k * LANES..]);
        }
    }
}
