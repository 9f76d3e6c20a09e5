//! Config group `augmentation`.

use serde::Deserialize;

/// How training images are changed. Sizes that are null or 0 change nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct AugmentationSettings {
    /// Pixels that are added on each side, before as many are cropped again.
    pub pad: Option<usize>,
    pub pad_mode: PadMode,
    pub flip: Option<Flip>,
    /// Side of the square that is cut out (DeVries and Taylor, "Improved regularization of convolutional neural
    /// networks with cutout", 2017).
    pub cutout: Option<usize>,
}

/// What padding holds.
#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// The image, mirrored at its outermost pixels, which come once.
    #[default]
    Reflect,
    Zero,
}

/// Which images are mirrored, left to right.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// Every other, by chance.
    Random,
    /// By chance in the first epoch, then in turns: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
    Alternating,
}

impl AugmentationSettings {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        self.pad.unwrap_or(0) == 0 && self.flip.is_none() && self.cutout.unwrap_or(0) == 0
    }
}
