//! The indices of a convolution along one axis, height or width.
//!
//! The forward pass and `grad_input` are the same computation: each target pixel sums products over a run of adjacent
//! source pixels. They differ in the strides; and `grad_input` with stride s has s phases of target pixels, which use
//! different taps of the kernel.

/// One axis of the source and the target.
#[derive(Debug)]
pub(super) struct Axis {
    /// Zero padding before the first source pixel.
    pub before: usize,
    /// Source pixels from one target pixel of a phase to the next.
    pub source_step: usize,
    /// Target pixels from one of a phase to the next: the number of phases.
    pub target_step: usize,
    /// Pixels of a padded source that one target pixel may see, whichever its phase.
    pub extent: usize,
    /// The target pixels `origin`, `origin + target_step`, and so on, for each origin.
    pub phases: Vec<AxisPhase>,
}

/// The target pixels that use the same taps.
#[derive(Debug)]
pub(super) struct AxisPhase {
    /// The first target pixel.
    pub origin: usize,
    /// How many there are.
    pub count: usize,
    /// The padded source pixel where the run of the first one starts.
    pub start: usize,
    /// The kernel's index for each pixel of the run; empty where no window covers the target.
    pub taps: Vec<usize>,
}

impl Axis {
    /// From an input of padded pixels to `out` outputs.
    pub fn forward(out: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let phase = AxisPhase { origin: 0, count: out, start: 0, taps: (0..kernel).collect() };
        Self { before: padding, source_step: stride, target_step: 1, extent: kernel, phases: vec![phase] }
    }

    /// From the gradient of the outputs to that of `len` inputs.
    ///
    /// Output o uses input i at the tap i + padding - o·stride. For the inputs i = q·stride + r these
    /// are the taps congruent to r + padding, and o = q + (r + padding - tap) / stride.
    pub fn backward(len: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let before = (kernel - 1 - padding.min(kernel - 1)).div_ceil(stride);
        let phase = |origin: usize| {
            let taps: Vec<usize> = ((origin + padding) % stride..kernel).step_by(stride).rev().collect();
            let start = taps.first().map_or(0, |tap| (before * stride + origin + padding - tap) / stride);
            AxisPhase { origin, count: (len - origin).div_ceil(stride), start, taps }
        };
        let phases: Vec<AxisPhase> = (0..stride.min(len)).map(phase).collect();
        let extent = phases.iter().map(|phase| phase.start + phase.taps.len()).max().unwrap_or(0).max(1);
        Self { before, source_step: 1, target_step: stride, extent, phases }
    }

    /// Target pixels of the largest phase.
    pub fn count(&self) -> usize {
        self.phases.first().map_or(0, |phase| phase.count)
    }

    /// Padded source pixels that `count` target pixels of each phase see.
    pub fn padded(&self, count: usize) -> usize {
        (count - 1) * self.source_step + self.extent
    }
}
