//! The shape of a convolution.

use super::winograd::LEAST_CHANNELS;
use crate::vector::LANES;

/// Maximum of each size except `images`: sums of sizes do not overflow.
const MAX_SIDE: usize = 1 << 24;

/// PyTorch's `Conv2d` with a square kernel, no dilation, no groups and no bias.
///
/// Activations are NHWC, `[images, height, width, channels]`; weights are OIHW, `[outputs, inputs, kernel, kernel]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Batch size.
    pub images: usize,
    /// Input height, in pixels.
    pub height: usize,
    /// Input width, in pixels.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel size, along both axes.
    pub kernel: usize,
    /// Stride, along both axes.
    pub stride: usize,
    /// Zero padding on each of the four sides; less than `kernel`.
    pub padding: usize,
}

/// Why a [`ConvShape`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConvShapeError {
    /// A size, the kernel size or the stride is 0.
    #[error("a convolution with a size of 0")]
    Zero,
    /// The padding is not less than the kernel size: some windows would cover padding only.
    #[error("padding {} with a kernel of {}; expected less", .0.padding, .0.kernel)]
    Padding(ConvShape),
    /// The padded input is smaller than the kernel.
    #[error("a kernel of {} on an input of {} × {} with padding {}", .0.kernel, .0.height, .0.width, .0.padding)]
    Kernel(ConvShape),
    /// Winograd's algorithm takes 3 × 3 kernels, stride 1 and multiples of 8 channels.
    #[error(
        "Winograd's method for a kernel of {}, stride {}, {} → {} channels; expected 3, 1 and multiples of {LEAST_CHANNELS}",
        .0.kernel, .0.stride, .0.inputs, .0.outputs
    )]
    Winograd(ConvShape),
    /// A buffer would be larger than the address space.
    #[error("a convolution too large for this machine's memory")]
    TooLarge,
}

impl ConvShape {
    /// Output height, in pixels.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output width, in pixels.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of the input, all images.
    pub fn input_len(&self) -> usize {
        self.images * self.height * self.width * self.inputs
    }

    /// Elements of the output, all images.
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

    /// Whether the plan of [`Conv::new`](super::Conv::new) fuses ([`Conv::fuses`](super::Conv::fuses)), for any batch
    /// size.
    pub fn fuses(&self) -> bool {
        self.check().is_ok() && super::winograd::fuses(self)
    }

    /// # Errors
    /// If the sizes are not a valid convolution, or its buffers exceed the address space.
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
