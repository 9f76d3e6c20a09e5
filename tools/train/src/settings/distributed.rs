//! `trainer.distributed`: several processes as the ranks of one run.

use super::wall_time::WallTime;
use anyhow::ensure;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub struct DistributedSettings {
    pub launcher: Launcher,
    timeout: WallTime,
}

/// Whether the variables of a launcher are read.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Launcher {
    Auto,
    None,
}

/// As in `configs/trainer/default.yaml`.
impl Default for DistributedSettings {
    fn default() -> Self {
        const FIVE_MINUTES: Duration = Duration::from_secs(300);
        Self { launcher: Launcher::Auto, timeout: WallTime(FIVE_MINUTES) }
    }
}

impl DistributedSettings {
    /// Longest wait for another rank.
    pub fn timeout(&self) -> Duration {
        self.timeout.0
    }

    pub fn check(&self) -> anyhow::Result<()> {
        const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
        ensure!(
            (Duration::from_millis(1)..=LONGEST).contains(&self.timeout()),
            "trainer.distributed.timeout: expected a time of at least 1ms and at most 7days"
        );
        Ok(())
    }
}
