//! The jobs: those of a file, or one, times the sweeps of the command line.

use crate::run_dir;
use anyhow::{Context, bail, ensure};
use cli::Common;
use config::{Grid, Sweeper};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// Bytes of a line; a command of more can seldom be started.
const MOST_BYTES: u64 = 1 << 20;

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its place in the whole sweep, from 0.
    #[serde(rename = "job")]
    pub number: usize,
    /// Its settings, one value each.
    pub overrides: Vec<String>,
    /// The line of the input that it comes from.
    #[serde(skip)]
    pub line: Option<usize>,
}

/// All jobs, made as they are asked for.
pub struct Jobs {
    /// What messages call the input.
    name: String,
    /// One a line of the input, or the command line's own.
    grids: Vec<(Option<usize>, Grid)>,
    /// Where jobs get their run folders.
    folder: Option<String>,
}

impl Jobs {
    /// # Errors
    /// Names the override, or the line, at fault; more than `most` jobs.
    pub fn read(common: &Common, mut sweeper: Sweeper<'_>, most: usize) -> anyhow::Result<Self> {
        let swept = sweeper.grid(&common.overrides)?;
        let mut jobs = Self { name: "stdin".into(), grids: Vec::new(), folder: None };
        match &common.input {
            Some(path) => {
                jobs.name = path.display().to_string();
                jobs.multiply(open(path).with_context(|| jobs.name.clone())?, &swept, &mut sweeper, most)?;
            }
            None if common.names_stdin => {
                cli::note_if_terminal("jobs");
                jobs.multiply(io::stdin().lock(), &swept, &mut sweeper, most)?;
            }
            None if common.overrides.is_empty() => bail!("nothing to sweep over; give settings, e.g. trainer.seed=0,1"),
            None => jobs.grids.push((None, swept)),
        }
        jobs.ensure_at_most(most)?;
        Ok(jobs)
    }

    /// Multiplies each line's job by what is `swept`.
    fn multiply(
        &mut self,
        mut lines: impl BufRead,
        swept: &Grid,
        sweeper: &mut Sweeper<'_>,
        most: usize,
    ) -> anyhow::Result<()> {
        for number in 1.. {
            let place = || format!("{}:{number}", self.name);
            let Some(line) = next_line(&mut lines).with_context(place)? else { break };
            let words = shlex::split(&line).with_context(|| format!("{}: a quote is not closed", place()))?;
            if words.is_empty() {
                continue;
            }
            let grid = sweeper.grid(&words).with_context(place)?;
            self.grids.push((Some(number), grid.with(swept)));
            ensure!(self.grids.len() <= most, too_many(most));
        }
        Ok(())
    }

    fn ensure_at_most(&self, most: usize) -> anyhow::Result<()> {
        let jobs = self.grids.iter().fold(0, |jobs: usize, (_, grid)| jobs.saturating_add(grid.jobs()));
        ensure!(jobs <= most, too_many(most));
        Ok(())
    }

    /// Gives each job a run folder in `folder`.
    pub fn in_folders(self, folder: Option<String>) -> Self {
        Self { folder, ..self }
    }

    /// Each job in turn.
    pub fn iter(&self) -> impl Iterator<Item = Job> {
        let parts = self.grids.iter().flat_map(|(line, grid)| (0..grid.jobs()).map(move |index| (line, grid, index)));
        parts.enumerate().map(|(number, (line, grid, index))| {
            let overrides = grid.job(index).into_iter().map(str::to_owned).collect();
            Job { number, overrides: run_dir::added(overrides, self.folder.as_deref()), line: *line }
        })
    }

    /// Where a job comes from, for a message: its line, or its number.
    pub fn place(&self, job: &Job) -> String {
        match job.line {
            Some(line) => format!("{}:{line}", self.name),
            None => format!("job {}", job.number),
        }
    }
}

fn too_many(most: usize) -> String {
    format!("more than {most} jobs; --max-jobs sets the limit")
}

/// The next line, without its end.
fn next_line(lines: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut line = Vec::new();
    // One byte too many is enough to see that there are.
    lines.take(MOST_BYTES + 1).read_until(b'\n', &mut line)?;
    ensure!(line.len() as u64 <= MOST_BYTES, "longer than {MOST_BYTES} bytes, which is no job");
    let line = String::from_utf8(line).context("not UTF-8")?;
    Ok((!line.is_empty()).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(BufReader::new(file))
}
