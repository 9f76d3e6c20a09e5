//! Row sums, accurate to about one ulp at any width.

use crate::real::Real;

/// Independent sums within a row; also the width up to which a row is summed as a tree.
const LANES: usize = 8;
/// Elements that are summed without compensation before they are added to the running sum: 4 per lane.
const GROUP: usize = 4 * LANES;

/// The sum of each row of `values` `[rows, width]`, accumulated in type `A`.
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
        _ => {
            for (row, sum) in values.chunks_exact(width).zip(sums) {
                *sum = sum_wide_row(row);
            }
        }
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

/// A row of more than [`LANES`] elements.
///
/// The error of a plain sum grows with the width. Here each element takes part in a few plain additions, within its
/// group; the sums of groups are added with compensation (Knuth's two-sum). The error stays below 4 ulp for numbers of one sign, and far below it on average.
#[inline(always)]
fn sum_wide_row<T: Real, A: Real>(row: &[T]) -> A {
    let (groups, rest) = row.as_chunks::<GROUP>();
    let (chunks, last) = rest.as_chunks::<LANES>();
    let (mut sums, mut lost) = (last_lanes(row, last.len()), [A::ZERO; LANES]);
    for chunk in chunks {
        add_chunk(&mut sums, chunk);
    }
    for group in groups {
        let mut lanes = [A::ZERO; LANES];
        for chunk in group.as_chunks::<LANES>().0 {
            add_chunk(&mut lanes, chunk);
        }
        add_compensated(&mut sums, &mut lost, &lanes);
    }
    tree(&sums) + tree(&lost)
}

/// The last `count` elements of a row, fewer than [`LANES`], in the last lanes; the other lanes are 0.
///
/// The load overlaps elements that are summed elsewhere: copying `count` elements would take longer than the rest of a
/// narrow row.
#[inline(always)]
fn last_lanes<T: Real, A: Real>(row: &[T], count: usize) -> [A; LANES] {
    let mut lanes = [A::ZERO; LANES];
    if let Some(last) = row.last_chunk::<LANES>() {
        for i in 0..LANES {
            lanes[i] = if i + count >= LANES { convert(last[i]) } else { A::ZERO };
        }
    }
    lanes
}

#[inline(always)]
fn add_chunk<T: Real, A: Real>(lanes: &mut [A; LANES], chunk: &[T; LANES]) {
    for i in 0..LANES {
        lanes[i] = lanes[i] + convert(chunk[i]);
    }
}

/// Adds `values` to `sums` lane by lane, and the rounding errors to `lost`.
#[inline(always)]
fn add_compensated<A: Real>(sums: &mut [A; LANES], lost: &mut [A; LANES], values: &[A; LANES]) {
    for lane in 0..LANES {
        let (old, value) = (sums[lane], values[lane]);
        let next = old + value;
        let from_value = next - old;
        lost[lane] = lost[lane] + ((old - (next - from_value)) + (value - from_value));
        sums[lane] = next;
    }
}

/// The sum of 8 lanes as a tree of three levels; the halves of each level are adjacent in a vector register.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Non-negative integers below 2³⁰, over many magnitudes: their sum is exact in i128.
    fn elements() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec((0u64..1 << 30, 0u32..30).prop_map(|(x, shift)| (x >> shift) as f64), 1..3000)
    }

    proptest! {
        #[test]
        fn agrees_with_exact_sums(values in elements(), scale in -900i32..900) {
            let exact = values.iter().map(|&x| x as i128).sum::<i128>() as f64;
            // A third makes the additions round.
            let factor = 2f64.powi(scale) / 3.0;
            let values: Vec<f64> = values.iter().map(|x| x * factor).collect();
            let mut sum = [0.0];
            sum_rows(&values, values.len(), &mut sum);
            prop_assert!((sum[0] - exact * factor).abs() <= 4.0 * f64::EPSILON * (exact * factor), "{} {}", sum[0], exact * factor);
        }

        #[test]
        fn every_width_sums_every_element(width in 1usize..200, count in 1usize..20) {
            // Small integers: exact in any order.
            let values: Vec<f32> = (0..width * count).map(|i| (i * 7 % 31) as f32).collect();
            let (mut wide, mut narrow) = (vec![0f64; count], vec![0f32; count]);
            sum_rows(&values, width, &mut wide);
            sum_rows(&values, width, &mut narrow);
            for (row, values) in values.chunks(width).enumerate() {
                let exact: f32 = values.iter().sum();
                prop_assert_eq!((wide[row], narrow[row]), (f64::from(exact), exact));
            }
        }
    }
}
