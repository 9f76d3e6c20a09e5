//! A confusion matrix as text.

use super::{palette_index, printable};
use crate::{confusion::Confusion, matrix_picture, scene::Color};
use anyhow::ensure;
use console::{measure_text_width as width, truncate_str};

/// Labels of classes are cut off beyond; those of columns also where there is less room.
const LONGEST_LABEL: usize = 12;

/// The matrix as a table, in shades of `paint` if there is one.
///
/// # Errors
/// When it is wider than `columns`.
pub fn draw(confusion: &Confusion, name: &str, columns: usize, paint: Option<Color>) -> anyhow::Result<String> {
    let cut = |label: &String, to: usize| truncate_str(&printable(label), to, "…").into_owned();
    let labels: Vec<String> = confusion.labels.iter().map(|label| cut(label, LONGEST_LABEL)).collect();
    let longest = labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let counts = confusion.counts.iter().flatten().map(|count| matrix_picture::format_count(*count).len());
    // A cell begins with a space.
    let least = counts.max().unwrap_or(0) + 1;
    let room = columns.saturating_sub(longest + 1) / labels.len();
    ensure!(
        least <= room,
        "the confusion matrix of {} classes takes {} columns and there are {columns}: draw a picture",
        labels.len(),
        longest + 1 + least * labels.len()
    );
    let cell = (longest + 1).clamp(least, room);
    let padded = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text))) + text;
    let title = printable(&matrix_picture::title(confusion, name));
    let mut out = format!("{title}\nrows are actual, columns predicted\n{:1$}", "", longest + 1);
    confusion.labels.iter().for_each(|label| out.push_str(&padded(&cut(label, cell - 1), cell)));
    out.push('\n');
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
