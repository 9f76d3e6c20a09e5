//! A confusion matrix as text.

use super::palette_index;
use crate::{confusion::LabelledMatrix, matrix_picture, scene::Color, text::wrapped};
use anyhow::ensure;
use cli::printable;
use console::measure_text_width as width;

/// Limit on labels of classes in columns of text; those above the matrix are as wide as its cells.
const MAX_LABEL: usize = 12;
/// Narrower columns have class indices instead of shortened labels.
const MIN_LABEL: usize = 4;

/// The matrix as a table, in shades of `paint` if there is one.
///
/// # Errors
/// When it is wider than `columns`.
pub fn draw(confusion: &LabelledMatrix, name: &str, columns: usize, paint: Option<Color>) -> anyhow::Result<String> {
    let classes = confusion.labels.len();
    let cut = |to: usize| move |label: &str| shortened(label, to);
    let longest = |labels: &[String]| labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let counts = confusion.counts.iter().flatten().map(|count| matrix_picture::format_count(*count).len());
    // A cell begins with a space, and has room for the index of a class.
    let least = counts.max().unwrap_or(0).max((classes - 1).to_string().len()) + 1;
    let cell = |longest: usize| {
        let room = columns.saturating_sub(longest + 1) / classes;
        let needed = longest + 1 + least * classes;
        ensure!(
            least <= room,
            "the confusion matrix of {classes} classes takes {needed} columns and there are {columns}: draw a picture"
        );
        Ok((longest + 1).clamp(least, room))
    };
    let mut rows = confusion.short_labels(cut(MAX_LABEL));
    let across = cell(longest(&rows))? - 1;
    let mut header = confusion.cut_labels(cut(across));
    let says_little = across < MIN_LABEL && header.iter().any(|label| label.contains('…'));
    if says_little || confusion.look_alike(cut(across)) {
        rows = confusion.indexed_labels(cut(MAX_LABEL));
        header = (0..classes).map(|class| class.to_string()).collect();
    }
    let (longest, cell) = (longest(&rows), cell(longest(&rows))?);
    let padded = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text))) + text;
    let title = printable(&matrix_picture::title(confusion, name));
    let mut out = String::new();
    for line in [title.as_str(), "rows are actual, columns predicted"] {
        wrapped(line, |line| width(line) <= columns).iter().for_each(|line| out.push_str(&format!("{line}\n")));
    }
    out.push_str(&" ".repeat(longest + 1));
    header.iter().for_each(|label| out.push_str(&padded(label, cell)));
    out.push('\n');
    for (actual, (label, counts)) in rows.iter().zip(&confusion.counts).enumerate() {
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

/// The label, with an ellipsis in the middle where it is wider than `limit` columns: names differ at their ends.
fn shortened(label: &str, limit: usize) -> String {
    if width(label) <= limit {
        return label.to_owned();
    }
    let all: Vec<char> = label.chars().collect();
    let with = |kept: usize| -> String {
        let (front, back) = (kept.div_ceil(2), kept / 2);
        all[..front].iter().chain(&['…']).chain(&all[all.len() - back..]).collect()
    };
    (0..all.len().min(limit)).rev().map(with).find(|short| width(short) <= limit).unwrap_or_default()
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
