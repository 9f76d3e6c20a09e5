//! Scenes as SVG 1.1, but for the plain `href` and the crisp pixels of images, which are of SVG 2.

use crate::{
    font, png,
    scene::{Anchor, Mark, Scene, Shape, Stroke},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::fmt::Write;

/// The scene as a document. The same scene gives the same bytes.
///
/// # Errors
/// When there is no memory for an image.
pub fn to_svg(scene: &Scene) -> anyhow::Result<String> {
    let (width, height) = (scene.width, scene.height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{}\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        font::FAMILY,
        escaped(&scene.title)
    );
    for mark in &scene.marks {
        // Writing to a String does not fail.
        let _ = writeln!(svg, "{}", element(mark)?);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn element(Mark { class, name, shape }: &Mark) -> anyhow::Result<String> {
    let name = name.as_ref().map_or(String::new(), |name| format!(" data-name=\"{}\"", escaped(name)));
    let class = format!("class=\"{class}\"{name}");
    Ok(match shape {
        Shape::Line { points, stroke } => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
            format!("<polyline {class} points=\"{}\" fill=\"none\" {}/>", points.join(" "), stroke_attributes(stroke))
        }
        Shape::Rect { x, y, width, height, color } => format!(
            "<rect {class} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{color}\"/>",
            number(*x),
            number(*y),
            number(*width),
            number(*height)
        ),
        Shape::Dot { center, radius, color } => format!(
            "<circle {class} cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{color}\"/>",
            number(center.0),
            number(center.1),
            number(*radius)
        ),
        Shape::Image { x, y, width, height, pixels } => format!(
            "<image {class} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\"{} \
             href=\"data:image/png;base64,{}\"/>",
            number(*x),
            number(*y),
            number(*width),
            number(*height),
            if *width < f64::from(pixels.width) { "" } else { " style=\"image-rendering:pixelated\"" },
            BASE64_STANDARD.encode(png::encode(pixels)?)
        ),
        Shape::Text { at, text, size, anchor, color, upward } => {
            let (x, y) = (number(at.0), number(at.1));
            let turn = if *upward { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            format!(
                "<text {class} x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{color}\"{turn}>{}</text>",
                number(*size),
                escaped(text)
            )
        }
    })
}

fn stroke_attributes(Stroke { color, width, opacity, dash }: &Stroke) -> String {
    let mut text = format!("stroke=\"{color}\" stroke-width=\"{}\" stroke-linejoin=\"round\"", number(*width));
    if *opacity < 1.0 {
        text.push_str(&format!(" stroke-opacity=\"{}\"", number(*opacity)));
    }
    if let Some(lengths) = dash {
        text.push_str(&format!(" stroke-dasharray=\"{}\"", lengths.map(number).join(" ")));
    }
    text
}

/// Hundredths of a pixel are finer than any screen.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text for XML 1.0, which has no place for most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_text_is_safe() {
        assert_eq!([1.0, 0.125, -0.001, 100.10].map(number), ["1", "0.12", "0", "100.1"]);
        assert_eq!(escaped("a<b>&\"c\"\u{7}\n"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd} ");
    }
}
