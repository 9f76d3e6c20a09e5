//! Where the values of a graph lie while its plan is built, in which layouts.

use super::step::{Shape, Source};

/// A value.
#[derive(Debug, Clone, Default)]
pub(super) struct Value {
    /// Type and shape, as far as both are known.
    pub shape: Option<Shape>,
    /// Where it lies row-major.
    pub rows: Option<Source>,
    /// Where it lies in NHWC, if it is an image.
    pub nhwc: Option<Source>,
}

impl Value {
    /// Row-major.
    pub fn rows(shape: Option<Shape>, source: Source) -> Self {
        let mut value = Self { shape, rows: Some(source), nhwc: None };
        if value.image().is_some_and(|image| image.is_flat()) {
            value.nhwc = Some(source);
        }
        value
    }

    /// An image in NHWC.
    pub fn nhwc(shape: Shape, source: Source) -> Self {
        let mut value = Self { shape: Some(shape), rows: None, nhwc: Some(source) };
        if value.image().is_some_and(|image| image.is_flat()) {
            value.rows = Some(source);
        }
        value
    }

    /// A value of rank 4, or of rank 3: of height 1.
    pub fn image(&self) -> Option<Image> {
        match *self.shape.as_ref()?.1 {
            [images, channels, height, width] => Some(Image { images, channels, height, width }),
            [images, channels, width] => Some(Image { images, channels, height: 1, width }),
            _ => None,
        }
    }

    /// A buffer, row-major or else an image in NHWC.
    pub fn at(shape: Shape, rows: bool, source: Source) -> Self {
        if rows { Self::rows(Some(shape), source) } else { Self::nhwc(shape, source) }
    }

    /// Whether it lies row-major, and where it lies.
    pub fn either(&self) -> Option<(bool, Source)> {
        let rows = self.rows.map(|source| (true, source));
        rows.or_else(|| self.nhwc.map(|source| (false, source)))
    }

    pub fn is_half(&self) -> bool {
        self.shape.as_ref().is_some_and(|(dtype, _)| *dtype == onnx::DataType::Float16)
    }

    /// Elements, as far as they are known.
    pub fn len(&self) -> usize {
        self.shape.as_ref().map_or(0, |(_, shape)| shape.iter().product())
    }
}

/// The shape of a batch of images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pub images: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Image {
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    pub fn len(self) -> usize {
        self.images * self.channels * self.pixels()
    }

    /// Whether both layouts are the same.
    fn is_flat(self) -> bool {
        self.channels == 1 || self.pixels() == 1
    }
}
