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

    /// The shape of a float32 value.
    pub fn floats(&self) -> Option<&[usize]> {
        self.shape.as_ref().filter(|(dtype, _)| *dtype == onnx::DataType::Float).map(|(_, shape)| shape.as_slice())
    }

    /// A float32 value of rank 4.
    pub fn image(&self) -> Option<Image> {
        match *self.floats()? {
            [images, channels, height, width] => Some(Image { images, channels, height, width }),
            _ => None,
        }
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
