//! Charts in a terminal.

mod canvas;
mod chart_text;
mod matrix_text;

use crate::{
    chart::Chart, charts, finder::Finder, inputs::Inputs, log::Log, run::Run, scene::Color, settings::Settings,
};
use anyhow::ensure;
use console::Term;
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Least rows of a chart.
const MIN_ROWS: usize = 8;

/// Charts on standard output, in place of the last ones if it is a terminal.
pub struct Screen<'a> {
    settings: &'a Settings,
    columns: usize,
    rows: usize,
    is_terminal: bool,
    colored: bool,
    /// When a chart was last drawn that the next one replaces, and the lines it took.
    drawn: Option<Instant>,
    lines: usize,
}

impl<'a> Screen<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let size = Term::stdout().size_checked().filter(|_| is_terminal);
        // A line stays free for the shell's prompt.
        let (rows, columns) = size.map_or((settings.terminal_height, settings.terminal_width), |(rows, columns)| {
            (usize::from(rows).saturating_sub(1), usize::from(columns))
        });
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { settings, columns, rows, is_terminal, colored: is_terminal && !no_color, drawn: None, lines: 0 }
    }

    /// Redraws a growing log, if standard output is a terminal and the refresh interval is over.
    pub fn watch(&mut self, log: &Log) -> anyhow::Result<()> {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= Duration::from_secs_f64(self.settings.refresh));
        if !self.is_terminal || !due {
            return Ok(());
        }
        // Before anything is measured there is nothing to draw; what does not fit could not be drawn over.
        let mut runs = log.runs();
        runs.retain(Run::is_measured);
        if runs.is_empty() {
            return Ok(());
        }
        let Ok(text) = self.charts(&runs, &[], (self.rows / MIN_ROWS).max(1)) else { return Ok(()) };
        if text.lines().count() > self.rows {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        self.replace(&text)
    }

    /// Draws what was read.
    pub fn show(&mut self, inputs: &Inputs) -> anyhow::Result<()> {
        ensure!(inputs.galleries.is_empty(), "--terminal shows no images; without it, they are drawn into files");
        ensure!(inputs.rooflines.is_empty(), "--terminal draws no roofline; without it, one is drawn into a file");
        let mut text = String::new();
        if !inputs.runs.is_empty() || !inputs.finders.is_empty() {
            text = self.charts(&inputs.runs, &inputs.finders, usize::MAX)?;
        }
        for (name, confusion) in inputs.named_confusions()? {
            let paint = self.colored.then_some(self.settings.colors[0]);
            text.push_str(&matrix_text::draw(&confusion, &name, self.columns, paint)?);
        }
        self.replace(&text)
    }

    /// The charts that the settings name, or else the first, one under the other, and no more than `max_charts`.
    fn charts(&self, runs: &[Run], finders: &[Finder], max_charts: usize) -> anyhow::Result<String> {
        let max_charts = if self.settings.charts.is_none() { 1 } else { max_charts };
        let charts = charts::charts(runs, finders, self.settings, max_charts)?;
        let rows = (self.rows / charts.len().max(1)).max(MIN_ROWS);
        let draw = |chart: &Chart| chart_text::draw(chart, self.columns, rows, self.colored, &self.settings.colors);
        Ok(charts.iter().map(draw).collect())
    }

    /// Puts text where the last one was.
    fn replace(&mut self, text: &str) -> anyhow::Result<()> {
        let mut out = String::new();
        if self.lines > 0 {
            // Up to the first line, and clear from there.
            out.push_str(&format!("\x1b[{}F\x1b[J", self.lines));
        }
        out.push_str(text);
        self.lines = text.lines().count();
        cli::print(&out)
    }
}

/// `text` in a color, if there are colors; on a dark background as on a light one, black is the terminal's own.
fn painted(text: &str, color: Option<Color>) -> String {
    const NEARLY_BLACK: u8 = 0x30;
    match color {
        Some(color) if color.0.iter().any(|part| *part > NEARLY_BLACK) => {
            format!("\x1b[38;5;{}m{text}\x1b[0m", palette_index(color))
        }
        _ => text.to_owned(),
    }
}

/// The nearest color of the 6×6×6 cube that terminals of 256 colors share.
fn palette_index(color: Color) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |part: u8| (0..6u8).min_by_key(|level| LEVELS[usize::from(*level)].abs_diff(part)).unwrap_or(0);
    let [red, green, blue] = color.0.map(nearest);
    16 + 36 * red + 6 * green + blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_the_nearest_of_the_cube() {
        assert_eq!(palette_index(Color([255, 255, 255])), 231);
        assert_eq!(palette_index(Color([0, 0, 0])), 16);
        assert_eq!(painted("x", Some(Color([0, 114, 178]))), "\u{1b}[38;5;25mx\u{1b}[0m");
        assert_eq!((painted("x", None), painted("x", Some(Color([0; 3])))), ("x".into(), "x".into()));
    }
}
