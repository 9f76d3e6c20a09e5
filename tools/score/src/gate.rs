//! Conditions on metrics under which a pipeline must stop.

use anyhow::{Context, bail};
use metrics::Comparison;
use serde_json::{Map, Value};
use std::str::FromStr;

/// `metric comparison number`, for instance `mse>0.01`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    metric: String,
    comparison: Comparison,
    limit: f64,
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("expected metric>number (or <, >=, <=), for instance mse>0.01; found {text:?}");
        let (metric, comparison, limit) = Comparison::split(text).ok_or_else(usage)?;
        let limit: f64 = limit.trim().parse().map_err(|_| usage())?;
        let metric = metric.trim().to_string();
        if metric.is_empty() || limit.is_nan() { Err(usage()) } else { Ok(Self { metric, comparison, limit }) }
    }
}

impl Gate {
    /// Why the run fails, if the condition holds.
    ///
    /// # Errors
    /// When there is no such metric, or it is undefined.
    pub fn failure(&self, metrics: &Map<String, Value>) -> anyhow::Result<Option<String>> {
        let Self { metric, comparison, limit } = self;
        let value = metrics.get(metric).with_context(|| {
            let known: Vec<_> = metrics.keys().map(String::as_str).collect();
            format!("--fail-if: no metric {metric:?}; there is {}", known.join(", "))
        })?;
        let Some(value) = value.as_f64() else { bail!("--fail-if: metric {metric:?} is {value}, not a number") };
        let holds = comparison.holds(value, *limit);
        Ok(holds.then(|| format!("{metric} = {value} {} {limit}", comparison.symbol())))
    }
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
