//! Augmentation of training images as the settings have it; [`dataset::augmentation`] applies it.
//!
//! The draws depend on seed, epoch and the image's row alone.

use crate::{data::stream, settings::AugmentationSettings};
use anyhow::ensure;
use dataset::augmentation::{self, Epoch};
use random::Random;

/// Augmentation with the seed of its draws.
pub struct Augmentation {
    pub images: augmentation::Augmentation,
    seed: u64,
}

impl Augmentation {
    /// None where the settings change nothing. `fill` gives the value of cut-out pixels, `[channels]`.
    ///
    /// # Errors
    /// When `shape` is not an image's, or too small; and those of `fill`.
    pub fn new(
        settings: &AugmentationSettings,
        seed: u64,
        shape: &[usize],
        fill: impl FnOnce() -> anyhow::Result<Vec<f32>>,
    ) -> anyhow::Result<Option<Self>> {
        if settings.is_none() {
            return Ok(None);
        }
        let [_, height, width] = image_shape("augmentation", shape)?;
        let (pad, cutout) = (settings.pad.unwrap_or(0), settings.cutout.unwrap_or(0));
        let side = height.min(width);
        ensure!(pad < side, "augmentation.pad: {pad}; at most {} with images of {height} × {width}", side - 1);
        ensure!(cutout <= side, "augmentation.cutout: {cutout}; at most {side} with images of {height} × {width}");
        let fill = if cutout > 0 { fill()? } else { Vec::new() };
        let (pad_mode, flip) = (settings.pad_mode, settings.flip);
        let images = augmentation::Augmentation { pad, pad_mode, flip, cutout, fill, height, width };
        Ok(Some(Self { images, seed }))
    }

    /// The draws of an epoch, counted from 1.
    pub fn epoch(&self, number: usize) -> Epoch {
        let seed = |stream| Random::new(self.seed, stream).bits();
        Epoch {
            seed: seed(stream::AUGMENTATION + number as u64),
            first_flip: seed(stream::FIRST_FLIP),
            even: number.is_multiple_of(2),
        }
    }
}

/// Flips images with rows of `width` pixels, left to right.
pub fn flip_horizontally(images: &mut [f32], width: usize) {
    images.chunks_exact_mut(width).for_each(<[f32]>::reverse);
}

/// # Errors
/// When `shape` is not an image's; the error names `setting`.
pub fn image_shape(setting: &str, shape: &[usize]) -> anyhow::Result<[usize; 3]> {
    <[usize; 3]>::try_from(shape).map_err(|_| {
        anyhow::anyhow!("{setting}: is for images [channels, height, width]; rows of the input are {shape:?}")
    })
}
