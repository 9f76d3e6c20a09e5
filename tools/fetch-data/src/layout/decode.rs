//! Decoding and scaling JPEG and PNG.

use crate::settings::Channels;
use anyhow::{Context, bail, ensure};
use image::{
    DynamicImage, GrayImage, ImageDecoder, Limits, Rgb, RgbImage, codecs::png::PngDecoder, imageops::FilterType,
    metadata::Orientation,
};
use jpeg_decoder::{Decoder as JpegDecoder, PixelFormat};
use std::{
    io::Cursor,
    sync::{Mutex, PoisonError},
};

/// The form that all images are converted to.
#[derive(Clone, Copy)]
pub struct Target {
    pub channels: Channels,
    /// Height and width.
    pub size: [usize; 2],
    /// Whether images of another size are scaled; else they are an error.
    pub resize: bool,
    /// Most pixels of an image.
    pub image_pixels: u64,
}

/// An image whose header has been read.
struct Header<'a> {
    /// Height and width as stored.
    stored: [usize; 2],
    /// The Exif orientation (Exif 3.0, tag 0x0112); none if the Exif block is missing or damaged.
    orientation: Orientation,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Jpeg(Box<JpegDecoder<&'a [u8]>>),
    Png(Box<PngDecoder<Cursor<&'a [u8]>>>),
}

/// The first bytes of a JPEG (ITU-T T.81: SOI and the next marker) and of a PNG (W3C PNG: the signature).
const JPEG: &[u8] = b"\xff\xd8\xff";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Height and width of an image after its Exif orientation is applied.
pub fn size(bytes: &[u8]) -> anyhow::Result<[usize; 2]> {
    Ok(Header::read(bytes)?.size())
}

/// Appends the pixels `[channels, height, width]` of an image, with its Exif orientation applied.
pub fn planes(bytes: &[u8], target: &Target, pixels: &mut Vec<u8>) -> anyhow::Result<()> {
    let header = Header::read(bytes)?;
    let [height, width] = header.size();
    let limit = target.image_pixels;
    ensure!(height as u64 * width as u64 <= limit, "{height}x{width} pixels, more than dataset.image_pixels, {limit}");
    let [target_height, target_width] = target.size;
    ensure!(
        target.resize || [height, width] == target.size,
        "{height}x{width} pixels, expected {target_height}x{target_width} (dataset.resize=true \
         dataset.size=[{target_height},{target_width}] scales)"
    );
    let scaling = Scaling::new([height, width], target.size);
    ensure!(
        [height, width] == target.size || scaling.pixels <= limit,
        "{height}x{width} pixels, scaled to {target_height}x{target_width}: an intermediate image of {} pixels, more than \
         dataset.image_pixels, {limit}",
        scaling.pixels
    );
    // Large images are decoded one at a time, to bound the memory.
    let _guard = (height * width > LARGE).then(|| LARGE_IMAGE.lock().unwrap_or_else(PoisonError::into_inner));
    let mut image = header.decode()?;
    if [height, width] != target.size {
        image = scaling.scale(&image, target.size)?;
    }
    let image = image.into_rgb8();
    match target.channels {
        Channels::Gray => pixels.extend(image.pixels().map(luma)),
        Channels::Rgb => (0..3).for_each(|channel| pixels.extend(image.pixels().map(|pixel| pixel[channel]))),
    }
    Ok(())
}

/// Images of more pixels are decoded one at a time: with scaling, a pixel needs 20 bytes and more.
const LARGE: usize = 16_000_000;
static LARGE_IMAGE: Mutex<()> = Mutex::new(());

/// Separable scaling: first along one axis, then along the other. The intermediate image has the new size along one axis
/// only, and may be larger than both images: 100000000 x 1 pixels, for example, must not become 100000000 x 224.
struct Scaling {
    /// Whether widths are scaled before heights.
    widths_first: bool,
    /// Pixels of the intermediate image.
    pixels: u64,
}

impl Scaling {
    /// Scaling from and to these heights and widths: heights first, unless that adds pixels and widths first gives the
    /// smaller intermediate image.
    fn new([height, width]: [usize; 2], [new_height, new_width]: [usize; 2]) -> Self {
        let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
        let (heights_first, widths_first) = (product(new_height, width), product(height, new_width));
        let transposed = new_height > height && widths_first < heights_first;
        Self { widths_first: transposed, pixels: if transposed { widths_first } else { heights_first } }
    }

    /// Bilinear with antialiasing, as Pillow's `BILINEAR`: a triangle filter over all pixels that the new pixel covers.
    fn scale(&self, image: &DynamicImage, [height, width]: [usize; 2]) -> anyhow::Result<DynamicImage> {
        let (height, width) = (u32::try_from(height)?, u32::try_from(width)?);
        // `resize_exact` scales heights first.
        Ok(match self.widths_first {
            false => image.resize_exact(width, height, FilterType::Triangle),
            true => image.rotate90().resize_exact(height, width, FilterType::Triangle).rotate270(),
        })
    }
}

/// Luma of ITU-R BT.601, as JPEG and Pillow compute it (`image` uses BT.709), in 16-bit fixed point.
fn luma(&Rgb([red, green, blue]): &Rgb<u8>) -> u8 {
    const WEIGHTS: [u32; 3] = [19595, 38470, 7471]; // 0.299, 0.587, 0.114; the sum is 1
    let sum = WEIGHTS[0] * u32::from(red) + WEIGHTS[1] * u32::from(green) + WEIGHTS[2] * u32::from(blue);
    ((sum + (1 << 15)) >> 16) as u8
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> anyhow::Result<Self> {
        if bytes.starts_with(JPEG) {
            let mut decoder = JpegDecoder::new(bytes);
            decoder.read_info().context("damaged or truncated")?;
            let info = decoder.info().context("a JPEG without a header")?;
            let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
            Ok(Self {
                stored: [info.height.into(), info.width.into()],
                orientation: orientation.unwrap_or(Orientation::NoTransforms),
                decoder: Decoder::Jpeg(Box::new(decoder)),
            })
        } else if bytes.starts_with(PNG) {
            let mut decoder =
                PngDecoder::with_limits(Cursor::new(bytes), Limits::default()).context("damaged or truncated")?;
            let (width, height) = decoder.dimensions();
            Ok(Self {
                stored: [height as usize, width as usize],
                orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
                decoder: Decoder::Png(Box::new(decoder)),
            })
        } else {
            bail!("neither a JPEG nor a PNG");
        }
    }

    /// Height and width after the orientation is applied.
    fn size(&self) -> [usize; 2] {
        let [height, width] = self.stored;
        match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => [width, height],
            Orientation::NoTransforms
            | Orientation::Rotate180
            | Orientation::FlipHorizontal
            | Orientation::FlipVertical => [height, width],
        }
    }

    /// Decodes the image and applies the orientation. A truncated image is an error.
    fn decode(self) -> anyhow::Result<DynamicImage> {
        let mut image = match self.decoder {
            Decoder::Png(decoder) => DynamicImage::from_decoder(*decoder).context("damaged or truncated")?,
            Decoder::Jpeg(decoder) => decode_jpeg(*decoder)?,
        };
        image.apply_orientation(self.orientation);
        Ok(image)
    }
}

