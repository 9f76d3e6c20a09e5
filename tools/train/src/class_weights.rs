//! How much each class counts in the loss.

use crate::{
    data::Part,
    settings::{ClassWeights, TrainerSettings},
};
use anyhow::ensure;
use nets::Loss;

/// More weights than this are told by their range.
const MOST_TOLD: usize = 10;

/// The weight of each class, `[classes]`; empty where all count the same. `remarks` is told what balanced comes to.
///
/// # Errors
/// When there is not one weight a class, or no class to weigh.
pub fn choose(
    trainer: &TrainerSettings,
    part: Part<'_>,
    outputs: usize,
    remarks: &mut Vec<String>,
) -> anyhow::Result<Vec<f32>> {
    let Some(class_weights) = &trainer.class_weights else { return Ok(Vec::new()) };
    let Part { table, rows } = part;
    let is_labelled = table.target_width() == 1;
    let classes = match trainer.loss() {
        Loss::CrossEntropy { .. } => outputs,
        Loss::BinaryCrossEntropy => {
            let mut targets = rows.iter().map(|&row| table.targets[row * table.target_width()]);
            ensure!(
                is_labelled && targets.all(|target| target == 0.0 || target == 1.0),
                "trainer.class_weights: bce takes them with one target a row, which is 0 or 1; field {:?} is another",
                trainer.target_field
            );
            2
        }
        // Told to be of no effect.
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => return Ok(Vec::new()),
    };
    match class_weights {
        ClassWeights::List(weights) => {
            let count = weights.len();
            ensure!(count == classes, "trainer.class_weights: {count} weights for {classes} classes; one a class");
            Ok(weights.clone())
        }
        ClassWeights::Named(_) => {
            ensure!(
                is_labelled,
                "trainer.class_weights: balanced counts labels; targets are probabilities, give a list"
            );
            let labels = rows.iter().map(|&row| table.targets[row] as usize);
            let weights = balanced(&counts(labels, classes));
            remarks.push(format!("trainer.class_weights: balanced is {}", told(&weights)));
            Ok(weights)
        }
    }
}

/// How often each class occurs.
pub fn counts(labels: impl Iterator<Item = usize>, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.for_each(|label| counts[label] += 1);
    counts
}

/// rows / (classes · rows of the class), as scikit-learn's `class_weight="balanced"`: over the classes that occur. One
/// that never does weighs 1.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let rows: usize = counts.iter().sum();
    let classes = counts.iter().filter(|count| **count > 0).count();
    let weight = |&count: &usize| if count > 0 { (rows as f64 / (classes * count) as f64) as f32 } else { 1.0 };
    counts.iter().map(weight).collect()
}

fn told(weights: &[f32]) -> String {
    if weights.len() <= MOST_TOLD {
        return format!("{weights:?}");
    }
    let least = weights.iter().copied().fold(f32::INFINITY, f32::min);
    let most = weights.iter().copied().fold(0.0, f32::max);
    format!("from {least:?} to {most:?}")
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
