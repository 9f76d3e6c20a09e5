//! From rows to metrics.

use crate::{classification::Classifier, metrics::Metrics, per_class::Table, regression::Errors, settings::Settings};
use anyhow::{Context, ensure};
use dataset::classes;
use records::{Batch, Field, ReadOptions, Reader};
use std::path::{Path, PathBuf};

/// What is asked for beside the metrics; of classifiers only.
pub struct Extras {
    /// The dataset.json or features.json with the names of the classes.
    pub classes: Option<PathBuf>,
    /// The CSV file for the classes of each row.
    pub pairs: Option<PathBuf>,
    /// The file for the scores of each class.
    pub table: Option<Table>,
}

/// Rows of a batch as a task reads them.
pub struct Rows<'a> {
    pub batch: &'a Batch,
    pub target: &'a Field,
    pub prediction: &'a Field,
    targets: &'a [f64],
    predictions: &'a [f64],
}

impl Rows<'_> {
    /// Target and prediction of each row.
    pub fn iter(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let targets = self.targets.chunks_exact(self.target.elements());
        targets.zip(self.predictions.chunks_exact(self.prediction.elements()))
    }
}

/// What measures a task.
pub trait Task {
    /// Whether a field is text, whatever it looks like.
    fn reads_text(&self, _field: &str) -> bool {
        false
    }
    /// Overwrites `values` with those of a field.
    fn read(&mut self, batch: &Batch, field: &str, values: &mut Vec<f64>) -> anyhow::Result<()> {
        Ok(batch.column_f64(field, values)?)
    }
    /// Takes rows into account.
    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()>;
    /// The metrics by name.
    fn finish(self: Box<Self>) -> anyhow::Result<Metrics>;
}

/// Reads all rows; gives the metrics of the task.
pub fn measure(
    settings: Settings,
    extras: Extras,
    input: Option<&Path>,
    expect_rows: Option<u64>,
    delimiter: Option<u8>,
) -> anyhow::Result<Metrics> {
    let [target, prediction] = settings.fields().map(str::to_owned);
    let mut task = task(settings, extras)?;
    // Names of classes may look like numbers.
    let fields = [target.as_str(), &prediction];
    let (texts, any): (Vec<&str>, Vec<&str>) = fields.iter().partition(|field| task.reads_text(field));
    let remedies = vec![
        (target.as_str(), records::chosen_by("score.target_field=NAME")),
        (&prediction, format!("infer adds predictions; or {}", records::chosen_by("score.prediction_field=NAME"))),
    ];
    let options = ReadOptions { expect_rows, delimiter, texts, any, remedies, ..ReadOptions::any(&fields) };
    let mut reader = Reader::open(cli::open(input, "records")?, &options)?;
    let (mut batch, mut targets, mut predictions) = (Batch::new(), Vec::new(), Vec::new());
    while reader.read(&mut batch)? {
        task.read(&batch, &target, &mut targets)?;
        task.read(&batch, &prediction, &mut predictions)?;
        task.add(&Rows {
            batch: &batch,
            target: batch.field(&target)?,
            prediction: batch.field(&prediction)?,
            targets: &targets,
            predictions: &predictions,
        })?;
    }
    task.finish()
}

fn task(settings: Settings, extras: Extras) -> anyhow::Result<Box<dyn Task>> {
    Ok(match settings {
        Settings::Regression(_) => {
            ensure!(extras.pairs.is_none(), "--confusion: only classification has a confusion matrix");
            ensure!(extras.table.is_none(), "--per-class: only classification has classes");
            ensure!(extras.classes.is_none(), "--classes: only classification has classes");
            Box::new(Errors::default())
        }
        Settings::Classification(settings) => {
            let names = extras.classes.map(|path| classes::Names::read(&path, &settings.target_field)).transpose();
            let names = names.context("--classes")?;
            Box::new(Classifier::new(settings, names, extras.pairs.as_deref(), extras.table)?)
        }
    })
}
