//! `--fail-if`: conditions on metrics under which a pipeline must stop.

use anyhow::{Context, bail};
use metrics::Comparison;
use serde_json::{Map, Value};
use std::str::FromStr;

/// `metric comparison number`, for instance `mse>0.01`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    metric: String,
    comparison: Comparison,
    bound: f64,
}

impl FromStr for Gate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parsed = Comparison::split(text).and_then(|(metric, comparison, bound)| {
            Some(Self { metric: metric.trim().to_owned(), comparison, bound: bound.trim().parse().ok()? })
        });
        let valid = parsed.filter(|gate| !gate.metric.is_empty() && !gate.bound.is_nan());
        valid.with_context(|| format!("expected metric>number (or <, >=, <=), for instance mse>0.01; found {text:?}"))
    }
}

impl Gate {
    /// What holds, if the condition does: `mse = 0.5 > 0.1`.
    ///
    /// # Errors
    /// When there is no such metric, or it is not defined.
    fn failure(&self, metrics: &Map<String, Value>) -> anyhow::Result<Option<String>> {
        let Self { metric, comparison, bound } = self;
        let value = metrics.get(metric).with_context(|| {
            let known: Vec<_> = metrics.keys().map(String::as_str).collect();
            format!("--fail-if: no metric {metric:?}; there is {}", known.join(", "))
        })?;
        let Some(value) = value.as_f64() else { bail!("--fail-if: metric {metric:?} is {value}, not a number") };
        let holds = comparison.holds(value, *bound);
        Ok(holds.then(|| format!("{metric} = {value} {} {bound}", comparison.symbol())))
    }
}

/// The conditions that hold.
///
/// # Errors
/// As of one: an unknown metric is an error even where another condition holds.
pub fn failures(gates: &[Gate], metrics: &Map<String, Value>) -> anyhow::Result<Vec<String>> {
    gates.iter().filter_map(|gate| gate.failure(metrics).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_checked() {
        let metrics = Map::from_iter([("mse".to_string(), Value::from(0.5))]);
        for (text, fails) in
            [("mse>0.4", true), ("mse > 0.5", false), ("mse>=0.5", true), ("mse<0.5", false), ("mse<=5e-1", true)]
        {
            let gate: Gate = text.parse().expect(text);
            assert_eq!(gate.failure(&metrics).expect(text).is_some(), fails, "{text}");
        }
        for text in ["", "mse", "mse>", ">1", "mse>x", "mse=1", "mse>nan"] {
            assert!(text.parse::<Gate>().is_err(), "{text}");
        }
        assert!("mae>1".parse::<Gate>().expect("valid").failure(&metrics).is_err());
    }
}
