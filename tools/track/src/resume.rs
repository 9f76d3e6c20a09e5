//! Sending what an earlier invocation left.

use crate::{
    delivery::Delivery,
    mlflow::Failure,
    settings::Settings,
    spool::{self, Spool},
};
use anyhow::{Context, bail};
use cli::{Common, Outcome};
use std::{path::Path, sync::Arc, thread, time::Instant};

/// Sends the spool at `folder`, or all spools in it, with the settings that each was made with and the
/// command line's above them.
///
/// # Errors
/// When something could not be sent; it stays.
pub fn run(folder: &Path, mut common: Common) -> anyhow::Result<Outcome> {
    for folder in spool::find(folder)? {
        common.sources.file = Some(spool::config_file(&folder));
        let Some(document) = common.settings(&[])? else { return Ok(Outcome::Done) };
        let settings = Settings::read(&document)?;
        let spool = Arc::new(Spool::open(&folder)?);
        let delivery = Delivery::new(Arc::clone(&spool), settings.clone())?;
        send(delivery, &settings).with_context(|| format!("{}: not all is sent", folder.display()))?;
        spool.remove()?;
    }
    Ok(Outcome::Done)
}

fn send(mut delivery: Delivery, settings: &Settings) -> anyhow::Result<()> {
    let deadline = Instant::now() + settings.wait.0;
    let mut pause = settings.retry_first.0;
    loop {
        match delivery.advance(true) {
            Ok(()) => return Ok(()),
            Err(Failure::Unreachable(_)) if Instant::now() + pause < deadline => thread::sleep(pause),
            Err(failure) => bail!("{failure}"),
        }
        pause = (pause * 2).min(settings.retry_max.0);
    }
}
