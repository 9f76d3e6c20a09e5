//! A confusion matrix as text.

use super::{palette_index, printable};
use crate::{confusion::Confusion, matrix_picture, scene::Color};
use anyhow::ensure;
use console::{measure_text_width as width, truncate_str};

/// Labels of classes are cut off beyond.
const LONGEST_LABEL: usize = 12;

/// The matrix as a table: a line a class, in shades of `paint` if there is one.
///
/// # Errors
/// When it is wider than `columns`.
pub fn draw(confusion: &Confusion, name: &str, columns: usize, paint: Option<Color>) -> anyhow::Result<String> {
    let labels: Vec<String> =
        confusion.labels.iter().map(|label| truncate_str(&printable(label), LONGEST_LABEL, "…").into_owned()).collect();
    let texts = confusion.counts.iter().flatten().map(|count| matrix_picture::format_count(*count).len());
    let longest = labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let cell = texts.max().unwrap_or(0).max(longest) + 1;
    let needed = longest + 1 + cell * labels.len();
    ensure!(
        needed <= columns,
        "the confusion matrix of {} classes takes {needed} columns and there are {columns}: draw a picture",
        labels.len()
    );
    let padded = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text))) + text;
    let mut out = format!("{}\n{}", printable(&matrix_picture::title(confusion, name)), padded("", longest + 1));
    labels.iter().for_each(|label| out.push_str(&padded(label, cell)));
    out.push_str("  predicted\n");
    for (actual, (label, counts)) in labels.iter().zip(&confusion.counts).enumerate() {
        out.push_str(&padded(label, longest));
        out.push(' ');
        for (predicted, &count) in counts.iter().enumerate() {
            let text = padded(&matrix_picture::format_count(count), cell);
            out.push_str(&shaded(&text, paint, confusion.share(actual, predicted)));
        }
        out.push('\n');
    }
    Ok(out)
}

fn shaded(text: &str, paint: Option<Color>, share: f64) -> String {
    /// Shares below are left on the terminal's own background.
    const FAINT: f64 = 0.02;
    match paint {
        Some(color) if share >= FAINT => {
            let background = palette_index(Color::WHITE.towards(color, share));
            let text_color = if share < 0.5 { 16 } else { 231 };
            format!("\x1b[48;5;{background};38;5;{text_color}m{text}\x1b[0m")
        }
        _ => text.to_owned(),
    }
}
