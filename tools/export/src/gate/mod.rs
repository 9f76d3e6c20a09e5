//! The comparison of two graphs on the same rows: errors, top-1 agreement, accuracy of both.

mod classes;
mod errors;
mod limits;

pub use classes::Classes;
pub use limits::{Limits, verdict};

use crate::{
    engine::{Engine, Output},
    rows::{Feed, Feeder, Labels, Rows},
};
use anyhow::{Context, ensure};
use classes::TopOne;
use errors::OutputErrors;
use serde::Serialize;

/// Two graphs of the same inputs and outputs: one to compare with, and one that was derived from it.
pub struct Pair {
    reference: Engine,
    candidate: Engine,
    feeder: Feeder,
    classes: Classes,
    /// Name of the output that has the classes; None is the first.
    scores: Option<String>,
}

/// What a comparison has found.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Number of rows.
    pub rows: usize,
    /// Errors of each output of numbers.
    pub outputs: Vec<OutputErrors>,
    /// The predicted classes, where the output of scores has them.
    #[serde(flatten)]
    pub classes: Option<TopOne>,
}

impl Pair {
    /// Loads both graphs. `labels` is the field of the right class of each row, if there is one.
    ///
    /// # Errors
    /// When a runtime refuses one, or rows cannot be their inputs.
    pub fn new(reference: Engine, candidate: Engine, labels: Option<Labels>, classes: Classes) -> anyhow::Result<Self> {
        let feeder = Feeder::new(reference.name(), reference.model(), labels)?;
        Ok(Self { reference, candidate, feeder, classes, scores: None })
    }

    /// Reads classes from the output called `name`; None is the first.
    pub fn with_scores(self, name: Option<&str>) -> Self {
        Self { scores: name.map(str::to_owned), ..self }
    }

    /// Runs rows through both graphs; `watch` is told of the rows of each batch.
    ///
    /// # Errors
    /// When the rows cannot be read, or a graph does not run.
    pub fn compare(mut self, rows: &Rows, batch_size: usize, watch: impl Fn(usize)) -> anyhow::Result<Comparison> {
        let batch_size = self.feeder.batch_size(batch_size);
        let mut found = Comparison { rows: 0, outputs: Vec::new(), classes: None };
        let is_scores = |output: &Output| self.scores.as_ref().is_none_or(|name| output.name == *name);
        found.rows = rows.each(&self.feeder, batch_size, |feed| {
            let (expected, actual) = both(&mut self.reference, &mut self.candidate, feed)
                .with_context(|| self.feeder.failed(feed, "export.gate.batch_size"))?;
            found.add(&expected, &actual)?;
            if let Some((expected, actual)) = expected.iter().zip(&actual).find(|(expected, _)| is_scores(expected)) {
                let top = found.classes.get_or_insert_default();
                top.add(self.classes, expected, actual, feed.labels.as_deref())?;
            }
            watch(feed.rows);
            Ok(())
        })?;
        Ok(found)
    }
}

impl Comparison {
    /// Adds the outputs of a batch of rows.
    fn add(&mut self, expected: &[Output], actual: &[Output]) -> anyhow::Result<()> {
        ensure!(expected.len() == actual.len(), "{} outputs for {}", actual.len(), expected.len());
        let reals = expected.iter().zip(actual).filter(|(expected, _)| expected.is_real);
        for (index, (expected, actual)) in reals.enumerate() {
            ensure!(expected.shape == actual.shape, "output {:?} has another shape: {:?}", expected.name, actual.shape);
            if self.outputs.len() <= index {
                self.outputs.push(OutputErrors::new(&expected.name));
            }
            self.outputs[index].add(&expected.values, &actual.values);
        }
        Ok(())
    }
}

/// The outputs of both graphs, each on a thread of its own.
fn both(reference: &mut Engine, candidate: &mut Engine, feed: &Feed) -> anyhow::Result<(Vec<Output>, Vec<Output>)> {
    let (expected, actual) = rayon::join(|| reference.run(feed), || candidate.run(feed));
    Ok((expected?, actual?))
}
