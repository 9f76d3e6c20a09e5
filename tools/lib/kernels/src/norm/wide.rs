//! Rows of several pixels, wide enough for vector registers.
//!
//! One running sum per channel is a chain of dependent additions: with 16 channels, one vector addition at a time. So
//! several pixels make a row with a sum for each element; the sums of a channel are added up at the end. Coefficients
//! of channels are repeated along the row.

/// Minimum elements of a row.
const WIDTH: usize = 128;
/// Approximate elements of a block, the task of one thread: fits in the L2 cache.
const BLOCK: usize = 1 << 14;

/// Elements of a row: whole pixels.
pub(crate) fn width(channels: usize) -> usize {
    channels * WIDTH.div_ceil(channels)
}

/// Elements of a block: whole rows.
pub(crate) fn block(channels: usize) -> usize {
    let width = width(channels);
    width * (BLOCK / width).max(1)
}

/// Repeats the first `channels` elements along the row.
pub(crate) fn spread(row: &mut [f32], channels: usize) {
    let (first, rest) = row.split_at_mut(channels);
    rest.chunks_exact_mut(channels).for_each(|pixel| pixel.copy_from_slice(first));
}

/// Adds the other pixels of a row of sums to its first pixel.
pub(crate) fn fold(row: &mut [f32], channels: usize) {
    let (first, rest) = row.split_at_mut(channels);
    for pixel in rest.chunks_exact(channels) {
        first.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
    }
}
