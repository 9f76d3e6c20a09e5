//! Losses, with their gradients.

use crate::Batch;
use serde::{Deserialize, Serialize};

/// What training makes small. Definitions and edge cases are PyTorch's.
///
/// A mean over rows is a weighted one where the [`Batch`] has weights: `Σ w·l / Σ w`. A class's weight counts as
/// in `torch.nn.CrossEntropyLoss(weight=…)`, label smoothing included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The squared error, mean over rows and outputs.
    Mse,
    /// The absolute error, mean over rows and outputs.
    Mae,
    /// Quadratic up to `delta`, linear beyond (Huber, 1964); mean over rows and outputs.
    Huber {
        /// Where it becomes linear, in units of the target as it is learned: scaled, where it is.
        delta: f64,
    },
    /// The negative log-likelihood of a softmax, mean over rows. Outputs are logits; a target is a
    /// class, or a probability for each class.
    CrossEntropy {
        /// Share of the probability that is spread evenly over all classes (Szegedy et al., 2016).
        label_smoothing: f64,
    },
    /// The negative log-likelihood of a sigmoid for each output, mean over rows and outputs. Outputs
    /// are logits, targets probabilities.
    BinaryCrossEntropy,
}

impl Loss {
    /// Whether targets are classes, or probabilities of some.
    pub fn has_classes(self) -> bool {
        matches!(self, Self::CrossEntropy { .. } | Self::BinaryCrossEntropy)
    }

    /// Whether outputs are logits of classes that exclude each other.
    pub fn is_categorical(self) -> bool {
        matches!(self, Self::CrossEntropy { .. })
    }

    /// What the mean over a batch of `rows` rows divides by: the sum of their weights, `rows` where they have none.
    pub fn total_weight(self, batch: Batch<'_>, rows: usize) -> f64 {
        if batch.weights.is_empty() && batch.class_weights.is_empty() {
            return rows as f64;
        }
        let width = batch.targets.len() / rows.max(1);
        (0..rows).map(|row| self.row_weight(batch, row, &batch.targets[row * width..(row + 1) * width])).sum()
    }

    /// What a row adds to [`Loss::total_weight`]: its own weight, times that of its class. A row with a probability for
    /// each class has no class; PyTorch, too, counts it once.
    pub(crate) fn row_weight(self, batch: Batch<'_>, row: usize, target: &[f32]) -> f64 {
        let own = batch.weights.get(row).map_or(1.0, |&weight| f64::from(weight));
        let class = match (self, target) {
            (Self::CrossEntropy { .. }, [class]) => *class as usize,
            (Self::BinaryCrossEntropy, [target]) => usize::from(*target > 0.5),
            _ => return own,
        };
        own * batch.class_weights.get(class).map_or(1.0, |&weight| f64::from(weight))
    }

    /// The sum over these rows of their share in the mean over a batch that weighs `total_weight`, of which they may be
    /// a part; writes its gradient with respect to the outputs to `delta`. Both are 0 where the batch weighs nothing.
    ///
    /// `outputs` and `delta` are `[rows, width]`; of `batch`, the inputs are not looked at.
    pub fn add(self, outputs: &[f32], batch: Batch<'_>, width: usize, total_weight: f64, delta: &mut Vec<f32>) -> f64 {
        delta.clear();
        let terms = match self {
            Self::CrossEntropy { .. } => total_weight,
            _ => total_weight * width as f64,
        };
        let terms = Terms { loss: self, batch, width, share: if terms > 0.0 { 1.0 / terms } else { 0.0 } };
        match self {
            Self::Mse => terms.of_errors(outputs, delta, |error| (error * error, 2.0 * error)),
            Self::Mae => {
                terms.of_errors(outputs, delta, |error| (error.abs(), if error == 0.0 { 0.0 } else { error.signum() }))
            }
            Self::Huber { delta: bend } => terms.of_errors(outputs, delta, |error| match error.abs() {
                near if near <= bend => (0.5 * error * error, error),
                far => (bend * (far - 0.5 * bend), bend * error.signum()),
            }),
            Self::CrossEntropy { label_smoothing } => terms.cross_entropy(outputs, delta, label_smoothing),
            Self::BinaryCrossEntropy => terms.elementwise(outputs, delta, |logit, target| {
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

/// The terms of a mean. A weight of 1 changes no bit of them.
struct Terms<'a> {
    loss: Loss,
    batch: Batch<'a>,
    /// Outputs of a row.
    width: usize,
    /// Of a term of weight 1 in the mean.
    share: f64,
}

impl Terms<'_> {
    /// A function of each output's error, and its slope.
    fn of_errors(&self, outputs: &[f32], delta: &mut Vec<f32>, loss: impl Fn(f64) -> (f64, f64)) -> f64 {
        self.elementwise(outputs, delta, |output, target| loss(f64::from(output - target)))
    }

    /// A function of each output and its target, and its slope.
    fn elementwise(&self, outputs: &[f32], delta: &mut Vec<f32>, loss: impl Fn(f32, f32) -> (f64, f64)) -> f64 {
        let (width, share) = (self.width, self.share);
        let mut sum = 0.0;
        let rows = outputs.chunks_exact(width).zip(self.batch.targets.chunks_exact(width));
        for (row, (outputs, targets)) in rows.enumerate() {
            let weight = self.loss.row_weight(self.batch, row, targets);
            delta.extend(outputs.iter().zip(targets).map(|(&output, &target)| {
                let (loss, slope) = loss(output, target);
                sum += weight * loss;
                (share * weight * slope) as f32
            }));
        }
        share * sum
    }

    fn cross_entropy(&self, outputs: &[f32], delta: &mut Vec<f32>, smoothing: f64) -> f64 {
        let Self { batch, width, share, .. } = *self;
        let target_width = batch.targets.len() / (outputs.len() / width);
        let weight = |weights: &[f32], i: usize| weights.get(i).map_or(1.0, |&weight| f64::from(weight));
        let mut sum = 0.0;
        let (mut probabilities, mut wanted) = (vec![0.0; width], vec![0.0; width]);
        let rows = outputs.chunks_exact(width).zip(batch.targets.chunks_exact(target_width));
        for (row, (logits, target)) in rows.enumerate() {
            let log_sum = softmax(logits, &mut probabilities);
            let row_weight = weight(batch.weights, row);
            for (class, wanted) in wanted.iter_mut().enumerate() {
                let hard = match target {
                    [class_of_row] if width > 1 => f64::from(u8::from(*class_of_row as usize == class)),
                    soft => f64::from(soft[class]),
                };
                // As PyTorch has it, a class's weight also scales its share of the smoothing.
                *wanted = ((1.0 - smoothing) * hard + smoothing / width as f64)
                    * row_weight
                    * weight(batch.class_weights, class);
            }
            // 1, unless there are weights, or the targets are no probabilities.
            let all_wanted: f64 = wanted.iter().sum();
            for ((&logit, &probability), &wanted) in logits.iter().zip(&probabilities).zip(&wanted) {
                sum += wanted * (log_sum - f64::from(logit));
                delta.push((share * (probability * all_wanted - wanted)) as f32);
            }
        }
        share * sum
    }
}

/// Fills `probabilities` with the softmax of `logits`; returns the logarithm of the sum of exponentials.
fn softmax(logits: &[f32], probabilities: &mut [f64]) -> f64 {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |largest, &logit| largest.max(logit));
    let largest = f64::from(largest);
    let mut sum = 0.0;
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        *probability = libm::exp(f64::from(logit) - largest);
        sum += *probability;
    }
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    largest + libm::log(sum)
}
