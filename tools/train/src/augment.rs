//! Changing training images a little, each time they are seen.
//!
//! What happens to an image is drawn from the seed, the epoch and the image's place in its file: the same for any
//! order, number of threads, and for a run that goes on.

use crate::{
    data::stream,
    settings::{AugmentationSettings, Flip, PadMode},
};
use anyhow::ensure;
use random::Random;
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
    /// Of the coins that the first epoch tosses where epochs take turns.
    first_flip: u64,
    even: bool,
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
        let seed = |stream| Random::new(self.seed, stream).bits();
        Epoch {
            seed: seed(stream::AUGMENTATION + number as u64),
            first_flip: seed(stream::FIRST_FLIP),
            even: number.is_multiple_of(2),
        }
    }

    /// Writes the image at place `row` of its file as it is seen in `epoch`: both are `[channels, height, width]`.
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

    /// Writes the part of a padded row that begins at `left`.
    fn crop<T: Copy + Into<f32>>(&self, row: &[T], left: usize, out: &mut [f32]) {
        let width = row.len();
        // What is not padding stands side by side.
        let (begin, end) = (self.pad.saturating_sub(left), (self.pad + width - left).min(width));
        let inside = &row[begin + left - self.pad..end + left - self.pad];
        out[begin..end].iter_mut().zip(inside).for_each(|(out, &pixel)| *out = pixel.into());
        for x in (0..begin).chain(end..width) {
            out[x] = self.source(x + left, width).map_or(0.0, |x| row[x].into());
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
                Some(Flip::Alternating) => (Random::new(epoch.first_flip, row as u64).index(2) == 1) ^ epoch.even,
            },
            cut: [(centre[0], self.height), (centre[1], self.width)].map(|(centre, size)| {
                let end = centre + self.cutout.div_ceil(2);
                end.saturating_sub(self.cutout)..end.min(size)
            }),
        }
    }

    /// The pixel of a side of `size` that stands at `at` of the padded one; none where that is 0.
    fn source(&self, at: usize, size: usize) -> Option<usize> {
        match (at.checked_sub(self.pad), self.pad_mode) {
            (Some(inside), _) if inside < size => Some(inside),
            (_, PadMode::Zero) => None,
            (None, PadMode::Reflect) => Some(self.pad - at),
            (Some(beyond), PadMode::Reflect) => Some(2 * (size - 1) - beyond),
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
