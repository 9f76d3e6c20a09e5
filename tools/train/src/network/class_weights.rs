//! Class weights of the loss.

use crate::{
    data::Split,
    settings::{ClassWeights, TrainerSettings},
};
use anyhow::ensure;
use nets::Loss;

/// Of more weights than this, a note has the range only.
const MAX_LISTED: usize = 10;

/// Class weights, `[classes]`; empty without `trainer.class_weights`. `notes` gets the weights that `balanced` computes.
///
/// # Errors
/// When the number of weights is not that of the classes, or targets are not class labels.
pub fn choose(
    trainer: &TrainerSettings,
    split: Split<'_>,
    outputs: usize,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<f32>> {
    let Some(class_weights) = &trainer.class_weights else { return Ok(Vec::new()) };
    let Split { dataset, rows } = split;
    let is_labelled = dataset.target_width() == 1;
    let classes = match trainer.loss() {
        Loss::CrossEntropy { .. } => outputs,
        Loss::BinaryCrossEntropy => {
            let mut targets = rows.iter().map(|&row| dataset.targets[row * dataset.target_width()]);
            ensure!(
                is_labelled && targets.all(|target| target == 0.0 || target == 1.0),
                "trainer.class_weights: bce requires one target per row, 0 or 1; field {:?} is different",
                trainer.target_field
            );
            2
        }
        // settings::no_effect warns of it.
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => return Ok(Vec::new()),
    };
    match class_weights {
        ClassWeights::List(weights) => {
            let count = weights.len();
            ensure!(
                count == classes,
                "trainer.class_weights: {count} weights for {classes} classes; expected one per class"
            );
            Ok(weights.clone())
        }
        ClassWeights::Named(_) => {
            ensure!(
                is_labelled,
                "trainer.class_weights: balanced counts labels; targets are probabilities, give a list"
            );
            let labels = rows.iter().map(|&row| dataset.targets[row] as usize);
            let weights = balanced(&counts(labels, classes));
            notes.push(format!("trainer.class_weights: balanced is {}", summary(&weights)));
            Ok(weights)
        }
    }
}

/// Number of rows of each class, `[classes]`.
pub fn counts(labels: impl Iterator<Item = usize>, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.for_each(|label| counts[label] += 1);
    counts
}

/// rows / (classes · rows of the class), as scikit-learn's `class_weight="balanced"`, over the classes that occur. A class
/// without rows has weight 1.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let rows: usize = counts.iter().sum();
    let classes = counts.iter().filter(|count| **count > 0).count();
    let weight = |&count: &usize| if count > 0 { (rows as f64 / (classes * count) as f64) as f32 } else { 1.0 };
    counts.iter().map(weight).collect()
}

fn summary(weights: &[f32]) -> String {
    if weights.len() <= MAX_LISTED {
        return format!("{weights:?}");
    }
    let min = weights.iter().copied().fold(f32::INFINITY, f32::min);
    let max = weights.iter().copied().fold(0.0, f32::max);
    format!("from {min:?} to {max:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_is_scikit_learns() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2])
        let expected = [0.555_555_6, 1.111_111_2, 3.333_333_3];
        assert_eq!(balanced(&counts([0, 0, 1, 0, 0, 2, 1, 0, 1, 0].into_iter(), 3)), expected);
        assert_eq!(balanced(&[0, 4, 4]), [1.0, 1.0, 1.0]);
    }
}
