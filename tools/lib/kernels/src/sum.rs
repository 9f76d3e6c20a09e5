//! Sums of rows, accurate to about an ulp at any width.

use crate::real::Real;

/// Independent sums within a row; also the width up to which a row is summed as a tree.
const LANES: usize = 8;
/// Elements whose lanes are added plainly before they meet the running sum: 4 for each lane.
const GROUP: usize = 4 * LANES;

/// The sum of each row of `values` `[rows, width]`, worked out in type `A`.
#[inline(always)]
pub(crate) fn sum_rows<T: Real, A: Real>(values: &[T], width: usize, sums: &mut [A]) {
    match width {
        1 => sum_narrow_rows::<T, A, 1>(values, sums),
        2 => sum_narrow_rows::<T, A, 2>(values, sums),
        3 => sum_narrow_rows::<T, A, 3>(values, sums),
        4 => sum_narrow_rows::<T, A, 4>(values, sums),
        5 => sum_narrow_rows::<T, A, 5>(values, sums),
        6 => sum_narrow_rows::<T, A, 6>(values, sums),
        7 => sum_narrow_rows::<T, A, 7>(values, sums),
        LANES => sum_narrow_rows::<T, A, LANES>(values, sums),
        _ => values.chunks_exact(width).zip(sums).for_each(|(row, sum)| *sum = sum_wide_row(row)),
    }
}

/// Rows of at most [`LANES`] elements. The width is a constant, so that the compiler unrolls it all.
#[inline(always)]
fn sum_narrow_rows<T: Real, A: Real, const WIDTH: usize>(values: &[T], sums: &mut [A]) {
    let (rows, _) = values.as_chunks::<WIDTH>();
    for (row, sum) in rows.iter().zip(sums) {
        let mut lanes = [A::ZERO; LANES];
        for i in 0..WIDTH {
            lanes[i] = convert(row[i]);
        }
        *sum = tree(&lanes);
    }
}

/// A row of any width.
///
/// Plain sums of a wide row lose digits in proportion to its width. Here each element meets two
/// plain additions, within its group; then each lane keeps what its additions round away (Knuth's
/// two-sum), so that the error stays below two ulp for numbers of one sign.
#[inline(always)]
fn sum_wide_row<T: Real, A: Real>(row: &[T]) -> A {
    let (mut sums, mut lost) = ([A::ZERO; LANES], [A::ZERO; LANES]);
    let (groups, rest) = row.as_chunks::<GROUP>();
    for group in groups {
        let x = |i: usize| -> A { convert(group[i]) };
        let lanes = std::array::from_fn(|i| {
            (x(i) + x(LANES + i)) + (x(2 * LANES + i) + x(3 * LANES + i))
        });
        add_compensated(&mut sums, &mut lost, &lanes);
    }
    let (chunks, rest) = rest.as_chunks::<LANES>();
    for chunk in chunks {
        add_compensated(&mut sums, &mut lost, &chunk.map(convert));
    }
    let mut last = [A::ZERO; LANES];
    last.iter_mut().zip(rest).for_each(|(last, &x)| *last = convert(x));
    add_compensated(&mut sums, &mut lost, &last);
    // The lanes themselves are added with compensation too.
    let (mut total, mut total_lost) = ([sums[0]], [A::ZERO]);
    for &sum in &sums[1..] {
        add_compensated(&mut total, &mut total_lost, &[sum]);
    }
    total[0] + (total_lost[0] + tree(&lost))
}

/// Adds `values` to `sums` lane by lane, and what rounding takes away to `lost`.
#[inline(always)]
fn add_compensated<A: Real, const N: usize>(sums: &mut [A; N], lost: &mut [A; N], values: &[A; N]) {
    for lane in 0..N {
        let (old, value) = (sums[lane], values[lane]);
        let next = old + value;
        let from_value = next - old;
        lost[lane] = lost[lane] + ((old - (next - from_value)) + (value - from_value));
        sums[lane] = next;
    }
}

/// The sum of 8 numbers in three levels: halves that are next to each other in a vector register.
#[inline(always)]
fn tree<A: Real>(x: &[A; LANES]) -> A {
    let four = [x[0] + x[4], x[1] + x[5], x[2] + x[6], x[3] + x[7]];
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The same number in another type; no instruction where the types are the same.
#[inline(always)]
fn convert<T: Real, A: Real>(x: T) -> A {
    A::from_f64(x.to_f64())
}
