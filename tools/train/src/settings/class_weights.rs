//! Setting `trainer.class_weights`.

use anyhow::ensure;
use serde::Deserialize;

/// Computed, or one weight per class.
#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged, expecting = "expected balanced, or a list of weights, one per class")]
pub enum ClassWeights {
    Named(Balanced),
    List(Vec<f32>),
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Balanced {
    /// Inversely proportional to the number of rows, as scikit-learn's.
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
