//! Progress of training on standard error: a bar in a terminal, otherwise a line per epoch.

use cli::Unit;
use events::Metrics;

pub struct Console {
    lines: cli::Report,
    bar: cli::Bar,
}

impl Console {
    pub fn new(quiet: bool) -> Self {
        Self::from(cli::Report::new(quiet))
    }

    /// Without a bar, even in a terminal.
    pub fn without_bar(quiet: bool) -> Self {
        Self::from(cli::Report::lines(quiet))
    }

    /// Prints the network's summary, in a terminal.
    pub fn introduce(&self, text: &str) {
        self.lines.show(text);
    }

    /// Starts an epoch of `steps` steps, of which `done` are done.
    pub fn begin_epoch(&self, epoch: usize, epochs: Option<u64>, steps: usize, done: usize) {
        self.bar.start(&title(epoch, epochs), Some(steps as u64), done as u64);
    }

    /// Advances the bar by one step.
    pub fn step(&self, loss: f64) {
        if self.bar.is_visible() {
            self.bar.add(1);
            self.bar.message(&format!("loss {loss:.3e}"));
        }
    }

    /// Prints the line of an epoch.
    pub fn end_epoch(&self, epoch: usize, epochs: Option<u64>, metrics: &Metrics, rows_per_second: f64) {
        let mut line = title(epoch, epochs);
        for (name, value) in metrics.iter().filter(|(name, _)| *name != "learning_rate") {
            line += &format!(" {name} {}", short(value));
        }
        line += &format!(" ({} rows/s)", short(rows_per_second));
        self.line(&line);
    }

    /// Prints a line, above the bar where there is one; nothing with `--quiet`.
    pub fn line(&self, line: &str) {
        self.lines.say(line);
    }

    /// A line that starts with the tool's name.
    pub fn note(&self, text: &str) {
        self.lines.note(text);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.clear();
    }
}

impl From<cli::Report> for Console {
    fn from(lines: cli::Report) -> Self {
        let bar = lines.bar(Unit::Steps);
        Self { lines, bar }
    }
}

fn title(epoch: usize, epochs: Option<u64>) -> String {
    match epochs {
        Some(epochs) => format!("epoch {epoch}/{epochs}"),
        None => format!("epoch {epoch}"),
    }
}

/// Four decimal places, or scientific notation where that suits the size.
pub fn short(x: f64) -> String {
    if x == 0.0 || (1e-3..1e4).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.3e}") }
}
