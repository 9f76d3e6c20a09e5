//! Checks before the first job is written: a misspelled key is then one error, and not many failed jobs.

use crate::{form::Form, jobs::Jobs, run_dir};
use anyhow::{Context, bail};
use config::{Document, Sources};
use events::{Event, Status};
use std::{
    collections::{HashMap, HashSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Checks that each job can be written and, with `sources`, composed, and that no two share a run folder. Warnings go
/// to standard error. With `skip_done`, returns the numbers of the jobs whose run has finished.
///
/// # Errors
/// Names the first job that fails, and why.
pub fn check(jobs: &Jobs, sources: Option<&Sources>, skip_done: bool, form: Form) -> anyhow::Result<HashSet<usize>> {
    let mut done = HashSet::new();
    let mut folders = HashMap::new();
    let mut noted = HashSet::new();
    let mut scratch = String::new();
    for job in jobs.iter() {
        scratch.clear();
        form.write(&job, &mut scratch).with_context(|| jobs.location(&job))?;
        if let Some(folder) = run_dir::of(&job.overrides)
            && let Some(first) = folders.insert(folder.to_owned(), job.number)
        {
            let both = format!("jobs {first} and {}", job.number);
            bail!("{both} share a run folder: {folder}; --run-dir, in the last sweep of a pipe, gives each its own");
        }
        if let Some(sources) = sources {
            let document = config::compose_for_tools(sources, &job.overrides).with_context(|| jobs.location(&job))?;
            for warning in document.warnings() {
                // A warning that many jobs share is printed for the first.
                if noted.insert(warning.clone()) {
                    cli::note(&format!("{}: {warning}", jobs.location(&job)));
                }
            }
            if skip_done && is_done(&document).with_context(|| jobs.location(&job))? {
                done.insert(job.number);
            }
        }
    }
    Ok(done)
}

/// Whether the job's run folder holds a run that finished, with the settings that the job has today.
fn is_done(document: &Document) -> anyhow::Result<bool> {
    let folder: PathBuf = document.section(run_dir::KEY)?;
    if !has_finished(&folder.join("events.ndjson"))? {
        return Ok(false);
    }
    let recorded = folder.join("config.yaml");
    if !recorded.exists() {
        return Ok(false);
    }
    let recorded = config::compose(&Sources { file: Some(recorded), ..Sources::default() }, &[])?;
    // A tool records its own groups; a job may have more.
    let groups = recorded.get("").and_then(|root| root.as_map());
    Ok(groups.is_some_and(|groups| groups.iter().all(|(group, value)| document.get(group) == Some(value))))
}

/// Whether the last event of a run log is a good end. A log that is damaged is not.
fn has_finished(log: &Path) -> anyhow::Result<bool> {
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(false),
        Err(error) => return Err(error).with_context(|| log.display().to_string()),
    };
    let last = text.lines().next_back().map(Event::from_line);
    Ok(matches!(last, Some(Ok(Some(Event::End(end)))) if end.status == Status::Finished))
}
