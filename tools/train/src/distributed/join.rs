//! Joining the ranks of a run.

use super::Ranks;
use crate::{
    data::DataModule,
    device::Device,
    settings::{Launcher, Settings},
};
use anyhow::ensure;
use collective::Launch;

/// Which rank of which job this process is; None where it runs alone.
///
/// # Errors
/// When the launcher's variables, or the settings, do not allow it.
pub fn detect(settings: &Settings, reads_stdin: bool) -> anyhow::Result<Option<Launch>> {
    if settings.trainer.distributed.launcher == Launcher::None {
        return Ok(None);
    }
    let launch = Launch::detect()?;
    if let Some(launch) = &launch {
        check(launch.size, settings.trainer.accumulate_batches, reads_stdin)?;
    }
    Ok(launch)
}

fn check(ranks: usize, batches: u64, reads_stdin: bool) -> anyhow::Result<()> {
    let multiple = batches.next_multiple_of(ranks as u64);
    ensure!(
        batches == multiple,
        "{ranks} ranks divide the trainer.accumulate_batches of a step among them, and {ranks} does not divide {batches}; \
         give trainer.accumulate_batches={multiple} (with a smaller trainer.batch_size for the same rows a step), or \
         trainer.distributed.launcher=none for {ranks} runs of their own"
    );
    ensure!(!reads_stdin, "{ranks} ranks cannot all read standard input; give the rows as a file");
    Ok(())
}

/// Joins the others, and checks that all have the same program, settings, data and kind of device.
///
/// # Errors
/// When a rank does not come in time, or differs.
pub fn join(launch: Option<&Launch>, settings: &Settings, data: &DataModule, device: &Device) -> anyhow::Result<Ranks> {
    let Some(launch) = launch else { return Ok(Ranks::alone()) };
    let connected = collective::connect(launch, settings.trainer.distributed.timeout());
    let mut ranks = Ranks::new(connected.map_err(|problem| match problem {
        // A machine may come later than the others.
        collective::Error::Missing { .. } => cli::Transient::new(problem.to_string()).into(),
        problem => anyhow::Error::from(problem),
    })?);
    let values = [
        ("version of train", env!("CARGO_PKG_VERSION")),
        ("configuration (settings)", settings.yaml.as_str()),
        ("data set", data.sha256()?),
        ("device (trainer.device)", device.kind()),
    ];
    ranks.run(|ranks| collective::check_identity(ranks, &values))?;
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_error_names_a_number_of_batches_that_works() {
        for (ranks, batches, works) in [(2, 1, 2), (2, 3, 4), (3, 4, 6), (4, 2, 4)] {
            let problem = check(ranks, batches, false).unwrap_err().to_string();
            assert!(problem.contains(&format!("trainer.accumulate_batches={works} ")), "{problem}");
            check(ranks, works, false).unwrap();
        }
        assert!(check(2, 2, true).unwrap_err().to_string().contains("standard input"));
    }
}
