//! `--resume`: sending the spools of earlier invocations.

use crate::{
    mlflow::Error,
    settings::Settings,
    spool::{self, Spool},
    upload::Uploader,
};
use anyhow::{Context, bail, ensure};
use cli::{Common, Outcome, Transient};
use std::{path::Path, sync::Arc, thread, time::Instant};

/// Sends the spool at `folder`, or all spools in it. The settings are those of each spool, overridden by the command
/// line. If a spool cannot be sent, the others still are.
///
/// # Errors
/// If a spool cannot be sent completely; it stays. The last such error is returned, earlier ones are printed.
pub fn run(folder: &Path, mut common: Common) -> anyhow::Result<Outcome> {
    let mut failed = None;
    for folder in spool::find(folder)? {
        if let Err(error) = send_spool(&folder, &mut common) {
            let earlier = failed.replace(error);
            earlier.into_iter().for_each(|error| cli::note(&cli::describe(&error)));
        }
    }
    failed.map_or(Ok(Outcome::Done), Err)
}

fn send_spool(folder: &Path, common: &mut Common) -> anyhow::Result<()> {
    // Lock the spool before its settings are read: another process may be writing them.
    let spool = Arc::new(Spool::open(folder)?);
    common.sources.file = Some(spool::config_file(folder)?);
    let Some(document) = common.settings_unless_shown([])? else { return Ok(()) };
    let settings = Settings::read(&document)?;
    let uploader = Uploader::new(Arc::clone(&spool), settings.clone())?;
    upload(uploader, &settings).with_context(|| format!("{}: not all events were sent", folder.display()))?;
    spool.remove()
}

/// Uploads everything, with retries until `tracking.wait` has passed.
fn upload(mut uploader: Uploader, settings: &Settings) -> anyhow::Result<()> {
    let deadline = Instant::now() + settings.wait.0;
    let mut pause = settings.retry_first.0;
    loop {
        match uploader.advance(true) {
            Ok(()) => break,
            Err(Error::Unavailable(_)) if Instant::now() + pause < deadline => thread::sleep(pause),
            Err(Error::Unavailable(reason)) => bail!(Transient::new(reason)),
            Err(Error::Local(error)) => return Err(error),
            Err(error) => return Err(error.into()),
        }
        pause = (pause * 2).min(settings.retry_max.0);
    }
    ensure!(uploader.runs() > 0, "it has no run; delete the folder if no run ever started");
    Ok(())
}
