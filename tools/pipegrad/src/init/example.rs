//! Data to begin with. The same on every machine: neither a random number nor a library's function is in it.

use image::{ImageBuffer, ImageFormat, Rgb};
use std::{io::Cursor, path::PathBuf};

/// Rows of the table.
const HOUSES: u32 = 400;
/// Images of each class.
const IMAGES: u32 = 32;
/// Side of an image in pixels.
pub const SIDE: u32 = 32;
/// Names of the classes of [`shapes`], in the order of their labels.
const SHAPES: [&str; 3] = ["checks", "columns", "rows"];

/// The fractional part of `index` times an irrational number: values in [0, 1) that spread evenly (a Kronecker sequence). The
/// `dimension`s of a point are independent of each other.
fn spread(index: u32, dimension: usize) -> f64 {
    // Powers of 1 / 1.112_775_7, the root of x^7 = x + 1 (Roberts, "The unreasonable effectiveness of quasirandom sequences").
    const STEPS: [f64; 6] = [0.898_653_7, 0.807_578_5, 0.725_733_4, 0.652_183_0, 0.586_086_7, 0.526_689_0];
    (f64::from(index) * STEPS[dimension % STEPS.len()]).fract()
}

/// A whole number from `low` to below `high`.
fn pick(value: f64, low: u32, high: u32) -> u32 {
    low + (value * f64::from(high - low)) as u32
}

/// A CSV file of houses and their prices, with text, a boolean and empty cells.
pub fn houses() -> Vec<u8> {
    let mut text = "id,sqft,beds,city,garden,age,price\n".to_owned();
    for row in 1..=HOUSES {
        let (sqft, beds) = (pick(spread(row, 0), 400, 2000), pick(spread(row, 1), 1, 6));
        let (city, age) = (pick(spread(row, 2), 0, 3), pick(spread(row, 3), 0, 60));
        let (garden, noise) = (spread(row, 4) < 0.3, pick(spread(row, 5), 0, 20_000));
        let price = 200 * sqft + 5000 * beds + 50_000 * city + 30_000 * u32::from(garden) + noise - 900 * age;
        let city = ["Oslo", "Paris", "Rome"][city as usize];
        let age = if row % 10 == 0 { String::new() } else { age.to_string() };
        text.push_str(&format!("{row:05},{sqft},{beds},{city},{garden},{age},{price}\n"));
    }
    text.into_bytes()
}

/// Images of stripes and checks in many colors: path in the folder of images, PNG.
pub fn shapes() -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for (class, name) in SHAPES.iter().enumerate() {
        for number in 0..IMAGES {
            let index = number * SHAPES.len() as u32 + class as u32;
            let mut bytes = Cursor::new(Vec::new());
            shape(class, index).write_to(&mut bytes, ImageFormat::Png)?;
            files.push((PathBuf::from(format!("{name}/{number:02}.png")), bytes.into_inner()));
        }
    }
    Ok(files)
}

/// An image of a class: its width of stripes, shift, color and noise are those of `index`.
fn shape(class: usize, index: u32) -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    let (width, shift) = (pick(spread(index, 0), 3, 8), pick(spread(index, 1), 0, 8));
    let color: [u32; 3] = std::array::from_fn(|channel| pick(spread(index, 2 + channel), 90, 220));
    ImageBuffer::from_fn(SIDE, SIDE, |x, y| {
        let stripe = |at: u32| ((at + shift) / width) % 2;
        let is_lit = [stripe(x) ^ stripe(y), stripe(x), stripe(y)][class] == 1;
        let noise = pick(spread(index * SIDE * SIDE + y * SIDE + x, 5), 0, 36);
        Rgb(color.map(|color| u8::try_from(if is_lit { color } else { 40 } + noise).unwrap_or(u8::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_what_a_table_may_have() {
        let text = String::from_utf8(houses()).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + HOUSES as usize);
        assert!(lines.iter().all(|line| line.split(',').count() == 7));
        assert!(["Oslo", "Paris", "Rome", ",true,", ",false,"].iter().all(|word| text.contains(word)));
        assert!(lines[10].contains(",,"), "{}", lines[10]);
    }

    #[test]
    fn images_are_told_apart_by_their_classes_alone() {
        let files = shapes().expect("images");
        assert_eq!(files.len(), SHAPES.len() * IMAGES as usize);
        let decoded = image::load_from_memory(&files[0].1).expect("an image").to_rgb8();
        assert_eq!((decoded.width(), decoded.height()), (SIDE, SIDE));
        assert_eq!(decoded, shape(0, 0));
    }
}
