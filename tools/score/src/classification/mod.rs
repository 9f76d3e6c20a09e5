//! Predicted classes: accuracy, precision, recall, F1, cross-entropy, AUC and average precision.

mod binary;
mod kind;
mod multi_class;
mod multi_label;
mod predicted;
mod score_check;

use crate::{
    class_names::ClassNames,
    json::MetricsJson,
    pairs::Pairs,
    per_class::{Row, Table},
    row_error::RowError,
    rows::Rows,
    scorer::Scorer,
    settings::{Classification, Prediction},
};
use anyhow::{Context, bail, ensure};
use dataset::classes::Names;
use kind::Kind;
use metrics::{ClassificationReport, ConfusionMatrix};
use records::{Batch, DType, Field};
use serde_json::json;
use std::path::Path;

/// Scores a classifier of the kind that the first rows tell.
pub struct Classifier {
    settings: Classification,
    names: ClassNames,
    /// Whether targets are class names even where they look like numbers.
    of_text: bool,
    pairs: Option<Pairs>,
    table: Option<Table>,
    /// `None` before the first row.
    kind: Option<Box<dyn Kind>>,
}

impl Classifier {
    pub fn new(
        settings: Classification,
        names: Option<Names>,
        pairs: Option<&Path>,
        table: Option<Table>,
    ) -> anyhow::Result<Self> {
        let pairs = pairs.map(Pairs::create).transpose()?;
        let of_text = names.as_ref().is_some_and(|names| names.of_text);
        let names = ClassNames::new(names.map(|names| names.names));
        Ok(Self { settings, names, of_text, pairs, table, kind: None })
    }

    fn kind(&self, rows: &Rows<'_>) -> anyhow::Result<Box<dyn Kind>> {
        let holds =
            self.prediction(rows.target, rows.prediction).map_err(|error| rows.batch.error(error.to_string()))?;
        let known_classes = self.names.given().map(<[String]>::len);
        let kind = <dyn Kind>::of(rows, holds, &self.settings, known_classes)?;
        if let (Some(names), Some(classes)) = (known_classes, kind.classes()) {
            let field = &self.settings.target_field;
            ensure!(
                names == classes,
                "--classes: {names} names of field {field:?}, but the predictions are of {classes} classes"
            );
        }
        Ok(kind)
    }

    /// What the prediction field holds: `score.prediction`, unless it is text, which is the class itself.
    fn prediction(&self, target: &Field, prediction: &Field) -> Result<Prediction, RowError> {
        let is_text = |field: &Field| field.dtype == DType::Text;
        match (is_text(target), is_text(prediction), self.names.given().is_some()) {
            (true, true, _) | (false, true, true) => Ok(Prediction::Labels),
            (true, false, false) => Err(RowError::TextWithoutNames { field: target.name.clone() }),
            (false, true, false) => {
                Err(RowError::TextAndNumbers { prediction: prediction.name.clone(), target: target.name.clone() })
            }
            _ => Ok(self.settings.prediction),
        }
    }
}

impl Scorer for Classifier {
    fn reads_text(&self, field: &str) -> bool {
        let labels = self.settings.prediction == Prediction::Labels && field == self.settings.prediction_field;
        self.of_text && (labels || field == self.settings.target_field)
    }

    /// The value of a text is the index of its class.
    fn read(&mut self, batch: &Batch, field: &str, values: &mut Vec<f64>) -> anyhow::Result<()> {
        if batch.field(field)?.dtype != DType::Text {
            return Ok(batch.column_f64(field, values)?);
        }
        values.clear();
        for (row, text) in batch.texts(field)?.into_iter().enumerate() {
            let class = self.names.index(text, self.settings.max_classes);
            values.push(class.map_err(|error| batch.location(row).error(error.to_string()))? as f64);
        }
        Ok(())
    }

    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()> {
        let mut kind = self.kind.take().map_or_else(|| self.kind(rows), Ok)?;
        let mut classes = Vec::new();
        for (row, (target, prediction)) in rows.iter().enumerate() {
            let pair = kind.add(target, prediction);
            match pair.map_err(|error| rows.batch.location(row).error(error.to_string()))? {
                Some(pair) if self.pairs.is_some() => classes.push(pair),
                None if self.pairs.is_some() => bail!("--confusion: labels that do not exclude each other have none"),
                _ => {}
            }
        }
        if let Some(pairs) = &mut self.pairs {
            pairs.write(&classes, self.names.names())?;
        }
        self.kind = Some(kind);
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<MetricsJson> {
        let mut report = self.kind.context("no rows")?.report();
        let (names, order) = self.names.sorted();
        if let (Some(order), Some(found)) = (order, &report.confusion) {
            let confusion = found.reordered(&order);
            (report.class_scores, report.confusion) = (confusion.class_scores(), Some(confusion));
        }
        self.pairs.map(Pairs::finish).transpose()?;
        if report.rankings.is_none() {
            let limit = format!("more than score.ranking_scores={} predicted numbers", self.settings.ranking_scores);
            cli::note(&format!("no auc and average_precision: {limit}"));
        }
        if let Some(table) = &self.table {
            table.save(&rows_of_classes(&report), names.as_deref())?;
        }
        let mut json = MetricsJson::new(report.rows, &report.metrics);
        if let Some(confusion) = report.confusion {
            insert_confusion(&mut json, confusion, self.settings.confusion_classes);
        }
        if let Some(names) = names {
            json.insert("labels", json!(names));
        }
        Ok(json)
    }
}

fn rows_of_classes(report: &ClassificationReport) -> Vec<Row> {
    let ranking = |class: usize| report.rankings.as_ref().and_then(|rankings| rankings.get(class).copied().flatten());
    report.class_scores.iter().enumerate().map(|(class, &score)| Row::new(score, ranking(class))).collect()
}

/// Adds the matrix, or says that it is too large.
fn insert_confusion(json: &mut MetricsJson, confusion: ConfusionMatrix, max_classes: usize) {
    let classes = confusion.classes();
    if classes <= max_classes {
        json.insert_confusion(confusion);
    } else {
        cli::note(&format!("no confusion_matrix: {classes} classes, score.confusion_classes={max_classes}"));
    }
}
