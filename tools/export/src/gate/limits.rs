//! What a comparison must show.

use super::{Comparison, errors::OutputErrors};
use crate::settings::Precision;
use anyhow::bail;
use serde::Serialize;

/// The limits of the gate; None is no limit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Points of accuracy, in percent, that may be lost. Of rows with labels.
    pub max_accuracy_drop: Option<f64>,
    /// Percentage of rows, at least, whose predicted class stays. Of rows without labels.
    pub min_agreement: Option<f64>,
    /// Largest mean error, relative to the root mean square of the output. Of rows without labels.
    pub max_mean_error: Option<f64>,
}

impl Limits {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        let not_negative = 0.0..=f64::MAX;
        for (name, value, range) in [
            ("max_accuracy_drop", self.max_accuracy_drop, &not_negative),
            ("min_agreement", self.min_agreement, &(0.0..=100.0)),
            ("max_mean_error", self.max_mean_error, &not_negative),
        ] {
            let Some(value) = value.filter(|value| !range.contains(value)) else { continue };
            let limit = if *range.end() < f64::MAX { "0 to 100" } else { "at least 0" };
            bail!("export.gate.{name}: {value}; expected {limit}, or null");
        }
        Ok(())
    }
}

/// Why a comparison is not good enough; None if it is. `precision` is that of the candidate.
pub fn verdict(found: &Comparison, limits: &Limits, precision: Precision) -> Option<String> {
    let what = precision.name();
    if let Some(output) = found.outputs.iter().find(|output| output.broken > 0) {
        let (count, name) = (output.broken, &output.name);
        let setting = match precision {
            Precision::Int8 => "export.int8.exclude_nodes",
            _ => "export.fp16.keep_nodes",
        };
        return Some(format!(
            "{what}: {count} values of output {name:?} are NaN or infinite, and finite in fp32; name the nodes that overflow in \
             {setting}"
        ));
    }
    if let Some(undefined) = found.outputs.iter().find_map(OutputErrors::undefined) {
        return Some(format!(
            "{what}: {undefined} in fp32 itself; name rows of finite outputs with export.gate.input=FILE"
        ));
    }
    if let Some((reference, candidate)) = found.classes.and_then(|classes| classes.accuracy()) {
        let (lost, limit) = (reference - candidate, limits.max_accuracy_drop?);
        return (lost > limit).then(|| {
            format!(
                "{what}: accuracy {candidate:.2} %, {reference:.2} % in fp32, on {} rows: {lost:.2} points are lost, more than \
                 export.gate.max_accuracy_drop = {limit}",
                found.rows
            )
        });
    }
    if let (Some(agreement), Some(limit)) =
        (found.classes.and_then(|classes| classes.agreement()), limits.min_agreement)
        && agreement < limit
    {
        return Some(format!(
            "{what}: {agreement:.2} % of {} rows have the predicted class of fp32, fewer than export.gate.min_agreement = \
             {limit}",
            found.rows
        ));
    }
    let limit = limits.max_mean_error?;
    let worst = found.outputs.iter().max_by(|a, b| a.relative_mean().total_cmp(&b.relative_mean()))?;
    (worst.relative_mean() > limit).then(|| {
        format!(
            "{what}: output {:?} has a mean error of {:.4} of its root mean square, more than export.gate.max_mean_error = \
             {limit}",
            worst.name,
            worst.relative_mean()
        )
    })
}
