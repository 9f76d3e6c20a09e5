//! The order of an image's numbers.

use kernels::layout::{nchw_to_nhwc, nhwc_to_nchw};

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
        nchw_to_nhwc(from, to, self.channels, self.pixels);
    }

    /// From `[rows, pixels, channels]` to `[rows, channels, pixels]`.
    pub fn to_nchw(self, from: &[f32], to: &mut [f32]) {
        nhwc_to_nchw(from, to, self.channels, self.pixels);
    }
}
