//! How much the classes of a target count in the loss.

use anyhow::ensure;
use serde::Deserialize;

/// By their numbers, or one by one.
#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged, expecting = "expected balanced, or a list of weights, one a class")]
pub enum ClassWeights {
    Named(Balanced),
    List(Vec<f32>),
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Balanced {
    /// Each class counts the same in all, however many rows it has.
    Balanced,
}

impl ClassWeights {
    pub fn check(&self) -> anyhow::Result<()> {
        let Self::List(weights) = self else { return Ok(()) };
        let valid = weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite());
        ensure!(
            valid && weights.iter().any(|weight| *weight > 0.0),
            "trainer.class_weights: {weights:?}; expected numbers of at least 0, not all of them 0"
        );
        Ok(())
    }
}
