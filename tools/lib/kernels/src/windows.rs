//! Where the windows of a convolution lie.

/// Windows of NHWC images; sizes are height, then width. An image of one axis has height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Images of the batch.
    pub images: usize,
    /// Size of the input.
    pub input: [usize; 2],
    /// Size of the output: windows along each axis.
    pub output: [usize; 2],
    /// Elements of the kernel.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// From one element of the kernel to the next.
    pub dilation: [usize; 2],
    /// Padding above and left. Below and right it is what the last windows reach.
    pub before: [usize; 2],
}

impl Windows {
    /// The rows of a matrix, one window each.
    pub fn rows(rows: usize) -> Self {
        Self {
            images: 1,
            input: [rows, 1],
            output: [rows, 1],
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            before: [0; 2],
        }
    }

    /// Pixels of an image of the input.
    pub fn input_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Pixels of an image of the output.
    pub fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether a window is one pixel, and each pixel has its own: a product of matrices.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1; 2] && self.stride == [1; 2] && self.before == [0; 2] && self.input == self.output
    }

    /// Whether no window reaches into padding.
    pub fn is_inside(&self) -> bool {
        (0..2).all(|axis| self.before[axis] == 0 && self.reach(axis, self.output[axis]) <= self.input[axis])
    }

    /// Pixels along an axis from the start of the first window to the end of the last one of `count`.
    pub fn reach(&self, axis: usize, count: usize) -> usize {
        count.saturating_sub(1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }
}
