//! Copies a block of a batch into the workspace with zero padding.
//!
//! The copy costs a few per cent of a layer; the inner loops then need no bounds of the image.

use super::pass::Plane;

/// Rows `first..first + rows` of an image padded with `before` zeros above, `width` pixels each of which
/// the first `left` are zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub first: usize,
    pub rows: usize,
    pub before: usize,
    pub width: usize,
    pub left: usize,
}

/// Writes the frame of each of the images in `source` to `padded`, one after the other.
pub(super) fn copy(source: &[f32], plane: Plane, frame: Frame, padded: &mut [f32]) {
    let c = plane.channels;
    let copied = plane.width.min(frame.width - frame.left) * c;
    let images = source.chunks_exact(plane.image_len());
    for (image, padded) in images.zip(padded.chunks_exact_mut(frame.rows * frame.width * c)) {
        for (row, padded) in (frame.first..).zip(padded.chunks_exact_mut(frame.width * c)) {
            let inside = row.checked_sub(frame.before).filter(|&row| row < plane.height);
            let Some(row) = inside else {
                padded.fill(0.0);
                continue;
            };
            let (left, rest) = padded.split_at_mut(frame.left * c);
            let (middle, right) = rest.split_at_mut(copied);
            left.fill(0.0);
            middle.copy_from_slice(&image[row * plane.row_len()..][..copied]);
            right.fill(0.0);
        }
    }
}
