//! Blocks of a batch: they fit in a cache and are the tasks of parallel loops.

use std::ops::Range;

/// The number of blocks of images is a multiple of this, if there are as many images: two or four threads have equal
/// work.
const SHARES: usize = 4;

/// The blocks of a batch: some images each, or some rows of one image each.
///
/// They depend on sizes, not on the number of threads.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    images: usize,
    rows: usize,
    images_each: usize,
    rows_each: usize,
}

/// Rows `row..row + rows` of images `image..image + images`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub image: usize,
    pub images: usize,
    pub row: usize,
    pub rows: usize,
}

impl Chunk {
    /// The range of its images in a batch of images of `image_len` elements.
    pub fn images(&self, image_len: usize) -> Range<usize> {
        self.image * image_len..(self.image + self.images) * image_len
    }

    /// The same rows of a batch of its images alone.
    pub fn alone(self) -> Self {
        Self { image: 0, ..self }
    }
}

impl Chunks {
    /// The largest blocks for which `fits(images, rows)`, and at most `most` images each.
    pub fn new(images: usize, rows: usize, most: usize, fits: impl Fn(usize, usize) -> bool) -> Self {
        let images_each = (1..=most.clamp(1, images)).rev().find(|&n| fits(n, rows)).unwrap_or(1);
        let rows_each = (1..=rows).rev().find(|&n| fits(images_each, n)).unwrap_or(1);
        // Even blocks: 11 rows in bands of 6 and 5, not of 10 and 1.
        let even = |total: usize, blocks: usize| total.div_ceil(blocks);
        let [groups, bands] = [images.div_ceil(images_each).next_multiple_of(SHARES), rows.div_ceil(rows_each)];
        Self { images, rows, images_each: even(images, groups), rows_each: even(rows, bands) }
    }

    /// The first block: none is larger.
    pub fn largest(&self) -> Chunk {
        self.get(0)
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.images.div_ceil(self.images_each) * self.bands()
    }

    /// Block `i`, in the order of images and rows.
    pub fn get(&self, i: usize) -> Chunk {
        let (image, row) = (i / self.bands() * self.images_each, i % self.bands() * self.rows_each);
        Chunk {
            image,
            images: self.images_each.min(self.images - image),
            row,
            rows: self.rows_each.min(self.rows - row),
        }
    }

    /// Splits images of `image_len` elements, with `row_len` elements per row of blocks; the last block of an image may be
    /// smaller.
    pub fn cut<'a>(
        &self,
        data: &'a mut [f32],
        image_len: usize,
        row_len: usize,
    ) -> impl Iterator<Item = &'a mut [f32]> + use<'a> {
        let (group, band) = if self.bands() == 1 {
            (self.images_each * image_len, self.images_each * image_len)
        } else {
            (image_len, self.rows_each * row_len)
        };
        data.chunks_mut(group).flat_map(move |group| group.chunks_mut(band))
    }

    /// Images before a block, if blocks are whole images.
    pub fn images_before(&self, block: usize) -> usize {
        (block * self.images_each).min(self.images)
    }

    /// Whether blocks are whole images.
    pub fn are_whole(&self) -> bool {
        self.bands() == 1
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.rows_each)
    }
}
