//! What is written of the models, in the encoding that was asked for.

use crate::{
    data,
    device::Device,
    report::Report,
    run::{self, Run},
    table::{self, Style},
};
use anyhow::ensure;
use cli::Encoding;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// All that is written.
pub struct Written {
    pub reports: Vec<Report>,
    /// With `--run`.
    pub runs: Option<Vec<Run>>,
    pub device: Device,
    /// Of a table.
    pub max_rows: usize,
}

impl Written {
    /// The text; for standard output, a table fits the terminal.
    ///
    /// # Errors
    /// When it cannot be encoded, which does not happen for finite numbers.
    pub fn encoded(&self, encoding: Encoding, is_stdout: bool) -> anyhow::Result<String> {
        match (encoding, &self.runs) {
            (Encoding::Table, _) => Ok(self.tables(Style::Text { width: is_stdout.then(terminal_width).flatten() })),
            (Encoding::Markdown, _) => Ok(self.tables(Style::Markdown)),
            (Encoding::Csv, Some(runs)) => run::csv(runs),
            (Encoding::Csv, None) => data::csv(&self.reports),
            (Encoding::Json, runs) => data::json(&self.reports, runs.as_deref(), &self.device),
        }
    }

    fn tables(&self, style: Style) -> String {
        match &self.runs {
            Some(runs) => run::tables(runs, self.max_rows, style),
            None => table::tables(&self.reports, &self.device, self.max_rows, style),
        }
    }
}

fn terminal_width() -> Option<usize> {
    let is_terminal = std::io::stdout().is_terminal();
    let size = console::Term::stdout().size_checked().filter(|_| is_terminal);
    size.map(|(_, columns)| columns.into())
}

/// Refuses to replace a model by what is told of it.
///
/// # Errors
/// When `out` is one of `inputs`.
pub fn check(out: Option<&Path>, inputs: &[Option<PathBuf>]) -> anyhow::Result<()> {
    let Some(out) = out else { return Ok(()) };
    let is_input = inputs.iter().flatten().any(|input| files::is_same_file(input, out));
    ensure!(!is_input, "--out {}: the model is that file; name another with --out", out.display());
    Ok(())
}
