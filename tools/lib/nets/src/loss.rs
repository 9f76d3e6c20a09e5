//! Losses and their gradients.

use crate::Batch;
use serde::{Deserialize, Serialize};

/// The function that training minimizes. Definitions and edge cases are PyTorch's, `reduction="mean"`.
///
/// Where the [`Batch`] has weights, the mean over rows is weighted: `Σ w·l / Σ w`. Class weights act as in
/// `torch.nn.CrossEntropyLoss(weight=…)`, label smoothing included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean squared error over rows and outputs.
    Mse,
    /// Mean absolute error over rows and outputs.
    Mae,
    /// Quadratic up to `delta`, linear beyond (Huber, 1964); mean over rows and outputs.
    Huber {
        /// Absolute error at which the loss becomes linear, in units of the target after scaling.
        delta: f64,
    },
    /// Cross-entropy of the softmax of the outputs (logits), mean over rows. A target is a class index, or a probability
    /// for each class.
    CrossEntropy {
        /// Probability mass spread evenly over all classes, 0 to 1 (Szegedy et al., 2016).
        label_smoothing: f64,
    },
    /// Cross-entropy of the sigmoid of each output (logit), mean over rows and outputs. Targets are probabilities.
    BinaryCrossEntropy,
}

impl Loss {
    /// Whether targets are class indices or probabilities of classes.
    pub fn has_classes(self) -> bool {
        matches!(self, Self::CrossEntropy { .. } | Self::BinaryCrossEntropy)
    }

    /// Whether outputs are logits of mutually exclusive classes.
    pub fn is_categorical(self) -> bool {
        matches!(self, Self::CrossEntropy { .. })
    }

    /// The denominator of the mean over a batch of `rows` rows: the sum of their weights, or `rows` without weights.
    pub fn total_weight(self, batch: Batch<'_>, rows: usize) -> f64 {
        if batch.weights.is_empty() && batch.class_weights.is_empty() {
            return rows as f64;
        }
        let width = batch.targets.len() / rows.max(1);
        (0..rows).map(|row| self.row_weight(batch, row, &batch.targets[row * width..(row + 1) * width])).sum()
    }

    /// A row's term in [`Loss::total_weight`]: its weight times that of its class. A row with a probability for each class
    /// has the class weight 1, as in PyTorch.
    pub(crate) fn row_weight(self, batch: Batch<'_>, row: usize, target: &[f32]) -> f64 {
        let own = batch.weights.get(row).map_or(1.0, |&weight| f64::from(weight));
        let class = match (self, target) {
            (Self::CrossEntropy { .. }, [class]) => *class as usize,
            (Self::BinaryCrossEntropy, [target]) => usize::from(*target > 0.5),
            _ => return own,
        };
        own * batch.class_weights.get(class).map_or(1.0, |&weight| f64::from(weight))
    }

    /// 1 / the number of terms, each as often as its weight, of the mean over rows of `width` outputs that weigh `total_weight`
    /// together; 0 where that is 0.
    pub fn mean_factor(self, total_weight: f64, width: usize) -> f64 {
        let terms = match self {
            Self::CrossEntropy { .. } => total_weight,
            _ => total_weight * width as f64,
        };
        if terms > 0.0 { 1.0 / terms } else { 0.0 }
    }

    /// The terms of these rows in the mean over a batch of weight `total_weight`, of which they may be a shard. Overwrites
    /// `grad_outputs` with the gradient with respect to `outputs`; both are `[rows, width]`. Loss and gradient are 0 where
    /// `total_weight` is 0. `batch.inputs` is not read.
    ///
    /// # Panics
    /// If `grad_outputs` is not as long as `outputs`.
    pub fn add(
        self,
        outputs: &[f32],
        batch: Batch<'_>,
        width: usize,
        total_weight: f64,
        grad_outputs: &mut [f32],
    ) -> f64 {
        assert_eq!(grad_outputs.len(), outputs.len(), "a gradient for each output");
        let terms = Terms { loss: self, batch, width, factor: self.mean_factor(total_weight, width) };
        match self {
            Self::Mse => terms.of_errors(outputs, grad_outputs, |error| (error * error, 2.0 * error)),
            Self::Mae => terms.of_errors(outputs, grad_outputs, |error| {
                (error.abs(), if error == 0.0 { 0.0 } else { error.signum() })
            }),
            Self::Huber { delta } => terms.of_errors(outputs, grad_outputs, |error| match error.abs() {
                near if near <= delta => (0.5 * error * error, error),
                far => (delta * (far - 0.5 * delta), delta * error.signum()),
            }),
            Self::CrossEntropy { label_smoothing } => terms.cross_entropy(outputs, grad_outputs, label_smoothing),
            Self::BinaryCrossEntropy => terms.elementwise(outputs, grad_outputs, |logit, target| {
                let (logit, target) = (f64::from(logit), f64::from(target));
                // log(1 + exp(logit)) - target · logit, without overflow
                let loss = logit.max(0.0) - target * logit + libm::log1p(libm::exp(-logit.abs()));
                (loss, sigmoid(logit) - target)
            }),
        }
    }
}

