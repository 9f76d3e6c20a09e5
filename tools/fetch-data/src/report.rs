//! What a person sees while data comes in, on standard error: lines, and a bar in a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

pub struct Report {
    quiet: bool,
    terminal: bool,
}

/// How bytes and rows are counted in a bar.
const BYTES: &str = "{prefix} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
const ROWS: &str = "{prefix} {bar:24} {pos}/{len} rows, {per_sec}, {eta} left";

impl Report {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            // Where standard error is closed there is nobody left to tell; `eprintln!` would panic.
            let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        }
    }

    /// What the user may want to mend, though the work goes on: a line that begins as an error does.
    pub fn warn(&self, line: &str) {
        if !self.quiet {
            cli::complain("fetch-data", line);
        }
    }

    /// A bar over bytes, of which `done` are there.
    pub fn bytes(&self, what: &str, total: Option<u64>, done: u64) -> Bar {
        let bar = self.bar(BYTES, what, total);
        bar.0.set_position(done);
        bar.0.reset_eta();
        bar
    }

    /// A bar over rows.
    pub fn rows(&self, what: &str, total: u64) -> Bar {
        self.bar(ROWS, what, Some(total))
    }

    fn bar(&self, template: &str, what: &str, total: Option<u64>) -> Bar {
        let visible = self.terminal && !self.quiet;
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Bar(ProgressBar::with_draw_target(total, target).with_style(style).with_prefix(what.to_owned()))
    }
}

/// A bar, which goes away with its value.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn add(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
