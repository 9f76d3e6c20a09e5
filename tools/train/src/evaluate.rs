//! Measuring a network on rows that it does not learn from.

use crate::{augment, feed::Feed, network::Network, settings::TrainerSettings};
use events::Metrics;
use kernels::metrics::Regression;
use nets::{Engine, Loss, Parameters};

/// Rows that go through the network at a time. Images, which are large, go by the batch.
const ROWS: usize = 1024;

/// The loss, and the metrics that go with it; none where there are no rows.
pub fn evaluate(
    engine: &mut dyn Engine,
    network: &Network,
    trainer: &TrainerSettings,
    parameters: &Parameters,
    rows: &Feed<'_>,
) -> anyhow::Result<Option<Metrics>> {
    if rows.count == 0 {
        return Ok(None);
    }
    let (loss, target_width) = (trainer.loss(), rows.target_width);
    let outputs = network.graph.architecture.outputs;
    let (mut total, mut regression, mut hits) = (0.0, Regression::default(), 0);
    let (mut inputs, mut targets, mut delta) = (Vec::new(), Vec::new(), Vec::new());
    let mut predictor = Predictor { engine, parameters, flip: None, outputs: Vec::new(), mirrored: Vec::new() };
    let mut at_a_time = ROWS;
    if let [_, _, width] = *network.task.input_shape {
        at_a_time = trainer.batch_size;
        predictor.flip = trainer.test_flip.then_some(width);
    }
    let places: Vec<usize> = (0..rows.count).collect();
    for places in places.chunks(at_a_time) {
        rows.batch(places, 1, &mut inputs, &mut targets);
        let predictions = predictor.predict(&mut inputs)?;
        total += loss.add(predictions, &targets, outputs, rows.count, &mut delta);
        match loss {
            Loss::Mse | Loss::Mae | Loss::Huber { .. } => regression.add_all(&targets, predictions),
            Loss::CrossEntropy { .. } => hits += right_classes(predictions, &targets, outputs, target_width),
            Loss::BinaryCrossEntropy => {
                let right =
                    predictions.iter().zip(&targets).filter(|(logit, target)| (**logit > 0.0) == (**target > 0.5));
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
        Loss::BinaryCrossEntropy => metrics.insert("accuracy", hits as f64 / (rows.count * target_width) as f64),
    }
    Ok(Some(metrics))
}

/// The network's outputs, perhaps over an image and its mirror image.
struct Predictor<'a> {
    engine: &'a mut dyn Engine,
    parameters: &'a Parameters,
    /// Width of the images that are mirrored.
    flip: Option<usize>,
    outputs: Vec<f32>,
    mirrored: Vec<f32>,
}

impl Predictor<'_> {
    /// Outputs for `inputs`, which are left mirrored where that is asked for.
    fn predict(&mut self, inputs: &mut [f32]) -> anyhow::Result<&[f32]> {
        self.engine.predict(self.parameters, inputs, &mut self.outputs)?;
        if let Some(width) = self.flip {
            augment::mirror(inputs, width);
            self.engine.predict(self.parameters, inputs, &mut self.mirrored)?;
            self.outputs
                .iter_mut()
                .zip(&self.mirrored)
                .for_each(|(output, mirrored)| *output = (*output + mirrored) / 2.0);
        }
        Ok(&self.outputs)
    }
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
