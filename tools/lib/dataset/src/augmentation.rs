//! Augmentation of images: random crop of the padded image, horizontal flip, cutout.
//!
//! The draws depend on the epoch's seeds and the image's row alone, so they are the same for any order, any number of
//! threads, a resumed run, and on a GPU, whose kernels take a [`Draw`].

use random::Random;
use serde::Deserialize;
use std::ops::Range;

/// Augmentation of images `[channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Augmentation {
    /// Padding on each side before the crop to the original size, in pixels; below `height` and `width`.
    pub pad: usize,
    /// What is in the padding.
    pub pad_mode: PadMode,
    /// None for no flip.
    pub flip: Option<Flip>,
    /// Side of the square that cutout fills, in pixels; 0 for none.
    pub cutout: usize,
    /// `[channels]`: value of cut-out pixels; may be empty without cutout.
    pub fill: Vec<f32>,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
}

/// Values in the padding.
#[derive(Debug, Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// PyTorch's `reflect`: mirrored at the outermost pixels, which are not repeated.
    #[default]
    Reflect,
    /// 0
    Zero,
}

/// Horizontal flip.
#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// Each image with probability 1/2, every epoch.
    Random,
    /// A random half in the first epoch, the other half in the next, in turns: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
    Alternating,
}

/// Draws that the images of an epoch share.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    /// Seed of the epoch's draws.
    pub seed: u64,
    /// Seed of the flips of odd epochs, with [`Flip::Alternating`]; the same in every epoch.
    pub first_flip: u64,
    /// Whether the epoch's number is even.
    pub even: bool,
}

/// Draws for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Top and left of the crop within the padded image.
    pub crop: [usize; 2],
    /// Whether the crop is flipped, left to right.
    pub mirrored: bool,
    /// Rows and columns of the result that are cut out.
    pub cut: [Range<usize>; 2],
}

impl Augmentation {
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

    /// The draws of the image of `row`. Draws everything, used or not, so that one setting does not change another's draws.
    pub fn draw(&self, row: usize, epoch: Epoch) -> Draw {
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
