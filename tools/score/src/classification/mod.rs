//! How often, and how surely, the right class was predicted.

mod binary;
mod labels;
mod multi_class;
mod multi_label;
mod scale;

use crate::{
    measure::{Rows, Task},
    metrics::Metrics,
    pairs::Pairs,
    per_class::{Row, Table},
    settings::{Classification, Prediction},
    vocabulary::Vocabulary,
};
use ::metrics::{ClassScore, Confusion, Ranking};
use anyhow::{Context, bail, ensure};
use dataset::classes::Names;
use records::{Batch, DType, Field};
use scale::Scale;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A classifier of the kind that the shapes of target and prediction tell.
pub struct Classifier {
    settings: Classification,
    /// The classes that texts, or indices, are.
    names: Vocabulary,
    /// Whether targets are those names, whatever they look like.
    of_text: bool,
    pairs: Option<Pairs>,
    table: Option<Table>,
    /// None before the first row.
    kind: Option<Box<dyn Kind>>,
}

/// A kind of classifier.
trait Kind {
    /// Number of classes, or of labels; none where only names tell.
    fn classes(&self) -> Option<usize>;
    /// Takes a row into account; the actual and the predicted class, where there is one of each.
    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String>;
    /// What is said of all rows.
    fn report(&self) -> Report;
}

/// What a kind of classifier says of all rows.
struct Report {
    metrics: Map<String, Value>,
    /// One for each class or label.
    scores: Vec<ClassScore>,
    /// As `scores`; none where there were too many scores to rank, empty where there are none.
    rankings: Option<Vec<Option<Ranking>>>,
    /// None of labels that do not exclude each other.
    confusion: Option<Confusion>,
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
        let names = Vocabulary::new(names.map(|names| names.names));
        Ok(Self { settings, names, of_text, pairs, table, kind: None })
    }

    /// The kind that the first rows tell.
    fn kind(&self, rows: &Rows<'_>) -> anyhow::Result<Box<dyn Kind>> {
        let Rows { batch, target, prediction, .. } = rows;
        let scale = Scale::new(&self.settings);
        let mode = self.mode(target, prediction).map_err(|problem| batch.error(problem))?;
        let (ranked, pairs) = (self.settings.ranking_scores, self.settings.confusion_classes);
        let kind: Box<dyn Kind> = match (mode, target.elements(), prediction.elements()) {
            (Prediction::Labels, 1, 1) => {
                let given = self.names.given().map(<[String]>::len);
                Box::new(labels::Labels::new(given, self.settings.max_classes, pairs))
            }
            (Prediction::Labels, 1, _) => return Err(batch.wrong_shape(prediction, "one class index").into()),
            (Prediction::Labels, ..) => return Err(batch.wrong_shape(target, "one class index").into()),
            (_, 1, 1) => Box::new(binary::Binary::new(scale, ranked)),
            (_, 1, classes) => Box::new(multi_class::Classes::new(scale, classes, ranked, pairs)),
            (_, labels, same) if labels == same => Box::new(multi_label::Labels::new(scale, labels, ranked)),
            (_, _, 1) => return Err(batch.wrong_shape(target, "0 or 1, as the prediction is one number").into()),
            (_, _, classes) => {
                let expected = format!("one class index, or 0 or 1 for each of {classes} labels");
                return Err(batch.wrong_shape(target, &expected).into());
            }
        };
        if let (Some(names), Some(classes)) = (self.names.given(), kind.classes()) {
            let (names, field) = (names.len(), &self.settings.target_field);
            ensure!(
                names == classes,
                "--classes: {names} names of field {field:?}, but the predictions are of {classes} classes"
            );
        }
        Ok(kind)
    }
}

impl Classifier {
    /// What the prediction field holds: text is the class itself.
    fn mode(&self, target: &Field, prediction: &Field) -> Result<Prediction, String> {
        let (is_text, name) = (|field: &Field| field.dtype == DType::Text, &target.name);
        match (is_text(target), is_text(prediction)) {
            (true, true) => Ok(Prediction::Labels),
            (true, false) if self.names.given().is_none() => Err(format!(
                "field {name:?} holds text: --classes runs/NAME/features.json names the classes in the order of the \
                 predictions"
            )),
            (false, true) if self.names.given().is_none() => {
                Err(format!("field {:?} holds text, and field {name:?} numbers", prediction.name))
            }
            (false, true) => Ok(Prediction::Labels),
            _ => Ok(self.settings.prediction),
        }
    }
}

impl Task for Classifier {
    fn reads_text(&self, field: &str) -> bool {
        let labels = self.settings.prediction == Prediction::Labels && field == self.settings.prediction_field;
        self.of_text && (labels || field == self.settings.target_field)
    }

    /// A text is the index of its class.
    fn read(&mut self, batch: &Batch, field: &str, values: &mut Vec<f64>) -> anyhow::Result<()> {
        if batch.field(field)?.dtype != DType::Text {
            return Ok(batch.column_f64(field, values)?);
        }
        values.clear();
        for (row, text) in batch.texts(field)?.into_iter().enumerate() {
            let class = self
                .names
                .index(text, self.settings.max_classes)
                .map_err(|problem| batch.location(row).error(problem))?;
            values.push(class as f64);
        }
        Ok(())
    }

    fn add(&mut self, rows: &Rows<'_>) -> anyhow::Result<()> {
        let mut kind = self.kind.take().map_or_else(|| self.kind(rows), Ok)?;
        let mut classes = Vec::new();
        for (row, (target, prediction)) in rows.iter().enumerate() {
            match kind.add(target, prediction).map_err(|e| rows.batch.location(row).error(e))? {
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

    fn finish(self: Box<Self>) -> anyhow::Result<Metrics> {
        let Report { metrics, mut scores, rankings, mut confusion } = self.kind.context("no rows")?.report();
        let (names, order) = self.names.sorted();
        if let (Some(order), Some(found)) = (order, &confusion) {
            let sorted = found.reordered(&order);
            (scores, confusion) = (sorted.class_scores(), Some(sorted));
        }
        self.pairs.map(Pairs::finish).transpose()?;
        if rankings.is_none() {
            let limit = format!("more than score.ranking_scores={} predicted numbers", self.settings.ranking_scores);
            cli::note(&format!("no auc and average_precision: {limit}"));
        }
        if let Some(table) = &self.table {
            let ranking = |class| rankings.as_ref().and_then(|rankings| rankings.get(class).copied().flatten());
            let rows = scores.iter().enumerate().map(|(class, &score)| Row { score, ranking: ranking(class) });
            let text = table.text(&rows.collect::<Vec<_>>(), names.as_deref())?;
            files::write_file(&table.path, text.as_bytes()).context("--per-class")?;
        }
        let mut metrics = Metrics::from(metrics);
        if let Some(confusion) = confusion {
            let (classes, limit) = (confusion.classes(), self.settings.confusion_classes);
            if classes <= limit {
                metrics.insert_confusion(confusion);
            } else {
                let left_out = format!("no confusion_matrix: {classes} classes, score.confusion_classes={limit}");
                cli::note(&left_out);
            }
        }
        if let Some(names) = names {
            metrics.insert("labels", json!(names));
        }
        Ok(metrics)
    }
}

/// The members of a JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// 0 or 1, as no or yes.
fn yes_or_no(target: f64) -> Result<bool, String> {
    match target {
        0.0 => Ok(false),
        1.0 => Ok(true),
        other => Err(format!("target {other} is neither 0 nor 1")),
    }
}