/// 1 / (1 + exp(-x))
pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// The terms of a (weighted) mean. Without weights the bits are those of the plain mean.
struct Terms<'a> {
    loss: Loss,
    batch: Batch<'a>,
    /// Outputs a row.
    width: usize,
    /// 1 / denominator of the mean.
    factor: f64,
}

impl Terms<'_> {
    /// Sums a loss of each output's error; `loss` returns value and derivative.
    fn of_errors(&self, outputs: &[f32], grad_outputs: &mut [f32], loss: impl Fn(f64) -> (f64, f64)) -> f64 {
        self.elementwise(outputs, grad_outputs, |output, target| loss(f64::from(output - target)))
    }

    /// Sums a loss of each output and its target; `loss` returns value and derivative with respect to the output.
    fn elementwise(&self, outputs: &[f32], grad_outputs: &mut [f32], loss: impl Fn(f32, f32) -> (f64, f64)) -> f64 {
        let (width, factor) = (self.width, self.factor);
        let mut sum = 0.0;
        let rows = outputs.chunks_exact(width).zip(self.batch.targets.chunks_exact(width));
        for (row, ((outputs, targets), grad_outputs)) in rows.zip(grad_outputs.chunks_exact_mut(width)).enumerate() {
            let weight = self.loss.row_weight(self.batch, row, targets);
            for ((&output, &target), grad_output) in outputs.iter().zip(targets).zip(grad_outputs) {
                let (loss, slope) = loss(output, target);
                sum += weight * loss;
                *grad_output = (factor * weight * slope) as f32;
            }
        }
        factor * sum
    }

    fn cross_entropy(&self, outputs: &[f32], grad_outputs: &mut [f32], smoothing: f64) -> f64 {
        let Self { batch, width, factor, .. } = *self;
        let target_width = batch.targets.len() / (outputs.len() / width);
        let weight = |weights: &[f32], i: usize| weights.get(i).map_or(1.0, |&weight| f64::from(weight));
        let mut sum = 0.0;
        let (mut probabilities, mut weighted) = (vec![0.0; width], vec![0.0; width]);
        let rows = outputs.chunks_exact(width).zip(batch.targets.chunks_exact(target_width));
        for (row, ((logits, target), grad_outputs)) in rows.zip(grad_outputs.chunks_exact_mut(width)).enumerate() {
            let log_sum = softmax(logits, &mut probabilities);
            let row_weight = weight(batch.weights, row);
            for (class, weighted) in weighted.iter_mut().enumerate() {
                let probability = match target {
                    [class_of_row] if width > 1 => f64::from(u8::from(*class_of_row as usize == class)),
                    soft => f64::from(soft[class]),
                };
                // As in PyTorch, a class's weight also scales its label smoothing.
                *weighted = ((1.0 - smoothing) * probability + smoothing / width as f64)
                    * row_weight
                    * weight(batch.class_weights, class);
            }
            // 1, unless there are weights, or the targets are no probabilities.
            let target_sum: f64 = weighted.iter().sum();
            let terms = logits.iter().zip(&probabilities).zip(&weighted).zip(grad_outputs);
            for (((&logit, &probability), &target), grad_output) in terms {
                sum += target * (log_sum - f64::from(logit));
                *grad_output = (factor * (probability * target_sum - target)) as f32;
            }
        }
        factor * sum
    }
}

/// Overwrites `probabilities` with the softmax of `logits`; returns their log-sum-exp.
fn softmax(logits: &[f32], probabilities: &mut [f64]) -> f64 {
    let max = f64::from(logits.iter().fold(f32::NEG_INFINITY, |max, &logit| max.max(logit)));
    let mut sum = 0.0;
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        *probability = libm::exp(f64::from(logit) - max);
        sum += *probability;
    }
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    max + libm::log(sum)
}
