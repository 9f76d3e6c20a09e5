//! Means and variances of channels, from pieces of a batch.

use super::wide;
use crate::isa::{Isa, dispatch};

/// Elements of what [`moments`] writes of one piece: a count, then two rows.
pub(crate) fn record_len(channels: usize) -> usize {
    1 + 2 * wide::width(channels)
}

/// Writes the number of pixels, the means of channels and the sums of squared distances from them, of a
/// piece `[pixels, channels]` that is best still in a cache.
///
/// The second pass, over distances, keeps the digits that a mean of squares would lose where the mean is
/// large beside the deviation.
pub(crate) fn moments(isa: Isa, pixels: &[f32], channels: usize, record: &mut [f32]) {
    let count = (pixels.len() / channels) as f32;
    let (first, rest) = record.split_at_mut(1);
    first[0] = count;
    let (means, squares) = rest.split_at_mut(wide::width(channels));
    means.fill(0.0);
    squares.fill(0.0);
    add(isa, means, pixels);
    wide::fold(means, channels);
    means[..channels].iter_mut().for_each(|mean| *mean /= count);
    wide::spread(means, channels);
    add_squares(isa, squares, pixels, means);
    wide::fold(squares, channels);
}

/// Each piece of a batch with its record, or with nothing where there are no `records`.
pub(crate) fn pair<'a>(
    pieces: impl Iterator<Item = &'a mut [f32]>,
    records: &'a mut [f32],
    channels: usize,
) -> impl Iterator<Item = (&'a mut [f32], &'a mut [f32])> {
    let mut records = records.chunks_exact_mut(record_len(channels));
    pieces.map(move |piece| (piece, records.next().unwrap_or_default()))
}

/// As [`moments`], unless the record is empty.
pub(crate) fn take(isa: Isa, pixels: &[f32], channels: usize, record: &mut [f32]) {
    if !record.is_empty() {
        moments(isa, pixels, channels, record);
    }
}

/// The means and biased variances of channels from the records of all pieces, and the number of pixels
/// (Chan, Golub and LeVeque, 1979).
pub(crate) fn combine(records: &[f32], channels: usize, mean: &mut [f32], variance: &mut [f32]) -> f64 {
    let width = wide::width(channels);
    let mut total = 0.0;
    for (c, (mean, variance)) in mean.iter_mut().zip(variance).enumerate() {
        let (mut count, mut center, mut squares) = (0.0, 0.0, 0.0);
        for record in records.chunks_exact(record_len(channels)) {
            let [n, m, s] = [record[0], record[1 + c], record[1 + width + c]].map(f64::from);
            let distance = m - center;
            squares += s + distance * distance * count * n / (count + n);
            center += distance * n / (count + n);
            count += n;
        }
        *mean = center as f32;
        *variance = (squares / count) as f32;
        total = count;
    }
    total
}

dispatch! {
    fn add(sums: &mut [f32], pixels: &[f32]) => add_kernel
}
dispatch! {
    fn add_squares(sums: &mut [f32], pixels: &[f32], means: &[f32]) => squares_kernel
}

#[inline(always)]
fn add_kernel(sums: &mut [f32], pixels: &[f32]) {
    for row in pixels.chunks(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

#[inline(always)]
fn squares_kernel(sums: &mut [f32], pixels: &[f32], means: &[f32]) {
    for row in pixels.chunks(sums.len()) {
        for ((sum, x), mean) in sums.iter_mut().zip(row).zip(means) {
            let distance = x - mean;
            *sum += distance * distance;
        }
    }
}
