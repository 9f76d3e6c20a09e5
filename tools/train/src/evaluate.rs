//! Evaluation: loss and metrics of a network over a data loader.

use crate::{
    data::{BatchBuffer, DataLoader, augmentation},
    distributed::Ranks,
    network::Network,
    settings::TrainerSettings,
};
use events::Metrics;
use metrics::{ConfusionMatrix, Metric, MultiClass, MultiLabel, Ranking, Regression, argmax};
use nets::Loss;

/// Rows per batch. Images, which are large, use `trainer.batch_size`.
const ROWS: usize = 1024;
/// Most scores, rows times classes, of which AUC and average precision are computed: half a gibibyte, and seconds of
/// sorting.
const MAX_RANKED: usize = 1 << 26;

/// Overwrites its second argument with a network's outputs `[rows, outputs]` for rows.
pub type Predict<'a> = &'a mut dyn FnMut(&mut RowBatch<'_>, &mut Vec<f32>) -> anyhow::Result<()>;

/// Rows of a loader, or their mirror images. They are loaded when they are asked for: a GPU may have them.
pub struct RowBatch<'a> {
    pub loader: &'a DataLoader<'a>,
    pub indices: &'a [usize],
    /// Whether the images are flipped, left to right.
    pub mirrored: bool,
    /// Of the images.
    width: usize,
    buffer: &'a mut BatchBuffer,
    /// What `buffer` has: the images, or their mirror images.
    loaded: Option<bool>,
}

impl RowBatch<'_> {
    /// `[rows, input width]`, scaled.
    ///
    /// # Errors
    /// When rows are in a file, and cannot be read.
    pub fn inputs(&mut self) -> anyhow::Result<&[f32]> {
        if self.loaded.is_none() {
            self.loader.load(self.indices, 1, self.buffer)?;
            self.loaded = Some(false);
        }
        if self.loaded != Some(self.mirrored) {
            augmentation::flip_horizontally(&mut self.buffer.inputs, self.width);
            self.loaded = Some(self.mirrored);
        }
        Ok(&self.buffer.inputs)
    }
}

/// The loss, with weights and in scaled units as in training, and its metrics, unweighted and in the target's units; None
/// without rows. The ranks predict a batch each, in turns, and each adds up all.
pub fn evaluate(
    predict: Predict<'_>,
    network: &Network,
    trainer: &TrainerSettings,
    loader: &DataLoader<'_>,
    ranks: &mut Ranks,
) -> anyhow::Result<Option<Metrics>> {
    if loader.count == 0 {
        return Ok(None);
    }
    let (loss, outputs) = (trainer.loss(), network.graph.architecture.outputs);
    let (mut total, mut accumulators) = (0.0, Accumulators::new(loss, outputs, loader.target_width));
    let total_weight = loader.total_weight(loss);
    let (mut buffer, mut grad_output) = (BatchBuffer::default(), Vec::new());
    let mut predictor = Predictor { network: predict, flip: None, outputs: Vec::new(), mirrored: Vec::new() };
    let mut batch_size = ROWS;
    if let [_, _, width] = *network.task.input_shape {
        batch_size = trainer.batch_size;
        predictor.flip = trainer.test_flip.then_some(width);
    }
    let indices: Vec<usize> = (0..loader.count).collect();
    let batches: Vec<&[usize]> = indices.chunks(batch_size).collect();
    for batches in batches.chunks(ranks.size()) {
        let own = match batches.get(ranks.rank()) {
            Some(indices) => &*predictor.predict(loader, indices, &mut buffer)?,
            None => &[],
        };
        let widths = (0..ranks.size()).map(|rank| batches.get(rank).map_or(0, |batch| batch.len() * outputs));
        let gathered = ranks.all_gather(own, &widths.collect::<Vec<_>>())?;
        for (mut predictions, indices) in gathered.into_iter().zip(batches) {
            loader.load_targets(indices, &mut buffer);
            grad_output.resize(predictions.len(), 0.0);
            total += loss.add(&predictions, loader.batch(&buffer), outputs, total_weight, &mut grad_output);
            if let Some(scaling) = &network.target_scaling {
                scaling.invert(&mut predictions);
                loader.raw_targets(indices, &mut buffer.targets);
            }
            accumulators.add(&predictions, &buffer.targets);
        }
    }
    let mut metrics = Metrics::from([("loss", total)]);
    accumulators.finish(&mut metrics);
    Ok(Some(metrics))
}

