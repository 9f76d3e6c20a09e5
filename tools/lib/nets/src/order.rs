//! The order of an image's numbers.

use kernels::threads;

/// Channels and pixels of an image; features are channels of one pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    channels: usize,
    pixels: usize,
}

impl Order {
    /// Of images of `channels` with `pixels` each.
    pub fn new(channels: usize, pixels: usize) -> Self {
        Self { channels, pixels }
    }

    /// None where a row of this shape is neither an image nor features.
    pub fn of(shape: &[usize]) -> Option<Self> {
        match *shape {
            [channels] => Some(Self::new(channels, 1)),
            [channels, height, width] => Some(Self::new(channels, height * width)),
            _ => None,
        }
    }

    /// From `[rows, channels, pixels]` to `[rows, pixels, channels]`.
    pub fn to_nhwc(self, from: &[f32], to: &mut [f32]) {
        transpose(from, to, self.channels, self.pixels);
    }

    /// From `[rows, pixels, channels]` to `[rows, channels, pixels]`.
    pub fn to_nchw(self, from: &[f32], to: &mut [f32]) {
        transpose(from, to, self.pixels, self.channels);
    }
}

/// From `[images, rows, columns]` to `[images, columns, rows]`.
fn transpose(from: &[f32], to: &mut [f32], rows: usize, columns: usize) {
    if rows == 1 || columns == 1 {
        to.copy_from_slice(from);
        return;
    }
    let len = rows * columns;
    threads::share(from.chunks_exact(len).zip(to.chunks_exact_mut(len)), |(from, to)| {
        for (column, to) in to.chunks_exact_mut(rows).enumerate() {
            to.iter_mut().zip(from[column..].iter().step_by(columns)).for_each(|(to, from)| *to = *from);
        }
    });
}
