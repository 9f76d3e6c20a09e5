//! What a person sees while a run goes on, on standard error: a bar in a terminal, otherwise a line an epoch.

use cli::Unit;
use events::Metrics;

pub struct Report {
    lines: cli::Report,
    bar: cli::Bar,
}

impl Report {
    pub fn new(quiet: bool) -> Self {
        Self::from(cli::Report::new(quiet))
    }

    /// Lines alone, where nothing goes on that a bar could show.
    pub fn lines(quiet: bool) -> Self {
        Self::from(cli::Report::lines(quiet))
    }

    /// What is about to be trained, for a person who watches.
    pub fn introduce(&self, text: &str) {
        self.lines.show(text);
    }

    /// An epoch of `steps` steps begins, of which `done` are done.
    pub fn begin(&self, epoch: usize, epochs: Option<u64>, steps: usize, done: usize) {
        self.bar.start(&title(epoch, epochs), Some(steps as u64), done as u64);
    }

    /// A step was made.
    pub fn step(&self, loss: f64) {
        if self.bar.is_visible() {
            self.bar.add(1);
            self.bar.message(&format!("loss {loss:.3e}"));
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
        self.lines.say(line);
    }

    /// A line of its own that begins with the tool's name.
    pub fn note(&self, text: &str) {
        self.lines.note(text);
    }

    /// The run is over.
    pub fn finish(&self) {
        self.bar.clear();
    }
}

impl From<cli::Report> for Report {
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

/// Four digits, as a person reads them.
pub fn short(x: f64) -> String {
    if x == 0.0 || (1e-3..1e4).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.3e}") }
}
