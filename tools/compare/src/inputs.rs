//! The run folders of the command line, of standard input and of `--baseline`.

use anyhow::{Context, ensure};
use runs::Run;
use std::{
    collections::HashSet,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Limit on the paths on standard input, in bytes.
const MAX_PATHS: u64 = 64 << 20;

/// A run of the inputs, or of the baseline.
pub struct Source {
    pub run: Run,
    pub is_baseline: bool,
}

/// Reads the runs at or below the inputs and those of the baseline, each once; a run of both is the baseline's.
///
/// # Errors
/// When there are none below an input, or one cannot be read.
pub fn read(inputs: &[Option<PathBuf>], baseline: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut seen = HashSet::new();
    let mut sources = Vec::new();
    for path in baseline {
        add(path, true, &mut seen, &mut sources).context("--baseline")?;
    }
    for input in inputs {
        match input {
            Some(path) => add(path, false, &mut seen, &mut sources)?,
            None => paths()?.iter().try_for_each(|path| add(path, false, &mut seen, &mut sources))?,
        }
    }
    // The baseline was read first, but comes last among equal rows.
    sources.sort_by_key(|source| source.is_baseline);
    Ok(sources)
}

fn add(path: &Path, is_baseline: bool, seen: &mut HashSet<PathBuf>, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let folders = runs::find(path)?;
    ensure!(
        !folders.is_empty(),
        "{}: no run folders there; a run folder holds config.yaml, and metrics.json or events.ndjson",
        path.display()
    );
    for folder in folders {
        let same = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if seen.insert(same) {
            sources.push(Source { run: Run::read(&folder)?, is_baseline });
        }
    }
    Ok(())
}

/// Paths on standard input, one a line.
fn paths() -> anyhow::Result<Vec<PathBuf>> {
    let mut text = String::new();
    io::stdin().take(MAX_PATHS).read_to_string(&mut text).context("stdin: the paths of run folders")?;
    let paths: Vec<PathBuf> = text.lines().filter(|line| !line.is_empty()).map(PathBuf::from).collect();
    ensure!(!paths.is_empty(), "stdin: empty; name run folders, or write their paths there, one a line");
    Ok(paths)
}
