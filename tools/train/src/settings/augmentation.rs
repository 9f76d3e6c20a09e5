//! Config group `augmentation`.

use dataset::augmentation::{Flip, PadMode};
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

impl AugmentationSettings {
    pub fn is_none(&self) -> bool {
        self.pad.unwrap_or(0) == 0 && self.flip.is_none() && self.cutout.unwrap_or(0) == 0
    }
}
