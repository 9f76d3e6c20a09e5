//! Sending what an earlier invocation left.

use crate::{
    delivery::Delivery,
    mlflow::Failure,
    settings::Settings,
    spool::{self, Spool},
};
use anyhow::{Context, bail, ensure};
use cli::{Common, Outcome};
use std::{path::Path, sync::Arc, thread, time::Instant};

/// Sends the spool at `folder`, or all spools in it, with the settings that each was made with and the
/// command line's above them. One that cannot be sent does not hold back the others.
///
/// # Errors
/// When something could not be sent; it stays.
pub fn run(folder: &Path, mut common: Common) -> anyhow::Result<Outcome> {
    let mut trouble = None;
    for folder in spool::find(folder)? {
        match send_all(&folder, &mut common) {
            Ok(()) => {}
            Err(error) => {
                let earlier = trouble.replace(error);
                earlier.into_iter().for_each(|error| cli::note(&format!("{error:#}")));
            }
        }
    }
    trouble.map_or(Ok(Outcome::Done), Err)
}

fn send_all(folder: &Path, common: &mut Common) -> anyhow::Result<()> {
    // The spool first: while another track has it, its settings say nothing.
    let spool = Arc::new(Spool::open(folder)?);
    common.sources.file = Some(spool::config_file(folder)?);
    let Some(document) = common.settings_unless_shown([])? else { return Ok(()) };
    let settings = Settings::read(&document)?;
    let delivery = Delivery::new(Arc::clone(&spool), settings.clone())?;
    send(delivery, &settings).with_context(|| format!("{}: not all is sent", folder.display()))?;
    spool.remove()
}

fn send(mut delivery: Delivery, settings: &Settings) -> anyhow::Result<()> {
    let deadline = Instant::now() + settings.wait.0;
    let mut pause = settings.retry_first.0;
    loop {
        match delivery.advance(true) {
            Ok(()) => break,
            Err(Failure::Unreachable(_)) if Instant::now() + pause < deadline => thread::sleep(pause),
            Err(failure) => bail!("{failure}"),
        }
        pause = (pause * 2).min(settings.retry_max.0);
    }
    ensure!(delivery.runs() > 0, "no run is in it; if none ever began, remove it");
    Ok(())
}
