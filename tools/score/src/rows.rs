//! The loop over the rows of the input.

use crate::{json::MetricsJson, scorer::Scorer};
use records::{Batch, Field, ReadOptions, Reader};
use std::path::Path;

/// The rows of a batch, with target and prediction as numbers.
pub struct Rows<'a> {
    pub batch: &'a Batch,
    pub target: &'a Field,
    pub prediction: &'a Field,
    /// `[rows, target.elements()]`
    targets: &'a [f64],
    /// `[rows, prediction.elements()]`
    predictions: &'a [f64],
}

impl Rows<'_> {
    /// Target and prediction of each row.
    pub fn iter(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let targets = self.targets.chunks_exact(self.target.elements());
        targets.zip(self.predictions.chunks_exact(self.prediction.elements()))
    }
}

/// Gives all rows of `input` to the scorer; returns its metrics.
pub fn score(
    mut scorer: Box<dyn Scorer>,
    fields: &[String; 2],
    input: Option<&Path>,
    expect_rows: Option<u64>,
    delimiter: Option<u8>,
) -> anyhow::Result<MetricsJson> {
    let [target, prediction] = fields.each_ref().map(String::as_str);
    // Names of classes may look like numbers.
    let (texts, any): (Vec<&str>, Vec<&str>) =
        [target, prediction].into_iter().partition(|field| scorer.reads_text(field));
    let remedies = vec![
        (target, records::chosen_by("score.target_field=NAME")),
        (prediction, format!("infer adds predictions; or {}", records::chosen_by("score.prediction_field=NAME"))),
    ];
    let options =
        ReadOptions { expect_rows, delimiter, texts, any, remedies, ..ReadOptions::any(&[target, prediction]) };
    let mut reader = Reader::open(cli::open(input, "records")?, &options)?;
    let (mut batch, mut targets, mut predictions) = (Batch::new(), Vec::new(), Vec::new());
    while reader.read(&mut batch)? {
        scorer.read(&batch, target, &mut targets)?;
        scorer.read(&batch, prediction, &mut predictions)?;
        scorer.add(&Rows {
            batch: &batch,
            target: batch.field(target)?,
            prediction: batch.field(prediction)?,
            targets: &targets,
            predictions: &predictions,
        })?;
    }
    scorer.finish()
}
