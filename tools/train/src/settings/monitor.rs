//! Names of the metrics that a `monitor` can be.

use super::TrainerSettings;
use crate::evaluate;
use anyhow::bail;

/// Metrics of an epoch, by the settings alone: with few rows the validation split may turn out empty.
pub fn names(trainer: &TrainerSettings) -> Vec<String> {
    let validated = if trainer.validates() { evaluate::names(trainer.loss()) } else { &[] };
    let training = ["train_loss", "learning_rate"].map(str::to_owned);
    training.into_iter().chain(validated.iter().map(|name| evaluate::name("val", name))).collect()
}

/// # Errors
/// When the setting `who.monitor` names none of the metrics that are `known`.
pub fn check(who: &str, monitor: Option<&str>, known: &[String]) -> anyhow::Result<()> {
    let Some(name) = monitor.filter(|name| !known.iter().any(|known| known == name)) else { return Ok(()) };
    let known = || known.iter().map(String::as_str);
    match config::did_you_mean(name, known()) {
        near if near.is_empty() => {
            bail!(
                "{who}.monitor: {name} is no metric of this run; there are {}",
                known().collect::<Vec<_>>().join(", ")
            )
        }
        near => bail!("{who}.monitor: {name} is no metric of this run{near}"),
    }
}
