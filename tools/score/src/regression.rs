//! Predicted values: mean squared error, mean absolute error and R2.

use crate::{json::MetricsJson, row_error::RowError, rows::Rows, scorer::Scorer};
use anyhow::Context;
use serde_json::json;

/// Scores a value, or one for each of several targets.
#[derive(Default)]
pub struct Regression {
    rows: u64,
    /// `None` before the first row.
    metrics: Option<metrics::Regression>,
}

impl Scorer for Regression {
    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()> {
        let Rows { batch, target, prediction, .. } = rows;
        let width = target.elements();
        if width != prediction.elements() {
            return Err(batch.wrong_shape(prediction, &format!("that of {target}")).into());
        }
        let metrics = self.metrics.get_or_insert_with(|| metrics::Regression::new(width));
        for (row, (targets, predictions)) in rows.iter().enumerate() {
            let mut pairs = targets.iter().zip(predictions);
            let bad = pairs.find(|(target, prediction)| !(target.is_finite() && prediction.is_finite()));
            if let Some((&target, &prediction)) = bad {
                let error = RowError::NotFinite { target, prediction };
                return Err(batch.location(row).error(error.to_string()).into());
            }
            metrics.add(targets, predictions);
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<MetricsJson> {
        let metrics = self.metrics.context("no rows")?;
        let mut json = MetricsJson::new(self.rows, &metrics.metrics());
        let per_target = metrics.r2_per_target();
        if per_target.len() > 1 {
            json.insert("r2_per_target", json!(per_target));
        }
        Ok(json)
    }
}
