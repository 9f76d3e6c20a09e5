//! `--fail-if`: conditions on the best row under which a pipeline must stop.

use crate::{
    bound::Bound,
    numbers::{estimate, number},
    ranked::{RankedRows, no_metric},
    row::Row,
    settings::Settings,
};
use anyhow::{Context, anyhow, ensure};
use metrics::{Comparison, Estimate};
use runs::metric_name;
use std::str::FromStr;

/// `metric comparison bound`, for instance `val_loss>1.01*baseline`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    text: String,
    metric: String,
    comparison: Comparison,
    bound: Bound,
}

impl FromStr for Gate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        const USAGE: &str = "expected metric>bound (or <, >=, <=), for instance 'val_loss>1.01*baseline'";
        let split = Comparison::split(text);
        let (metric, comparison, bound) = split.with_context(|| format!("no comparison; {USAGE}"))?;
        let bound = Bound::parse(bound).map_err(|error| anyhow!("{error}; {USAGE}"))?;
        let metric = metric_name(metric.trim());
        ensure!(!metric.is_empty(), "no metric; {USAGE}");
        Ok(Self { text: text.trim().to_owned(), metric, comparison, bound })
    }
}

impl Gate {
    /// Whether its bound depends on the baseline.
    pub fn names_baseline(&self) -> bool {
        self.bound.factor != 0.0
    }

    /// The message of the failed gate, if its condition holds. A note on standard error says if there is no interval, or if
    /// only the means meet the condition.
    fn failure(&self, row: &Row, ranked: &RankedRows, settings: &Settings) -> anyhow::Result<Option<String>> {
        let candidate = self.estimate(row, ranked)?;
        let Bound { factor, constant } = self.bound;
        let baseline = match self.names_baseline() {
            true => Some(self.estimate(ranked.baseline()?, ranked)?.scaled(factor, constant)),
            false => None,
        };
        let bound = baseline.map_or(constant, |baseline| baseline.mean);
        let half_width = match &baseline {
            Some(baseline) => candidate.difference_half_width(baseline, settings.confidence),
            None => candidate.half_width(settings.confidence),
        };
        let difference = candidate.mean - bound;
        let message = format!("{}: {} in {}", self.text, number(candidate.mean), row.first().folder.display());
        Ok(match half_width {
            None => {
                let single = "a single run on one side: compared without an interval";
                cli::note(&format!("--fail-if {}: {single}", self.text));
                self.comparison.holds(difference, 0.0).then(|| format!("{message}, bound {}", number(bound)))
            }
            Some(half_width) => {
                let interval = estimate(difference, half_width);
                let message =
                    format!("{message}, mean of {}; bound {}, difference {interval}", candidate.n, number(bound));
                // A comparison holds over the whole interval where it holds at both ends.
                let fails = [-half_width, half_width].iter().all(|end| self.comparison.holds(difference + end, 0.0));
                if !fails && self.comparison.holds(difference, 0.0) {
                    cli::note(&format!("--fail-if {message}: passes, the interval includes 0"));
                }
                fails.then_some(message)
            }
        })
    }

    fn estimate(&self, row: &Row, ranked: &RankedRows) -> anyhow::Result<Estimate> {
        let estimate = row.estimate(&self.metric);
        let estimate = estimate.with_context(|| format!("--fail-if: {}", no_metric(&self.metric, &ranked.metrics)))?;
        let folder = row.first().folder.display();
        ensure!(estimate.mean.is_finite(), "--fail-if: {} is not a number in {folder}", self.metric);
        Ok(estimate)
    }
}

/// The conditions that hold of the best row.
///
/// # Errors
/// When there is no such row, no such metric, or no one baseline.
pub fn failures(gates: &[Gate], ranked: &RankedRows, settings: &Settings) -> anyhow::Result<Vec<String>> {
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    let row = ranked.best()?;
    let failures = gates.iter().filter_map(|gate| gate.failure(row, ranked, settings).transpose());
    failures.collect()
}
