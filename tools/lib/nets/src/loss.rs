//! Losses, with their gradients.

use serde::{Deserialize, Serialize};

/// What training makes small. Definitions and edge cases are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The squared error, mean over rows and outputs.
    Mse,
    /// The absolute error, mean over rows and outputs.
    Mae,
    /// Quadratic up to `delta`, linear beyond (Huber, 1964); mean over rows and outputs.
    Huber {
        /// Where it becomes linear, in units of the target.
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
    /// Whether outputs are logits of classes that exclude each other.
    pub fn is_categorical(self) -> bool {
        matches!(self, Self::CrossEntropy { .. })
    }

    /// The sum over these rows of their share in the mean over `total_rows`; writes its gradient
    /// with respect to the outputs to `delta`.
    ///
    /// `outputs` and `delta` are `[rows, width]`, `targets` is as [`Batch`](crate::Batch) says.
    pub fn add(self, outputs: &[f32], targets: &[f32], width: usize, total_rows: usize, delta: &mut Vec<f32>) -> f64 {
        delta.clear();
        let all = 1.0 / (total_rows * width) as f64;
        match self {
            Self::Mse => elementwise(outputs, targets, delta, all, |error| (error * error, 2.0 * error)),
            Self::Mae => elementwise(outputs, targets, delta, all, |error| {
                (error.abs(), if error == 0.0 { 0.0 } else { error.signum() })
            }),
            Self::Huber { delta: bend } => elementwise(outputs, targets, delta, all, |error| match error.abs() {
                near if near <= bend => (0.5 * error * error, error),
                far => (bend * (far - 0.5 * bend), bend * error.signum()),
            }),
            Self::CrossEntropy { label_smoothing } => {
                cross_entropy(outputs, targets, width, delta, 1.0 / total_rows as f64, label_smoothing)
            }
            Self::BinaryCrossEntropy => {
                let terms = outputs.iter().zip(targets).map(|(&logit, &target)| {
                    let (logit, target) = (f64::from(logit), f64::from(target));
                    // log(1 + exp(logit)) - target · logit, without overflow
                    let loss = logit.max(0.0) - target * logit + libm::log1p(libm::exp(-logit.abs()));
                    delta.push((all * (sigmoid(logit) - target)) as f32);
                    loss
                });
                all * terms.sum::<f64>()
            }
        }
    }
}

/// 1 / (1 + exp(-x))
pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// A loss that is a mean over elements of a function of the error, and its slope.
fn elementwise(
    outputs: &[f32],
    targets: &[f32],
    delta: &mut Vec<f32>,
    scale: f64,
    loss: impl Fn(f64) -> (f64, f64),
) -> f64 {
    let mut sum = 0.0;
    delta.extend(outputs.iter().zip(targets).map(|(output, target)| {
        let (loss, slope) = loss(f64::from(output - target));
        sum += loss;
        (scale * slope) as f32
    }));
    scale * sum
}

fn cross_entropy(
    outputs: &[f32],
    targets: &[f32],
    width: usize,
    delta: &mut Vec<f32>,
    scale: f64,
    smoothing: f64,
) -> f64 {
    let target_width = targets.len() / (outputs.len() / width);
    let mut sum = 0.0;
    let (mut probabilities, mut wanted) = (vec![0.0; width], vec![0.0; width]);
    for (logits, target) in outputs.chunks_exact(width).zip(targets.chunks_exact(target_width)) {
        let log_sum = softmax(logits, &mut probabilities);
        for (class, wanted) in wanted.iter_mut().enumerate() {
            let hard = match target {
                [class_of_row] if width > 1 => f64::from(u8::from(*class_of_row as usize == class)),
                soft => f64::from(soft[class]),
            };
            *wanted = (1.0 - smoothing) * hard + smoothing / width as f64;
        }
        // 1, unless the targets are no probabilities.
        let all_wanted: f64 = wanted.iter().sum();
        for ((&logit, &probability), &wanted) in logits.iter().zip(&probabilities).zip(&wanted) {
            sum += wanted * (log_sum - f64::from(logit));
            delta.push((scale * (probability * all_wanted - wanted)) as f32);
        }
    }
    scale * sum
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
