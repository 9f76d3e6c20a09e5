//! What a person sees while a run goes on, on standard error: a bar in a terminal, otherwise a line an epoch.

use events::Metrics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt,
    io::{IsTerminal, Write},
};

pub struct Report {
    mode: Mode,
}

enum Mode {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

impl Report {
    pub fn new(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, false) => Mode::Lines,
            (false, true) => {
                let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
                let style =
                    ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} steps, {rate}, {eta} left {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                            // Only a broken formatter refuses, and there is nobody to tell.
                            let _ = write!(out, "{:.0}/s", state.per_sec());
                        });
                bar.set_style(style);
                Mode::Bar(bar)
            }
        };
        Self { mode }
    }

    /// Lines alone, where nothing goes on that a bar could show.
    pub fn lines(quiet: bool) -> Self {
        Self { mode: if quiet { Mode::Quiet } else { Mode::Lines } }
    }

    /// What is about to be trained, for a person who watches.
    pub fn introduce(&self, text: &str) {
        if let Mode::Bar(bar) = &self.mode {
            bar.println(text.trim_end());
        }
    }

    /// An epoch of `steps` steps begins, of which `done` are done.
    pub fn begin(&self, epoch: usize, epochs: Option<u64>, steps: usize, done: usize) {
        if let Mode::Bar(bar) = &self.mode {
            bar.set_prefix(title(epoch, epochs));
            bar.set_length(steps as u64);
            bar.set_position(done as u64);
            bar.reset_eta();
        }
    }

    /// A step was made.
    pub fn step(&self, loss: f64) {
        if let Mode::Bar(bar) = &self.mode {
            bar.inc(1);
            bar.set_message(format!("loss {loss:.3e}"));
        }
    }

    /// An epoch ended.
    pub fn end(&self, epoch: usize, epochs: Option<u64>, metrics: &Metrics, rows_per_second: f64) {
        let mut line = title(epoch, epochs);
        for (name, value) in metrics.iter().filter(|(name, _)| *name != "learning_rate") {
            line += &format!(" {name} {}", short(value));
        }
        line += &format!(" ({} rows/s)", short(rows_per_second));
        self.say(&line);
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        let line = &cli::message_line(line);
        match &self.mode {
            Mode::Quiet => {}
            // Where standard error is closed there is nobody left to tell; `eprintln!` would panic.
            Mode::Lines => drop(std::io::stderr().write_all(format!("{line}\n").as_bytes())),
            Mode::Bar(bar) => bar.println(line),
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Mode::Bar(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }
}

fn title(epoch: usize, epochs: Option<u64>) -> String {
    match epochs {
        Some(epochs) => format!("epoch {epoch}/{epochs}"),
        None => format!("epoch {epoch}"),
    }
}

/// Four digits, as a person reads them.
pub fn short(x: f64) -> String {
    if x == 0.0 || (1e-3..1e4).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.3e}") }
}
