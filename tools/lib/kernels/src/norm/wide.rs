//! Rows wide enough for vectors: the pixels of a few channels side by side.
//!
//! A sum for each channel waits for the one before it. With 16 channels that would be one addition at a
//! time, so several pixels make a row, with a sum for each of their elements; the sums of a channel are
//! added up at the end. Factors of channels are repeated along the row.

/// Elements of a row, at least.
const WIDTH: usize = 128;
/// Elements of a block, about: what a thread works on at a time. It fits in a second-level cache.
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

/// Adds the other pixels of a row of sums to the first.
pub(crate) fn fold(row: &mut [f32], channels: usize) {
    let (first, rest) = row.split_at_mut(channels);
    for pixel in rest.chunks_exact(channels) {
        first.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
    }
}
