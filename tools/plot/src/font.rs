//! The one font: DejaVu Sans, inside the binary, so that a picture is the same on a machine without fonts.
//!
//! Its licence is that of Bitstream Vera, which allows embedding.

use std::sync::LazyLock;
use ttf_parser::{Face, GlyphId};

/// Fonts for a viewer of SVG: Verdana has DejaVu's widths.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
const ELLIPSIS: char = '…';

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    Face::parse(dejavu::sans::regular(), 0).expect("the embedded font is one that ttf-parser reads; a test parses it")
});

/// The embedded font's face.
pub fn face() -> &'static Face<'static> {
    &FACE
}

/// Pixels for each of the font's own units.
pub fn scale(size: f64) -> f64 {
    size / f64::from(FACE.units_per_em())
}

/// The glyph of a character: the replacement glyph where the font has none.
pub fn glyph(c: char) -> GlyphId {
    FACE.glyph_index(c).unwrap_or_default()
}

/// How far a glyph moves the pen, in the font's own units.
pub fn advance(glyph: GlyphId) -> f64 {
    f64::from(FACE.glyph_hor_advance(glyph).unwrap_or(0))
}

/// The width of a text in pixels.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| advance(glyph(c))).sum::<f64>() * scale(size)
}

/// The text, with an ellipsis in the middle where it is wider than `limit` pixels: names differ at their ends.
pub fn shortened(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    // As many characters as could stand in the limit, from both ends by turns, while they do.
    let all: Vec<char> = text.chars().collect();
    let mut room = limit - width(ELLIPSIS.encode_utf8(&mut [0; 4]), size);
    let (mut front, mut back) = (0, 0);
    loop {
        let next = if front <= back { all[front] } else { all[all.len() - 1 - back] };
        room -= advance(glyph(next)) * scale(size);
        if room < 0.0 || front + back + 1 >= all.len() {
            break;
        }
        if front <= back { front += 1 } else { back += 1 }
    }
    all[..front].iter().chain([&ELLIPSIS]).chain(&all[all.len() - back..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_grow_with_text_and_size() {
        assert!(width("iii", 10.0) < width("mmm", 10.0));
        assert!((width("abc", 20.0) - 2.0 * width("abc", 10.0)).abs() < 1e-9);
        // Digits of one width, so that numbers stand under each other.
        assert_eq!(width("111", 12.0), width("888", 12.0));
    }

    #[test]
    fn long_names_keep_both_ends() {
        let short = shortened("learning_rate=0.001,seed=12", 10.0, 100.0);
        assert!(short.starts_with("lear") && short.ends_with("=12") && width(&short, 10.0) <= 100.0, "{short}");
        assert_eq!(shortened("short", 10.0, 100.0), "short");
        assert_eq!(shortened("short", 10.0, 0.0), "…");
    }
}
