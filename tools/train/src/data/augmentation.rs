//! Augmentation of training images: random crop of the padded image, horizontal flip, cutout.
//!
//! The draws depend on seed, epoch and the image's row alone, so they are the same for any order, any number of threads
//! and a resumed run.

use crate::{
    data::stream,
    settings::{AugmentationSettings, Flip, PadMode},
};
use anyhow::ensure;
use random::Random;
use std::ops::Range;

/// Augmentation of images `[channels, height, width]`.
pub struct Augmentation {
    pad: usize,
    pad_mode: PadMode,
    flip: Option<Flip>,
    cutout: usize,
    /// `[channels]`: value of cut-out pixels.
    fill: Vec<f32>,
    height: usize,
    width: usize,
    seed: u64,
}

/// Draws that the images of an epoch share.
#[derive(Clone, Copy)]
pub struct Epoch {
    seed: u64,
    /// Seed of the flips of odd epochs, with `flip: alternating`.
    first_flip: u64,
    even: bool,
}

/// Draws for one image.
#[derive(Debug, PartialEq, Eq)]
struct Draw {
    /// Top and left of the crop within the padded image.
    crop: [usize; 2],
    mirrored: bool,
    /// Rows and columns of the result that are cut out.
    cut: [Range<usize>; 2],
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
        Ok(Some(Self { pad, pad_mode, flip, cutout, fill, height, width, seed }))
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

    /// Writes the image of `row` to `out`, augmented as in `epoch`; both are `[channels, height, width]`.
    pub fn apply<T: Copy + Into<f32>>(&self, image: &[T], row: usize, epoch: Epoch, out: &mut [f32]) {
        let Self { height, width, .. } = *self;
        let draw = self.draw(row, epoch);
        let planes = image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for (channel, (plane, out)) in planes.enumerate() {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                match self.source(y + draw.crop[0], height) {
                    Some(y) => self.crop(&plane[y * width..][..width], draw.crop[1], out),
                    None => out.fill(0.0),
                }
                if draw.mirrored {
                    out.reverse();
                }
            }
            let [rows, columns] = &draw.cut;
            for y in rows.clone() {
                out[y * width..][columns.clone()].fill(self.fill[channel]);
            }
        }
    }

    /// Writes the pixels of a padded row from `left` on.
    fn crop<T: Copy + Into<f32>>(&self, row: &[T], left: usize, out: &mut [f32]) {
        let width = row.len();
        // The pixels between the paddings are contiguous.
        let (begin, end) = (self.pad.saturating_sub(left), (self.pad + width - left).min(width));
        let inside = &row[begin + left - self.pad..end + left - self.pad];
        out[begin..end].iter_mut().zip(inside).for_each(|(out, &pixel)| *out = pixel.into());
        for x in (0..begin).chain(end..width) {
            out[x] = self.source(x + left, width).map_or(0.0, |x| row[x].into());
        }
    }

    /// Draws everything, used or not, so that one setting does not change another's draws.
    fn draw(&self, row: usize, epoch: Epoch) -> Draw {
        let mut random = Random::new(epoch.seed, row as u64);
        let crop = [(); 2].map(|()| random.index(2 * self.pad + 1));
        let coin = random.index(2) == 1;
        let centre = [self.height, self.width].map(|size| random.index(size));
        Draw {
            crop,
            mirrored: match self.flip {
                None => false,
                Some(Flip::Random) => coin,
                Some(Flip::Alternating) => (Random::new(epoch.first_flip, row as u64).index(2) == 1) ^ epoch.even,
            },
            cut: [(centre[0], self.height), (centre[1], self.width)].map(|(centre, size)| {
                let end = centre + self.cutout.div_ceil(2);
                end.saturating_sub(self.cutout)..end.min(size)
            }),
        }
    }

    /// Index of the source pixel at index `at` of a padded side of `size` pixels; None for a zero.
    fn source(&self, at: usize, size: usize) -> Option<usize> {
        match (at.checked_sub(self.pad), self.pad_mode) {
            (Some(inside), _) if inside < size => Some(inside),
            (_, PadMode::Zero) => None,
            (None, PadMode::Reflect) => Some(self.pad - at),
            (Some(beyond), PadMode::Reflect) => Some(2 * (size - 1) - beyond),
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
