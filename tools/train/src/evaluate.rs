//! Measuring a network on rows that it does not learn from.

use crate::network::Network;
use events::Metrics;
use kernels::metrics::Regression;
use nets::{Engine, Loss, Parameters};

/// Rows that go through the network at a time.
const ROWS: usize = 1024;

/// Scaled rows to measure on.
pub struct Rows {
    /// `[rows, inputs]`
    pub inputs: Vec<f32>,
    /// `[rows, outputs]`, or `[rows]` classes.
    pub targets: Vec<f32>,
    pub count: usize,
}

impl Rows {
    /// At most `count` rows, from the first.
    pub fn new(mut inputs: Vec<f32>, mut targets: Vec<f32>, input_width: usize, count: usize) -> Self {
        let all = inputs.len() / input_width;
        let count = count.min(all);
        if count < all {
            inputs.truncate(count * input_width);
            targets.truncate(count * (targets.len() / all));
        }
        Self { inputs, targets, count }
    }
}

/// The loss, and the metrics that go with it; none where there are no rows.
pub fn evaluate(
    engine: &mut dyn Engine,
    network: &Network,
    loss: Loss,
    parameters: &Parameters,
    rows: &Rows,
) -> anyhow::Result<Option<Metrics>> {
    if rows.count == 0 {
        return Ok(None);
    }
    let (inputs, outputs) = (network.graph.architecture.inputs(), network.graph.architecture.outputs);
    let target_width = rows.targets.len() / rows.count;
    let (mut total, mut regression, mut hits) = (0.0, Regression::default(), 0);
    let (mut predictions, mut delta) = (Vec::new(), Vec::new());
    for (inputs, targets) in rows.inputs.chunks(ROWS * inputs).zip(rows.targets.chunks(ROWS * target_width)) {
        engine.predict(parameters, inputs, &mut predictions)?;
        total += loss.add(&predictions, targets, outputs, rows.count, &mut delta);
        match loss {
            Loss::Mse | Loss::Mae | Loss::Huber { .. } => regression.add_all(targets, &predictions),
            Loss::CrossEntropy { .. } => hits += right_classes(&predictions, targets, outputs, target_width),
            Loss::BinaryCrossEntropy => {
                let right =
                    predictions.iter().zip(targets).filter(|(logit, target)| (**logit > 0.0) == (**target > 0.5));
                hits += right.count();
            }
        }
    }
    let mut metrics = Metrics::from([("loss", total)]);
    match loss {
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => {
            metrics.insert("mse", regression.mse());
            metrics.insert("mae", regression.mae());
            regression.r2().into_iter().for_each(|r2| metrics.insert("r2", r2));
        }
        Loss::CrossEntropy { .. } => metrics.insert("accuracy", hits as f64 / rows.count as f64),
        Loss::BinaryCrossEntropy => metrics.insert("accuracy", hits as f64 / rows.targets.len() as f64),
    }
    Ok(Some(metrics))
}

/// Metrics under names that say what they were measured on: `val_loss`.
pub fn named(prefix: &str, metrics: &Metrics) -> Metrics {
    metrics.iter().map(|(measured, value)| (name(prefix, measured), value)).collect()
}

/// The name of a metric that says what it was measured on.
pub fn name(prefix: &str, metric: &str) -> String {
    format!("{prefix}_{metric}")
}

/// What [`evaluate`] measures; r2 only where the targets differ.
pub fn names(loss: Loss) -> &'static [&'static str] {
    match loss {
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => &["loss", "mse", "mae", "r2"],
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => &["loss", "accuracy"],
    }
}

fn right_classes(predictions: &[f32], targets: &[f32], classes: usize, target_width: usize) -> usize {
    let rows = predictions.chunks_exact(classes).zip(targets.chunks_exact(target_width));
    rows.filter(|(logits, target)| {
        let actual = match target {
            [class] => *class as usize,
            probabilities => greatest(probabilities),
        };
        greatest(logits) == actual
    })
    .count()
}

/// Where the greatest value stands; the first of equals.
fn greatest(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}
