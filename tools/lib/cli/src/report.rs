//! What a tool reports on standard error while it works: lines, and a progress bar in a terminal.

use crate::{message, notes};
use indicatif::{FormattedDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt,
    io::{self, IsTerminal},
    time::Duration,
};

/// Lines and progress bars on standard error. Writing never fails: a closed standard error is ignored.
///
/// ```
/// let report = cli::Report::new(false);
/// let bar = report.bar(cli::Unit::Rows);
/// bar.start("train.npy", Some(100), 0); // drawn only where standard error is a terminal
/// bar.add(100);
/// report.say("train.npy: 100 rows");
/// ```
#[derive(Debug)]
pub struct Report {
    quiet: bool,
    /// Where bars are drawn; none where standard error is no terminal.
    bars: Option<MultiProgress>,
}

/// What a progress bar counts, and how it shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `12.3 MiB/170 MiB, 8.1 MiB/s`
    Bytes,
    /// `1200/50000 rows, 900/s`
    Rows,
    /// `120/500 steps, 90/s`, and a message.
    Steps,
}

impl Report {
    /// Lines, and bars where standard error is a terminal; neither if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bars = (!quiet && io::stderr().is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { quiet, bars }
    }

    /// Lines only, for work without progress; nothing if `quiet`.
    pub fn lines(quiet: bool) -> Self {
        Self { quiet, bars: None }
    }

    /// A line, above the bars where there are any.
    pub fn say(&self, line: &str) {
        self.write(&message::line(line));
    }

    /// A line that begins with the tool's name, as an error does: something the user may want to change.
    pub fn note(&self, text: &str) {
        self.write(&notes::with_name(text));
    }

    /// Lines for a person who watches, written as they are; nothing where standard error is no terminal.
    pub fn show(&self, text: &str) {
        if self.bars.is_some() {
            self.write(text.trim_end());
        }
    }

    fn write(&self, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => drop(bars.println(text)),
            None => notes::write(text),
        }
    }

    /// A progress bar, drawn from [`Bar::start`] on until it is dropped.
    pub fn bar(&self, unit: Unit) -> Bar {
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::no_length()),
            None => ProgressBar::hidden(),
        };
        Bar(bar.with_style(unit.style()))
    }
}

impl Unit {
    fn style(self) -> ProgressStyle {
        let template = match self {
            Self::Bytes => "{prefix} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            Self::Rows => "{prefix} {bar:24} {pos}/{len} rows, {per_sec}, {eta} left",
            Self::Steps => "{prefix} {bar:24} {pos}/{len} steps, {rate}, {eta} left {msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Only a broken formatter refuses, and there is nobody to tell.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
    }
}

/// A progress bar; invisible where standard error is no terminal.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Starts, or starts again, at `done` of `total`; none is an unknown total. The rate is measured from here.
    pub fn start(&self, title: &str, total: Option<u64>, done: u64) {
        self.0.set_prefix(title.to_owned());
        match total {
            Some(total) => self.0.set_length(total),
            None => self.0.unset_length(),
        }
        self.0.set_position(done);
        self.0.reset_eta();
    }

    /// Adds to what is done.
    pub fn add(&self, count: u64) {
        self.0.inc(count);
    }

    /// Whether it is drawn; what only [`Bar::message`] needs can be left out otherwise.
    pub fn is_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// What stands behind the bar of [`Unit::Steps`].
    pub fn message(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Removes it from the terminal.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A duration as a progress bar writes it: `01:02:03`, `2d 01:02:03`.
pub fn clock(duration: Duration) -> String {
    FormattedDuration(duration).to_string()
}