fn decode_jpeg(mut decoder: JpegDecoder<&[u8]>) -> anyhow::Result<DynamicImage> {
    let pixels = decoder.decode().context("damaged or truncated")?;
    let info = decoder.info().context("a JPEG without a header")?;
    let (width, height) = (info.width.into(), info.height.into());
    let image = match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::L16 | PixelFormat::CMYK32 => bail!("a JPEG in CMYK or of 16 bits; save it as RGB"),
    };
    image.context("a JPEG with another number of pixels than in its header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_intermediate_image_is_chosen() {
        let pixels = |from, to| Scaling::new(from, to).pixels;
        assert_eq!(pixels([1, 100_000_000], [224, 224]), 224);
        assert_eq!(pixels([100_000_000, 1], [224, 224]), 224);
        assert_eq!(pixels([4, 1000], [8, 2000]), 8000);
        assert!(!Scaling::new([1000, 1000], [32, 64]).widths_first);
    }

    #[test]
    fn the_order_of_the_axes_changes_values_by_at_most_one() {
        let image = RgbImage::from_fn(61, 3, |x, y| Rgb([(x * 4) as u8, (y * 80) as u8, (x * y) as u8]));
        let image = DynamicImage::from(image);
        let scaled = |widths_first| {
            let scaling = Scaling { widths_first, pixels: 0 };
            scaling.scale(&image, [7, 5]).expect("small").into_rgb8()
        };
        let (a, b) = (scaled(false), scaled(true));
        assert_eq!(a.dimensions(), (5, 7));
        let difference = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(difference <= Some(1), "{difference:?}");
    }
}
