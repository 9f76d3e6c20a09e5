//! How far predicted numbers are from the true ones.

use crate::{Metrics, Settings};
use kernels::metrics::Regression;
use records::Batch;
use serde_json::{Map, Value, json};

/// Mean squared error, mean absolute error and coefficient of determination.
pub struct Errors {
    target_field: String,
    prediction_field: String,
    rows: u64,
    errors: Regression,
}

impl Errors {
    pub fn new(settings: &Settings) -> Self {
        let (target_field, prediction_field) = (settings.target_field.clone(), settings.prediction_field.clone());
        Self { target_field, prediction_field, rows: 0, errors: Regression::default() }
    }
}

impl Metrics for Errors {
    fn add(&mut self, batch: &Batch, targets: &[f64], predictions: &[f64]) -> anyhow::Result<()> {
        let target = batch.field(&self.target_field)?;
        let prediction = batch.field(&self.prediction_field)?;
        if target.elements() != prediction.elements() {
            return Err(batch.wrong_shape(prediction, &format!("that of {target}")).into());
        }
        for (i, (&target, &prediction)) in targets.iter().zip(predictions).enumerate() {
            if !(target.is_finite() && prediction.is_finite()) {
                let row = i / (targets.len() / batch.rows());
                let problem = format!("target {target} and prediction {prediction}: not both are finite");
                return Err(batch.place(row).error(problem).into());
            }
            self.errors.add(target, prediction);
        }
        self.rows += batch.rows() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Map<String, Value>> {
        let errors = &self.errors;
        let metrics = json!({ "rows": self.rows, "mse": errors.mse(), "mae": errors.mae(), "r2": errors.r2() });
        Ok(metrics.as_object().cloned().unwrap_or_default())
    }
}
