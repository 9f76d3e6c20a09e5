//! The last line of a run that a person started in a terminal: how it went, and where the model is.

use super::{Ended, Trainer};
use crate::{report, settings::FinalModel};
use std::{path::Path, time::Duration};

/// Shorter times are told in seconds.
const MINUTE: Duration = Duration::from_secs(60);

impl Trainer<'_> {
    /// None where an error tells the rest.
    pub(super) fn closing(&self, ended: &Ended) -> Option<String> {
        let progress = &self.progress;
        let (reason, left) = match ended {
            Ended::Finished => (progress.ended.as_ref()?.reason.clone(), self.model_left()),
            Ended::Signal(signal) => (format!("{} at step {}", signal.name, progress.steps), self.way_on()),
            Ended::Diverged(_) => return None,
        };
        let time = told(self.time_spent());
        let parts = [self.best().map(|best| format!("; {best}")), left.map(|left| format!("; {left}"))];
        Some(format!("{reason}{}; {time}\n", parts.into_iter().flatten().collect::<String>()))
    }

    /// The monitored metric at its best.
    fn best(&self) -> Option<String> {
        let monitor = self.monitor(self.settings.callbacks.checkpoint.monitor.as_deref());
        let (which, value, epoch) = match self.progress.best.first() {
            Some(best) => ("best", best.value, best.epoch),
            // Where no checkpoint is kept, the best is not known.
            None => self.progress.history.last().and_then(|row| Some(("last", row.get(monitor)?, row.epoch)))?,
        };
        Some(format!("{which} {monitor} {} (epoch {epoch})", report::short(value)))
    }

    fn model_left(&self) -> Option<String> {
        self.checkpoints.as_ref()?;
        let epoch = match (self.settings.callbacks.checkpoint.model, self.progress.best.first()) {
            (FinalModel::Best, Some(best)) => best.epoch,
            _ => self.progress.epochs,
        };
        let path = Path::new(&self.settings.trainer.run_dir).join(crate::folder::MODEL);
        Some(format!("{} has the weights of epoch {epoch}", path.display()))
    }

    fn way_on(&self) -> Option<String> {
        let saved = self.checkpoints.is_some() && self.settings.callbacks.checkpoint.save_last;
        saved.then(|| "trainer.resume=last goes on".to_owned())
    }
}

fn told(time: Duration) -> String {
    if time < MINUTE { format!("{:.1} s", time.as_secs_f64()) } else { cli::clock(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_person_reads_them() {
        let cases = [(1_240, "1.2 s"), (59_900, "59.9 s"), (60_000, "00:01:00"), (3_723_000, "01:02:03")];
        for (milliseconds, expected) in cases {
            assert_eq!(told(Duration::from_millis(milliseconds)), expected);
        }
    }
}
