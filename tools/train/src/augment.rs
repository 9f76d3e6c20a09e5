//! Changing training images a little, each time they are seen.
//!
//! What happens to an image is drawn from the seed, the epoch and the image's place in its file: the same for any
//! order, number of threads, and for a run that goes on.

use crate::{
    data::stream,
    settings::{AugmentationSettings, Flip, PadMode},
};
use anyhow::ensure;
use kernels::random::Random;
use std::ops::Range;

/// How images `[channels, height, width]` are changed.
pub struct Augmentation {
    pad: usize,
    pad_mode: PadMode,
    flip: Option<Flip>,
    cutout: usize,
    /// What a square that is cut out is filled with, a value a channel.
    fill: Vec<f32>,
    height: usize,
    width: usize,
    seed: u64,
}

/// What all images of an epoch have in common.
#[derive(Clone, Copy)]
pub struct Epoch {
    seed: u64,
    number: usize,
}

/// What happens to one image.
#[derive(Debug, PartialEq, Eq)]
struct Draw {
    /// Where the crop begins within the padded image: row and column.
    crop: [usize; 2],
    mirrored: bool,
    /// Pixels of the result that are cut out: rows and columns.
    cut: [Range<usize>; 2],
}

impl Augmentation {
    /// None where the settings change nothing. `fill` tells the value of a pixel that is cut out, for each channel.
    ///
    /// # Errors
    /// When rows are no images, or too small.
    pub fn new(
        settings: &AugmentationSettings,
        seed: u64,
        shape: &[usize],
        fill: impl FnOnce() -> Vec<f32>,
    ) -> anyhow::Result<Option<Self>> {
        if settings.is_none() {
            return Ok(None);
        }
        let [_, height, width] = image_shape("augmentation", shape)?;
        let (pad, cutout) = (settings.pad.unwrap_or(0), settings.cutout.unwrap_or(0));
        let side = height.min(width);
        ensure!(pad < side, "augmentation.pad: {pad}; at most {} with images of {height} × {width}", side - 1);
        ensure!(cutout <= side, "augmentation.cutout: {cutout}; at most {side} with images of {height} × {width}");
        let fill = if cutout > 0 { fill() } else { Vec::new() };
        let (pad_mode, flip) = (settings.pad_mode, settings.flip);
        Ok(Some(Self { pad, pad_mode, flip, cutout, fill, height, width, seed }))
    }

    /// Draws what the images of an epoch, counted from 1, have in common.
    pub fn epoch(&self, number: usize) -> Epoch {
        Epoch { seed: Random::new(self.seed, stream::AUGMENTATION + number as u64).bits(), number }
    }

    /// Writes the image at place `row` of its file as it is seen in `epoch`: both are `[channels, height, width]`.
    pub fn apply<T: Copy + Into<f32>>(&self, image: &[T], row: usize, epoch: Epoch, out: &mut [f32]) {
        let draw = self.draw(row, epoch);
        let Self { height, width, .. } = *self;
        let mut columns: Vec<usize> = (0..width).map(|x| self.source(x + draw.crop[1], width)).collect();
        if draw.mirrored {
            columns.reverse();
        }
        let planes = image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for (channel, (plane, out)) in planes.enumerate() {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                // What lies outside, rows and columns alike, is not found, and is 0.
                let row = plane.chunks_exact(width).nth(self.source(y + draw.crop[0], height)).unwrap_or_default();
                for (out, &column) in out.iter_mut().zip(&columns) {
                    *out = row.get(column).map_or(0.0, |&pixel| pixel.into());
                }
            }
            let [rows, columns] = &draw.cut;
            for y in rows.clone() {
                out[y * width..][columns.clone()].fill(self.fill[channel]);
            }
        }
    }

    /// Everything is drawn whether it is used or not, so that one setting does not change what another does.
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
                Some(Flip::Alternating) => self.mirrored_first(row) ^ epoch.number.is_multiple_of(2),
            },
            cut: [(centre[0], self.height), (centre[1], self.width)].map(|(centre, size)| {
                let end = centre + self.cutout.div_ceil(2);
                end.saturating_sub(self.cutout)..end.min(size)
            }),
        }
    }

    /// Whether the first epoch mirrors an image; the next does not, and so on.
    fn mirrored_first(&self, row: usize) -> bool {
        let seed = Random::new(self.seed, stream::FIRST_FLIP).bits();
        Random::new(seed, row as u64).index(2) == 1
    }

    /// The pixel of a side of `size` that stands at `at` of the padded one; `size` where there is none.
    fn source(&self, at: usize, size: usize) -> usize {
        match (at.checked_sub(self.pad), self.pad_mode) {
            (Some(inside), _) if inside < size => inside,
            (_, PadMode::Zero) => size,
            (None, PadMode::Reflect) => self.pad - at,
            (Some(beyond), PadMode::Reflect) => 2 * (size - 1) - beyond,
        }
    }
}

/// Mirrors images whose rows are `width` pixels long, left to right.
pub fn mirror(images: &mut [f32], width: usize) {
    images.chunks_exact_mut(width).for_each(<[f32]>::reverse);
}

/// # Errors
/// When rows of `shape` are no images, which `setting` is for.
pub fn image_shape(setting: &str, shape: &[usize]) -> anyhow::Result<[usize; 3]> {
    <[usize; 3]>::try_from(shape).map_err(|_| {
        anyhow::anyhow!("{setting}: is for images [channels, height, width]; rows of the input are {shape:?}")
    })
}