/// The network's outputs; with `trainer.test_flip`, their mean over an image and its mirror image.
struct Predictor<'a> {
    network: Predict<'a>,
    /// Width of the images, with `trainer.test_flip`.
    flip: Option<usize>,
    outputs: Vec<f32>,
    mirrored: Vec<f32>,
}

impl Predictor<'_> {
    /// Outputs for the rows at `indices`, `[rows, outputs]`.
    fn predict(
        &mut self,
        loader: &DataLoader<'_>,
        indices: &[usize],
        buffer: &mut BatchBuffer,
    ) -> anyhow::Result<&mut [f32]> {
        let width = self.flip.unwrap_or(1);
        let mut rows = RowBatch { loader, indices, mirrored: false, width, buffer, loaded: None };
        (self.network)(&mut rows, &mut self.outputs)?;
        if self.flip.is_some() {
            rows.mirrored = true;
            (self.network)(&mut rows, &mut self.mirrored)?;
            self.outputs
                .iter_mut()
                .zip(&self.mirrored)
                .for_each(|(output, mirrored)| *output = (*output + mirrored) / 2.0);
        }
        Ok(&mut self.outputs)
    }
}

/// Metrics with the prefix of their split: `val_loss`.
pub fn named(prefix: &str, metrics: &Metrics) -> Metrics {
    metrics.iter().map(|(measured, value)| (name(prefix, measured), value)).collect()
}

pub fn name(prefix: &str, metric: &str) -> String {
    format!("{prefix}_{metric}")
}

/// The metrics of [`evaluate`]. r2 is left out where no target varies; auc and average_precision, except for class
/// labels, or targets of 0 and 1, where each class occurs.
pub fn names(loss: Loss) -> &'static [&'static str] {
    match loss {
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => {
            const { &["loss", Metric::Mse.name(), Metric::Mae.name(), Metric::R2.name()] }
        }
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => {
            const { &["loss", Metric::Accuracy.name(), Metric::Auc.name(), Metric::AveragePrecision.name()] }
        }
    }
}

/// Accumulators of the metrics that go with a loss.
enum Accumulators {
    Regression(Regression),
    /// Logits per class; targets are class indices.
    Labels {
        classes: usize,
        metrics: MultiClass,
    },
    /// Logits per class; targets are probabilities, of which the argmax counts.
    Probabilities {
        classes: usize,
        confusion: ConfusionMatrix,
    },
    /// A logit per output; targets are 0, 1 or between (`soft`).
    Binary {
        outputs: usize,
        metrics: MultiLabel,
        soft: bool,
    },
}

impl Accumulators {
    fn new(loss: Loss, outputs: usize, target_width: usize) -> Self {
        match loss {
            Loss::Mse | Loss::Mae | Loss::Huber { .. } => Self::Regression(Regression::new(target_width)),
            Loss::CrossEntropy { .. } if target_width == 1 => {
                Self::Labels { classes: outputs, metrics: MultiClass::new(outputs, MAX_RANKED) }
            }
            Loss::CrossEntropy { .. } => {
                Self::Probabilities { classes: outputs, confusion: ConfusionMatrix::with_max_classes(outputs, 0) }
            }
            Loss::BinaryCrossEntropy => {
                Self::Binary { outputs, metrics: MultiLabel::new(outputs, MAX_RANKED), soft: false }
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
            Self::Probabilities { classes, confusion } => {
                for (logits, target) in predictions.chunks_exact(*classes).zip(targets.chunks_exact(*classes)) {
                    confusion.add(argmax(target), argmax(logits));
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
                let defined = metrics.metrics().into_iter().filter_map(|(metric, value)| Some((metric.name(), value?)));
                return defined.for_each(|(name, value)| out.insert(name, value));
            }
            Self::Labels { metrics, .. } => {
                (metrics.confusion().accuracy(), metrics.rankings().as_deref().and_then(Ranking::of_classes))
            }
            Self::Probabilities { confusion, .. } => (confusion.accuracy(), None),
            Self::Binary { metrics, soft: true, .. } => (metrics.accuracy(), None),
            Self::Binary { metrics, .. } => {
                (metrics.accuracy(), metrics.rankings().as_deref().and_then(Ranking::macro_mean))
            }
        };
        out.insert(Metric::Accuracy.name(), accuracy);
        if let Some(Ranking { auc, average_precision }) = ranking {
            out.insert(Metric::Auc.name(), auc);
            out.insert(Metric::AveragePrecision.name(), average_precision);
        }
    }
}
