//! How often, and how surely, the right class was predicted.

use crate::{
    Metrics, Settings,
    per_class::{ClassScore, Table, cell, macro_means},
};
use anyhow::{Context, ensure};
use records::{Batch, Output, classes};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// What the prediction field holds, for each class.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    Probabilities,
    Logits,
}

/// What is asked for beside the metrics.
pub struct Extras {
    /// The names of the classes, label 0 on.
    pub names: Option<Vec<String>>,
    /// The CSV file for the classes of each row.
    pub pairs: Option<PathBuf>,
    /// The file for the scores of each class.
    pub table: Option<Table>,
}

/// Accuracy, cross-entropy, and what the confusion matrix tells.
pub struct Hits {
    target_field: String,
    prediction_field: String,
    prediction: Prediction,
    rows: u64,
    hits: u64,
    cross_entropy: f64,
    /// `confusion[actual][predicted]`, rows.
    confusion: Vec<Vec<u64>>,
    names: Option<Vec<String>>,
    pairs: Option<Output>,
    table: Option<Table>,
}

impl Hits {
    pub fn new(settings: &Settings, extras: Extras) -> anyhow::Result<Self> {
        let Extras { names, pairs, table } = extras;
        let prediction = settings.prediction.context("score.prediction: missing; expected probabilities or logits")?;
        let mut pairs = pairs.map(|path| Output::create(Some(&path))).transpose()?;
        if let Some(pairs) = &mut pairs {
            pairs.write_all(b"actual,predicted\n")?;
        }
        Ok(Self {
            target_field: settings.target_field.clone(),
            prediction_field: settings.prediction_field.clone(),
            prediction,
            rows: 0,
            hits: 0,
            cross_entropy: 0.0,
            confusion: Vec::new(),
            names,
            pairs,
            table,
        })
    }

    fn add_row(&mut self, target: f64, scores: &[f64]) -> Result<(usize, usize), String> {
        let actual = classes::of_label(target, scores.len())?;
        if let Some(bad) = scores.iter().position(|score| !score.is_finite()) {
            return Err(format!("the prediction for class {bad} is {}", scores[bad]));
        }
        if let Some(bad) = scores.iter().position(|score| self.prediction == Prediction::Probabilities && *score < 0.0)
        {
            return Err(format!("class {bad} has probability {} (score.prediction=logits?)", scores[bad]));
        }
        let predicted = classes::predicted(scores);
        self.cross_entropy += match self.prediction {
            Prediction::Probabilities => -scores[actual].max(f64::MIN_POSITIVE).ln(),
            Prediction::Logits => {
                let max = scores[predicted];
                max + scores.iter().map(|score| (score - max).exp()).sum::<f64>().ln() - scores[actual]
            }
        };
        self.rows += 1;
        self.hits += u64::from(actual == predicted);
        self.confusion.resize(scores.len(), vec![0; scores.len()]);
        self.confusion[actual][predicted] += 1;
        Ok((actual, predicted))
    }
}

impl Metrics for Hits {
    fn add(&mut self, batch: &Batch, targets: &[f64], predictions: &[f64]) -> anyhow::Result<()> {
        let target = batch.field(&self.target_field)?;
        if target.elements() != 1 {
            return Err(batch.wrong_shape(target, "one class index").into());
        }
        let prediction = batch.field(&self.prediction_field)?;
        if prediction.elements() < 2 {
            return Err(batch.wrong_shape(prediction, "a number for each of at least two classes").into());
        }
        if let Some(names) = &self.names {
            let (names, classes) = (names.len(), prediction.elements());
            let field = &self.target_field;
            ensure!(
                names == classes,
                "--classes: {names} names of field {field:?}, but the predictions are of {classes} classes"
            );
        }
        let mut csv = String::new();
        for (row, (&target, scores)) in targets.iter().zip(predictions.chunks_exact(prediction.elements())).enumerate()
        {
            let (actual, predicted) = self.add_row(target, scores).map_err(|e| batch.place(row).error(e))?;
            if self.pairs.is_some() {
                let name = |class| cell(&classes::name(self.names.as_deref(), class));
                csv.push_str(&format!("{},{}\n", name(actual), name(predicted)));
            }
        }
        if let Some(pairs) = &mut self.pairs {
            pairs.write_all(csv.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Map<String, Value>> {
        ensure!(self.rows > 0, "no rows");
        self.pairs.map(Output::finish).transpose()?;
        let rows = self.rows as f64;
        let scores = ClassScore::all(&self.confusion);
        let [macro_precision, macro_recall, macro_f1] = macro_means(&scores);
        let mut metrics = json!({
            "rows": self.rows,
            "accuracy": self.hits as f64 / rows,
            "cross_entropy": self.cross_entropy / rows,
            "macro_precision": macro_precision,
            "macro_recall": macro_recall,
            "macro_f1": macro_f1,
            "confusion_matrix": self.confusion,
        });
        if let Some(names) = &self.names {
            metrics["labels"] = json!(names);
        }
        if let Some(table) = &self.table {
            let text = table.text(&scores, self.names.as_deref())?;
            records::write_file(&table.path, text.as_bytes()).context("--per-class")?;
        }
        Ok(metrics.as_object().cloned().unwrap_or_default())
    }
}
