//! From the bytes of a JPEG or PNG to planes of pixels.

use crate::settings::Channels;
use anyhow::{Context, bail, ensure};
use image::{DynamicImage, GrayImage, ImageDecoder, RgbImage, codecs::png::PngDecoder, imageops::FilterType};
use std::io::Cursor;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// What every image becomes.
#[derive(Clone, Copy)]
pub struct Target {
    pub channels: Channels,
    /// Height and width.
    pub size: [usize; 2],
    /// Scale images of another size.
    pub resize: bool,
    /// Most pixels that an image may have before it is decoded.
    pub image_pixels: u64,
}

/// How files of the two formats begin (ITU-T T.81, SOI and the next marker; W3C PNG, the signature).
const JPEG: &[u8] = b"\xff\xd8\xff";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// JPEG's markers of a scan's beginning and of the image's end.
const START_OF_SCAN: &[u8] = b"\xff\xda";
const END_OF_IMAGE: &[u8] = b"\xff\xd9";

/// Height and width of an image, from its header.
pub fn size(bytes: &[u8]) -> anyhow::Result<[usize; 2]> {
    let (width, height) = if bytes.starts_with(JPEG) {
        let mut decoder = jpeg(bytes, Channels::Rgb);
        decoder.decode_headers()?;
        decoder.dimensions().context("no size")?
    } else if bytes.starts_with(PNG) {
        let (width, height) = PngDecoder::new(Cursor::new(bytes))?.dimensions();
        (width as usize, height as usize)
    } else {
        bail!("neither a JPEG nor a PNG");
    };
    Ok([height, width])
}

/// Appends the pixels `[channels, height, width]` of an image.
pub fn planes(bytes: &[u8], target: &Target, pixels: &mut Vec<u8>) -> anyhow::Result<()> {
    let [height, width] = size(bytes)?;
    let most = target.image_pixels;
    ensure!(height as u64 * width as u64 <= most, "{height}x{width} pixels, more than dataset.image_pixels, {most}");
    let [target_height, target_width] = target.size;
    ensure!(
        target.resize || [height, width] == target.size,
        "{height}x{width} pixels, expected {target_height}x{target_width} (dataset.resize=true scales)"
    );
    let mut image = if bytes.starts_with(JPEG) {
        decode_jpeg(bytes, target.channels, [height, width])?
    } else {
        DynamicImage::from_decoder(PngDecoder::new(Cursor::new(bytes))?)?
    };
    if [height, width] != target.size {
        image = image.resize_exact(target_width as u32, target_height as u32, FilterType::Triangle);
    }
    let interleaved = match target.channels {
        Channels::Grey => image.into_luma8().into_raw(),
        Channels::Rgb => image.into_rgb8().into_raw(),
    };
    let channels = target.channels as usize;
    for channel in 0..channels {
        pixels.extend(interleaved.iter().skip(channel).step_by(channels));
    }
    Ok(())
}

/// What a lenient decoder paints grey is an error here: a training set is no place for half an image.
fn jpeg(bytes: &[u8], channels: Channels) -> JpegDecoder<ZCursor<&[u8]>> {
    let color = if channels == Channels::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(color);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn decode_jpeg(bytes: &[u8], channels: Channels, [height, width]: [usize; 2]) -> anyhow::Result<DynamicImage> {
    // Even strict, the decoder does not miss what is cut off the last rows of blocks. Within a scan no marker
    // looks like these two; a thumbnail, which has its own, comes before.
    let last = |marker: &[u8]| bytes.windows(marker.len()).rposition(|bytes| bytes == marker);
    ensure!(last(END_OF_IMAGE) > last(START_OF_SCAN), "the JPEG is cut off");
    let pixels = jpeg(bytes, channels).decode()?;
    let (width, height) = (width as u32, height as u32);
    let image = match channels {
        Channels::Grey => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        Channels::Rgb => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    image.context("the JPEG has another number of pixels than its header says")
}
