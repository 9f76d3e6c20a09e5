//! Cutting a batch into pieces that fit in a cache and share a batch among threads.

use std::ops::Range;

/// Images are cut into a multiple of so many pieces, if there are as many images: two threads, or four, have the same
/// to do.
const SHARES: usize = 4;

/// A batch of images in pieces: some images each, or else some rows of one image each.
///
/// The pieces depend on sizes alone, not on threads.
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
    /// Where its images lie in a batch, each of `image_len` elements.
    pub fn images(&self, image_len: usize) -> Range<usize> {
        self.image * image_len..(self.image + self.images) * image_len
    }

    /// The same rows of a batch of its images alone.
    pub fn alone(self) -> Self {
        Self { image: 0, ..self }
    }
}

impl Chunks {
    /// The largest pieces for which `fits(images, rows)`, and no more than `most` images each.
    pub fn new(images: usize, rows: usize, most: usize, fits: impl Fn(usize, usize) -> bool) -> Self {
        let images_each = (1..=most.clamp(1, images)).rev().find(|&n| fits(n, rows)).unwrap_or(1);
        let rows_each = (1..=rows).rev().find(|&n| fits(images_each, n)).unwrap_or(1);
        // Even pieces: 11 rows in bands of 6 and 5, not of 10 and 1.
        let even = |total: usize, pieces: usize| total.div_ceil(pieces);
        let [groups, bands] = [images.div_ceil(images_each).next_multiple_of(SHARES), rows.div_ceil(rows_each)];
        Self { images, rows, images_each: even(images, groups), rows_each: even(rows, bands) }
    }

    /// The first piece: none is larger.
    pub fn largest(&self) -> Chunk {
        self.get(0)
    }

    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.images.div_ceil(self.images_each) * self.bands()
    }

    /// Piece `i`, in the order of the images and their rows.
    pub fn get(&self, i: usize) -> Chunk {
        let (image, row) = (i / self.bands() * self.images_each, i % self.bands() * self.rows_each);
        Chunk {
            image,
            images: self.images_each.min(self.images - image),
            row,
            rows: self.rows_each.min(self.rows - row),
        }
    }

    /// Cuts images whose rows have `row_len` elements into the parts of a piece, `rows_per` rows of the
    /// images for each row that is counted here; the last of an image may be smaller.
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

    /// How many images come before a piece, where pieces are whole images.
    pub fn images_before(&self, piece: usize) -> usize {
        (piece * self.images_each).min(self.images)
    }

    /// Whether pieces are whole images.
    pub fn are_whole(&self) -> bool {
        self.bands() == 1
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.rows_each)
    }
}
