//! The sizes of a layer.

use super::{vector::LANES, winograd::LEAST_CHANNELS};
use std::fmt;

/// The most of any size but the images: sums of sizes do not overflow.
const MAX_SIDE: usize = 1 << 24;

/// A square convolution, as PyTorch's `Conv2d` without dilation, groups or bias.
///
/// Activations are NHWC: `[images, height, width, channels]`. Weights are OIHW, as PyTorch keeps them:
/// `[outputs, inputs, kernel, kernel]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images of a batch.
    pub images: usize,
    /// Rows of an input image.
    pub height: usize,
    /// Pixels of an input row.
    pub width: usize,
    /// Channels of an input pixel.
    pub inputs: usize,
    /// Channels of an output pixel.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels from one window to the next, in both directions.
    pub stride: usize,
    /// Zeros around the input, on each of its four sides; less than the kernel.
    pub padding: usize,
}

/// Why a [`ConvShape`] cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvShapeError {
    /// A size, the kernel or the stride is 0.
    Zero,
    /// Some windows would see nothing but padding.
    Padding(ConvShape),
    /// The padded input is smaller than the kernel.
    Kernel(ConvShape),
    /// Winograd's method needs a 3 × 3 kernel, stride 1 and channels by eights.
    Winograd(ConvShape),
    /// A buffer would have more elements than memory has addresses.
    TooLarge,
}

impl fmt::Display for ConvShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("a convolution with a size of 0"),
            Self::Padding(s) => write!(f, "padding {} with a kernel of {}; expected less", s.padding, s.kernel),
            Self::Kernel(s) => {
                write!(
                    f,
                    "a kernel of {} on an input of {} × {} with padding {}",
                    s.kernel, s.height, s.width, s.padding
                )
            }
            Self::Winograd(s) => {
                let ConvShape { inputs, outputs, kernel, stride, .. } = s;
                write!(
                    f,
                    "Winograd's method for a kernel of {kernel}, stride {stride}, {inputs} → {outputs} channels; \
                           expected 3, 1 and multiples of {LEAST_CHANNELS}"
                )
            }
            Self::TooLarge => f.write_str("a convolution too large for this machine's memory"),
        }
    }
}

impl std::error::Error for ConvShapeError {}

impl ConvShape {
    /// Rows of an output image.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Pixels of an output row.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.images * self.height * self.width * self.inputs
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.images * self.out_height() * self.out_width() * self.outputs
    }

    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.outputs * self.inputs * self.kernel * self.kernel
    }

    /// Multiplications of the definition, for the forward pass or either gradient.
    pub fn multiplications(&self) -> usize {
        self.output_len() * self.inputs * self.kernel * self.kernel
    }

    /// Whether [`Conv::new`](super::Conv::new) makes a plan of it that fuses ([`Conv::fuses`](super::Conv::fuses)),
    /// for any number of images.
    pub fn fuses(&self) -> bool {
        self.check().is_ok() && super::winograd::fuses(self)
    }

    /// # Errors
    /// When the sizes make no convolution, or one beyond memory.
    pub(super) fn check(&self) -> Result<(), ConvShapeError> {
        let Self { images, height, width, inputs, outputs, kernel, stride, padding } = *self;
        if [images, height, width, inputs, outputs, kernel, stride].contains(&0) {
            return Err(ConvShapeError::Zero);
        }
        if padding >= kernel {
            return Err(ConvShapeError::Padding(*self));
        }
        let sides = [height, width, inputs, outputs, kernel, stride];
        // Padding, panels and Winograd's transforms make buffers larger than tensors, by less than this.
        if sides.iter().any(|&n| n > MAX_SIDE) {
            return Err(ConvShapeError::TooLarge);
        }
        let larger = [images, height + kernel, width + kernel, inputs + LANES, outputs + LANES, kernel, kernel];
        let addresses = larger.iter().try_fold(64usize, |n, &size| n.checked_mul(size));
        if addresses.is_none() {
            return Err(ConvShapeError::TooLarge);
        }
        if height.min(width) + 2 * padding < kernel {
            return Err(ConvShapeError::Kernel(*self));
        }
        Ok(())
    }
}
