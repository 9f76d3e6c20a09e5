//! Batch statistics of channels from partial statistics of blocks.

use super::wide;
use crate::isa::{Isa, dispatch};

/// Elements of the partial statistics of one block, by [`partial`]: a count, then two rows.
pub(crate) fn partial_len(channels: usize) -> usize {
    1 + 2 * wide::width(channels)
}

/// Writes the partial statistics of a block `[pixels, channels]`: the number of pixels, the channels' means, and their
/// sums of squared deviations. Fastest while the block is in a cache.
///
/// The second pass, over deviations, keeps the digits that a mean of squares loses where the mean is large compared
/// with the deviation.
pub(crate) fn partial(isa: Isa, pixels: &[f32], channels: usize, partial: &mut [f32]) {
    let count = (pixels.len() / channels) as f32;
    let (first, rest) = partial.split_at_mut(1);
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

/// Pairs each block of a batch with its partial statistics, or with an empty slice if `partials` is empty.
pub(crate) fn pair<T>(
    blocks: impl Iterator<Item = T>,
    partials: &mut [f32],
    channels: usize,
) -> impl Iterator<Item = (T, &mut [f32])> {
    let mut partials = partials.chunks_exact_mut(partial_len(channels));
    blocks.map(move |block| (block, partials.next().unwrap_or_default()))
}

/// As [`partial`], unless `out` is empty.
pub(crate) fn take(isa: Isa, pixels: &[f32], channels: usize, out: &mut [f32]) {
    if !out.is_empty() {
        partial(isa, pixels, channels, out);
    }
}

/// Writes the means and biased variances of channels from the partial statistics of all blocks; returns the number of
/// pixels /// (Chan, Golub and LeVeque, 1979).
pub(crate) fn combine(partials: &[f32], channels: usize, mean: &mut [f32], variance: &mut [f32]) -> f64 {
    let width = wide::width(channels);
    let mut total = 0.0;
    for (c, (mean, variance)) in mean.iter_mut().zip(variance).enumerate() {
        let (mut count, mut center, mut squares) = (0.0, 0.0, 0.0);
        for partial in partials.chunks_exact(partial_len(channels)) {
            let [n, m, s] = [partial[0], partial[1 + c], partial[1 + width + c]].map(f64::from);
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
