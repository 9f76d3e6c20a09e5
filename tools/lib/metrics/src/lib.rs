//! Metrics of predictions, accumulated row by row, and what they mean: names, ranges, which values are better.
//!
//! `train` logs them, `score` prints them, `compare` ranks runs by them, `plot` draws them, `infer` and `export` use
//! [`argmax`]. Nothing here reads files: rows come in as slices, numbers go out.
//!
//! ```
//! use metrics::{Direction, Metric, MultiClass, direction_of};
//!
//! let mut classifier = MultiClass::new(3, usize::MAX);
//! for (label, logits) in [(0, [2.0, 0.5, 0.1]), (2, [0.3, 1.5, 1.0])] {
//!     classifier.add_logits(label, &logits); // returns the predicted class
//! }
//! let report = classifier.report();
//! assert_eq!(report.get(Metric::Accuracy), Some(0.5));
//! assert_eq!(direction_of("val_accuracy"), Some(Direction::Maximize));
//! ```
//!
//! # The metrics
//!
//! Definitions are those of scikit-learn 1.9, against which they are tested (`tests/goldens.rs`). A metric that is not
//! defined (R2 of targets that never vary, AUC where a class never occurs) is `None`.
//!
//! | name                | definition (`sklearn.metrics`)                      | range      | mode |
//! |---------------------|-----------------------------------------------------|------------|------|
//! | `mse`               | `mean_squared_error`                                | 0 to ∞     | min  |
//! | `mae`               | `mean_absolute_error`                               | 0 to ∞     | min  |
//! | `r2`                | `r2_score`, `multioutput="uniform_average"`         | -∞ to 1    | max  |
//! | `accuracy`          | `accuracy_score`; multi-label over all elements     | 0 to 1     | max  |
//! | `subset_accuracy`   | `accuracy_score` of multi-label indicators          | 0 to 1     | max  |
//! | `cross_entropy`     | `log_loss`, in nats; multi-label over all elements  | 0 to ∞     | min  |
//! | `precision`         | `precision_score`, of class 1                       | 0 to 1     | max  |
//! | `recall`            | `recall_score`, of class 1                          | 0 to 1     | max  |
//! | `f1`                | `f1_score`, of class 1                              | 0 to 1     | max  |
//! | `macro_precision`   | `precision_score`, `average="macro"`                | 0 to 1     | max  |
//! | `macro_recall`      | `recall_score`, `average="macro"`                   | 0 to 1     | max  |
//! | `macro_f1`          | `f1_score`, `average="macro"`                       | 0 to 1     | max  |
//! | `auc`               | `roc_auc_score`, `multi_class="ovr"`, macro mean    | 0 to 1     | max  |
//! | `average_precision` | `average_precision_score`, macro mean               | 0 to 1     | max  |
//!
//! All sums are in f64 and in the order of the rows, and logarithms and exponentials are libm's: the same rows give the
//! same bits on every machine.
//!
//! # Where a new metric goes
//!
//! 1. A variant of [`Metric`], with its name, direction and range, and a line of the table above; a test holds the two
//!    together.
//! 2. Its value, in the `metrics` of the accumulator that can compute it: [`Regression`], [`MultiClass`], [`Binary`],
//!    [`MultiLabel`] or [`ConfusionMatrix`].
//! 3. Its expected values, from scikit-learn: `tests/fixtures/scikit_learn.py` and `tests/goldens.rs`.
//!
//! 4. A line of the table in `docs/score.md`.
//!
//! `score` then prints it, and `--fail-if` takes it. `train` logs a regression metric without a change, and a metric of
//! classes that `Accumulators::finish` in `tools/train/src/evaluate.rs` inserts; `names` there lists those that
//! `monitor` accepts.

mod argmax;
mod binary;
mod comparison;
mod confusion;
mod direction;
mod estimate;
mod learning_rate;
mod metric;
mod multi_class;
mod multi_label;
mod ranking;
mod regression;
mod report;
mod score_buffer;
mod split;

pub use argmax::{argmax, predicted_class};
pub use binary::Binary;
pub use comparison::Comparison;
pub use confusion::{ClassScore, ConfusionMatrix, MacroMeans};
pub use direction::{Direction, Mode, direction_of};
pub use estimate::Estimate;
pub use learning_rate::{MIN_FINDER_STEPS, suggested_learning_rate};
pub use metric::Metric;
pub use multi_class::MultiClass;
pub use multi_label::MultiLabel;
pub use ranking::Ranking;
pub use regression::Regression;
pub use report::ClassificationReport;
pub use split::Split;

/// The negative logarithm of a probability that is first clipped to `eps..=1 - eps`, as in scikit-learn's `log_loss`.
fn negative_log(probability: f64, eps: f64) -> f64 {
    -libm::log(probability.clamp(eps, 1.0 - eps))
}
