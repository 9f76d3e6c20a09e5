//! Measuring a network on rows that it does not learn from.

use crate::{
    augment,
    feed::{Feed, Rows},
    network::Network,
    settings::TrainerSettings,
};
use events::Metrics;
use metrics::{MultiClass, MultiLabel, Ranking, Regression, argmax};
use nets::{Engine, Loss, Parameters};

/// Rows that go through the network at a time. Images, which are large, go by the batch.
const ROWS: usize = 1024;
/// Rankings are of at most this many scores, rows times classes: half a gibibyte, and seconds of sorting.
const RANKED: usize = 1 << 26;

/// The loss, weighted and scaled as it is learned, and the metrics that go with it, which are neither; none where there
/// are no rows.
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
    let (loss, outputs) = (trainer.loss(), network.graph.architecture.outputs);
    let (mut total, mut measures) = (0.0, Measures::new(loss, outputs, rows.target_width));
    let total_weight = rows.total_weight(loss);
    let (mut read, mut delta) = (Rows::default(), Vec::new());
    let mut predictor = Predictor { engine, parameters, flip: None, outputs: Vec::new(), mirrored: Vec::new() };
    let mut at_a_time = ROWS;
    if let [_, _, width] = *network.task.input_shape {
        at_a_time = trainer.batch_size;
        predictor.flip = trainer.test_flip.then_some(width);
    }
    let places: Vec<usize> = (0..rows.count).collect();
    for places in places.chunks(at_a_time) {
        rows.read(places, 1, &mut read);
        let predictions = predictor.predict(&mut read.inputs)?;
        total += loss.add(predictions, rows.batch(&read), outputs, total_weight, &mut delta);
        if let Some(scaling) = &network.target_scaling {
            scaling.invert(predictions);
            rows.raw_targets(places, &mut read.targets);
        }
        measures.add(predictions, &read.targets);
    }
    let mut metrics = Metrics::from([("loss", total)]);
    measures.finish(&mut metrics);
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
    fn predict(&mut self, inputs: &mut [f32]) -> anyhow::Result<&mut [f32]> {
        self.engine.predict(self.parameters, inputs, &mut self.outputs)?;
        if let Some(width) = self.flip {
            augment::mirror(inputs, width);
            self.engine.predict(self.parameters, inputs, &mut self.mirrored)?;
            self.outputs
                .iter_mut()
                .zip(&self.mirrored)
                .for_each(|(output, mirrored)| *output = (*output + mirrored) / 2.0);
        }
        Ok(&mut self.outputs)
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

/// What [`evaluate`] measures: r2 only where a target varies; auc and average_precision only of class labels, and of
/// targets that are 0 or 1, where both occur.
pub fn names(loss: Loss) -> &'static [&'static str] {
    match loss {
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => &["loss", "mse", "mae", "r2"],
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => &["loss", "accuracy", "auc", "average_precision"],
    }
}

/// The metrics that go with a loss.
enum Measures {
    Regression(Regression),
    /// Logits of classes, labels as targets.
    Labels {
        classes: usize,
        metrics: MultiClass,
    },
    /// Logits of classes, a probability for each as target; the most probable counts.
    Probabilities {
        classes: usize,
        hits: usize,
        rows: usize,
    },
    /// Logits of a yes for each output.
    Binary {
        outputs: usize,
        metrics: MultiLabel,
        soft: bool,
    },
}

impl Measures {
    fn new(loss: Loss, outputs: usize, target_width: usize) -> Self {
        match loss {
            Loss::Mse | Loss::Mae | Loss::Huber { .. } => Self::Regression(Regression::new(target_width)),
            Loss::CrossEntropy { .. } if target_width == 1 => {
                Self::Labels { classes: outputs, metrics: MultiClass::new(outputs, RANKED) }
            }
            Loss::CrossEntropy { .. } => Self::Probabilities { classes: outputs, hits: 0, rows: 0 },
            Loss::BinaryCrossEntropy => {
                Self::Binary { outputs, metrics: MultiLabel::new(outputs, RANKED), soft: false }
            }
        }
    }

    fn add(&mut self, predictions: &[f32], targets: &[f32]) {
        match self {
            Self::Regression(metrics) => metrics.add(targets, predictions),
            Self::Labels { classes, metrics } => {
                for (logits, &label) in predictions.chunks_exact(*classes).zip(targets) {
                    metrics.add_logits(label as usize, logits);
                }
            }
            Self::Probabilities { classes, hits, rows } => {
                for (logits, target) in predictions.chunks_exact(*classes).zip(targets.chunks_exact(*classes)) {
                    *hits += usize::from(argmax(logits) == argmax(target));
                    *rows += 1;
                }
            }
            Self::Binary { outputs, metrics, soft } => {
                *soft |= targets.iter().any(|&target| target != 0.0 && target != 1.0);
                let truths: Vec<bool> = targets.iter().map(|&target| target > 0.5).collect();
                let logits: Vec<f64> = predictions.iter().map(|&logit| logit.into()).collect();
                for (truths, logits) in truths.chunks_exact(*outputs).zip(logits.chunks_exact(*outputs)) {
                    metrics.add_logits(truths, logits);
                }
            }
        }
    }

    fn finish(self, out: &mut Metrics) {
        let (accuracy, ranking) = match self {
            Self::Regression(metrics) => {
                out.insert("mse", metrics.mse());
                out.insert("mae", metrics.mae());
                return metrics.r2().into_iter().for_each(|r2| out.insert("r2", r2));
            }
            Self::Labels { metrics, .. } => {
                (metrics.confusion().accuracy(), metrics.rankings().as_deref().and_then(Ranking::of_classes))
            }
            Self::Probabilities { hits, rows, .. } => (hits as f64 / rows as f64, None),
            Self::Binary { metrics, soft: true, .. } => (metrics.accuracy(), None),
            Self::Binary { metrics, .. } => (metrics.accuracy(), metrics.rankings().as_deref().and_then(Ranking::mean)),
        };
        out.insert("accuracy", accuracy);
        if let Some(Ranking { auc, average_precision }) = ranking {
            out.insert("auc", auc);
            out.insert("average_precision", average_precision);
        }
    }
}
