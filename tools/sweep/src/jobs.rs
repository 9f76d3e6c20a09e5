//! The jobs: each job of the input file, or a single one, multiplied by the sweeps of the command line.

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

/// Largest line of the input, in bytes; a longer command can rarely be started.
const MOST_BYTES: u64 = 1 << 20;

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its index in the whole sweep, from 0.
    #[serde(rename = "job")]
    pub number: usize,
    /// Its overrides, of one value each.
    pub overrides: Vec<String>,
    /// The line of the input that it comes from, from 1; none without an input.
    #[serde(skip)]
    pub line: Option<usize>,
}

/// All jobs, as grids: a job is built when it is iterated over.
pub struct Jobs {
    /// The input's name in messages.
    name: String,
    /// One grid for each line of the input, or the command line's own.
    grids: Vec<(Option<usize>, Grid)>,
    /// The folder of the jobs' run folders.
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

    /// Multiplies each line's job by the grid of the command line.
    fn multiply(
        &mut self,
        mut lines: impl BufRead,
        swept: &Grid,
        sweeper: &mut Sweeper<'_>,
        most: usize,
    ) -> anyhow::Result<()> {
        for number in 1.. {
            let location = || format!("{}:{number}", self.name);
            let Some(line) = next_line(&mut lines).with_context(location)? else { break };
            let words = shlex::split(&line).with_context(|| format!("{}: a quote is not closed", location()))?;
            if words.is_empty() {
                continue;
            }
            let grid = sweeper.grid(&words).with_context(location)?;
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

    /// Sets `trainer.run_dir` of each job to a folder below `folder`.
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

    /// Where a job comes from, for a message: `jobs.txt:3`, or `job 2`.
    pub fn location(&self, job: &Job) -> String {
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
