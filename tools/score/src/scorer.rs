//! What turns rows into metrics: one scorer a task.

use crate::{
    classification::Classifier, json::MetricsJson, per_class::Table, regression::Regression, rows::Rows,
    settings::Settings,
};
use anyhow::{Context, ensure};
use dataset::classes;
use records::Batch;
use std::path::PathBuf;

/// The scorer of a task, `score.task`.
pub trait Scorer {
    /// Whether a field is read as text even where all of its cells look like numbers.
    fn reads_text(&self, _field: &str) -> bool {
        false
    }
    /// Replaces `values` by those of a field.
    fn read(&mut self, batch: &Batch, field: &str, values: &mut Vec<f64>) -> anyhow::Result<()> {
        Ok(batch.column_f64(field, values)?)
    }
    /// Accumulates rows.
    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()>;
    /// The metrics over all rows.
    fn finish(self: Box<Self>) -> anyhow::Result<MetricsJson>;
}

/// Flags that only classification takes.
pub struct ClassFlags {
    /// `--classes`: the `dataset.json` or `features.json` with the names of the classes.
    pub classes: Option<PathBuf>,
    /// `--confusion`: the CSV file for the actual and the predicted class of each row.
    pub pairs: Option<PathBuf>,
    /// `--per-class`: the file for the scores of each class.
    pub table: Option<Table>,
}

/// The scorer that the settings name.
pub fn of_task(settings: Settings, flags: ClassFlags) -> anyhow::Result<Box<dyn Scorer>> {
    Ok(match settings {
        Settings::Regression(_) => {
            ensure!(flags.pairs.is_none(), "--confusion: only classification has a confusion matrix");
            ensure!(flags.table.is_none(), "--per-class: only classification has classes");
            ensure!(flags.classes.is_none(), "--classes: only classification has classes");
            Box::new(Regression::default())
        }
        Settings::Classification(settings) => {
            let names = flags.classes.map(|path| classes::Names::read(&path, &settings.target_field)).transpose();
            let names = names.context("--classes")?;
            Box::new(Classifier::new(settings, names, flags.pairs.as_deref(), flags.table)?)
        }
    })
}
