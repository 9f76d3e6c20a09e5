//! Between the memory layout of inputs and outputs, NCHW, and that of activations, NHWC.

use super::{Error, buffer::Buffer};
use kernels::layout;

/// A row as channels and pixels; a vector of features is an image of one pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowShape {
    channels: usize,
    pixels: usize,
}

impl RowShape {
    /// # Errors
    /// Unless `shape` is `[features]` or `[channels, height, width]`.
    pub fn of(shape: &[usize]) -> Result<Self, Error> {
        match *shape {
            [channels] => Ok(Self { channels, pixels: 1 }),
            [channels, height, width] => Ok(Self { channels, pixels: height * width }),
            _ => Err(Error::RowShape { shape: shape.to_vec() }),
        }
    }

    /// `rows`, `[rows, channels, pixels]`, as `[rows, pixels, channels]`: converted in `buffer`, unless both are the same.
    pub fn as_nhwc<'a>(self, rows: &'a [f32], buffer: &'a mut Buffer) -> &'a [f32] {
        if self.channels == 1 || self.pixels == 1 {
            return rows;
        }
        let nhwc = buffer.room(rows.len());
        layout::nchw_to_nhwc(rows, nhwc, self.channels, self.pixels);
        nhwc
    }

    /// From `[rows, channels, pixels]` to `[rows, pixels, channels]`.
    pub fn nchw_to_nhwc(self, from: &[f32], to: &mut [f32]) {
        layout::nchw_to_nhwc(from, to, self.channels, self.pixels);
    }

    /// From `[rows, pixels, channels]` to `[rows, channels, pixels]`.
    pub fn nhwc_to_nchw(self, from: &[f32], to: &mut [f32]) {
        layout::nhwc_to_nchw(from, to, self.channels, self.pixels);
    }
}
