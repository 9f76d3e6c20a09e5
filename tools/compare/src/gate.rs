//! Gates: conditions on the best row under which a pipeline must stop.

use crate::{
    expression::Bound,
    format::{self, number},
    ranking::{Ranking, no_metric},
    row::Row,
    settings::Settings,
};
use anyhow::{Context, ensure};
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage =
            |what: &str| format!("{what}; expected metric>bound (or <, >=, <=), for instance 'val_loss>1.01*baseline'");
        let (metric, comparison, bound) = Comparison::split(text).ok_or_else(|| usage("no comparison"))?;
        let bound = Bound::parse(bound).map_err(|problem| usage(&problem))?;
        let metric = metric_name(metric.trim());
        if metric.is_empty() {
            return Err(usage("no metric"));
        }
        Ok(Self { text: text.trim().to_owned(), metric, comparison, bound })
    }
}

impl Gate {
    /// Whether its bound depends on the baseline.
    pub fn names_baseline(&self) -> bool {
        self.bound.factor != 0.0
    }

    /// Why the row fails, if the condition holds. What a person should know of how that was found is told.
    fn failure(&self, row: &Row, ranking: &Ranking, settings: &Settings) -> anyhow::Result<Option<String>> {
        let candidate = self.estimate(row, ranking)?;
        let Bound { factor, constant } = self.bound;
        let baseline = match self.names_baseline() {
            true => Some(self.estimate(ranking.baseline()?, ranking)?.scaled(factor, constant)),
            false => None,
        };
        let bound = baseline.map_or(constant, |baseline| baseline.mean);
        let half_width = match &baseline {
            Some(baseline) => candidate.difference_half_width(baseline, settings.confidence),
            None => candidate.half_width(settings.confidence),
        };
        let difference = candidate.mean - bound;
        let told = format!("{}: {} in {}", self.text, number(candidate.mean), row.first().folder.display());
        Ok(match half_width {
            None => {
                let several = "a single run on one side: compared without an interval";
                cli::note(&format!("--fail-if {}: {several}", self.text));
                self.comparison.holds(difference, 0.0).then(|| format!("{told}, bound {}", number(bound)))
            }
            Some(half_width) => {
                let interval = format::estimate(difference, half_width);
                let told = format!("{told}, mean of {}; bound {}, difference {interval}", candidate.n, number(bound));
                // All over the interval.
                let fails = [-half_width, half_width].iter().all(|end| self.comparison.holds(difference + end, 0.0));
                if !fails && self.comparison.holds(difference, 0.0) {
                    cli::note(&format!("--fail-if {told}: passes, the interval includes 0"));
                }
                fails.then_some(told)
            }
        })
    }

    fn estimate(&self, row: &Row, ranking: &Ranking) -> anyhow::Result<Estimate> {
        let estimate = row.estimate(&self.metric);
        let estimate = estimate.with_context(|| format!("--fail-if: {}", no_metric(&self.metric, &ranking.metrics)))?;
        let folder = row.first().folder.display();
        ensure!(estimate.mean.is_finite(), "--fail-if: {} is not a number in {folder}", self.metric);
        Ok(estimate)
    }
}

/// Why the best row fails.
///
/// # Errors
/// When there is no such row, no such metric, or no one baseline.
pub fn failures(gates: &[Gate], ranking: &Ranking, settings: &Settings) -> anyhow::Result<Vec<String>> {
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    let row = ranking.best()?;
    let failures = gates.iter().filter_map(|gate| gate.failure(row, ranking, settings).transpose());
    failures.collect()
}
