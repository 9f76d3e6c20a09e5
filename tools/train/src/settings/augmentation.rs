//! Config group `augmentation`.

use serde::Deserialize;

/// Augmentation of training images. Null or 0 turns a step off.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct AugmentationSettings {
    /// Padding on each side before a random crop to the original size, in pixels.
    pub pad: Option<usize>,
    pub pad_mode: PadMode,
    pub flip: Option<Flip>,
    /// Side of the square that cutout fills, in pixels (DeVries and Taylor, "Improved regularization of convolutional neural
    /// networks with cutout", 2017).
    pub cutout: Option<usize>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// PyTorch's `reflect`: mirrored at the outermost pixels, which are not repeated.
    #[default]
    Reflect,
    Zero,
}

/// Horizontal flip.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// Each image with probability 1/2, every epoch.
    Random,
    /// A random half in the first epoch, the other half in the next, in turns: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
    Alternating,
}

impl AugmentationSettings {
    pub fn is_none(&self) -> bool {
        self.pad.unwrap_or(0) == 0 && self.flip.is_none() && self.cutout.unwrap_or(0) == 0
    }
}
