//! How far predicted numbers are from the true ones.

use crate::{
    measure::{Rows, Task},
    metrics::Metrics,
};
use ::metrics::Regression;
use anyhow::Context;
use serde_json::{Map, json};

/// Mean squared error, mean absolute error and coefficient of determination.
#[derive(Default)]
pub struct Errors {
    rows: u64,
    /// None before the first row.
    errors: Option<Regression>,
}

impl Task for Errors {
    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()> {
        let Rows { batch, target, prediction, .. } = rows;
        let width = target.elements();
        if width != prediction.elements() {
            return Err(batch.wrong_shape(prediction, &format!("that of {target}")).into());
        }
        let errors = self.errors.get_or_insert_with(|| Regression::new(width));
        for (row, (targets, predictions)) in rows.iter().enumerate() {
            let mut pairs = targets.iter().zip(predictions);
            let bad = pairs.find(|(target, prediction)| !(target.is_finite() && prediction.is_finite()));
            if let Some((target, prediction)) = bad {
                let problem = format!("target {target} and prediction {prediction}: not both are finite");
                return Err(batch.location(row).error(problem).into());
            }
            errors.add(targets, predictions);
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Metrics> {
        let errors = self.errors.context("no rows")?;
        let mut metrics = Map::from_iter([
            ("rows".to_owned(), json!(self.rows)),
            ("mse".to_owned(), json!(errors.mse())),
            ("mae".to_owned(), json!(errors.mae())),
            ("r2".to_owned(), json!(errors.r2())),
        ]);
        let per_target = errors.r2_per_target();
        if per_target.len() > 1 {
            metrics.insert("r2_per_target".to_owned(), json!(per_target));
        }
        Ok(metrics.into())
    }
}
