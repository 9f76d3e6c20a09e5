//! Hyper-parameters by kind of parameter.

use crate::{Layout, ParameterKind};
use optim::ParamGroup;
use serde::Deserialize;

/// Weight decay and learning rates by [`ParameterKind`]. Made into the optimizer's param groups by
/// [`ParamGroups::of`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParamGroups {
    /// Weight decay of all kinds but `no_decay`.
    pub weight_decay: f64,
    /// Kinds without weight decay.
    pub no_decay: Vec<ParameterKind>,
    /// Factors on the learning rate.
    pub learning_rate_factors: LearningRateFactors,
}

/// A factor on the learning rate for each trainable kind of parameter; 1 by default.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRateFactors {
    /// Of weights of convolutions and linear layers.
    pub weight: f64,
    /// Of biases.
    pub bias: f64,
    /// Of the scale (γ) and shift (β) of norms.
    pub norm: f64,
}

impl Default for LearningRateFactors {
    fn default() -> Self {
        Self { weight: 1.0, bias: 1.0, norm: 1.0 }
    }
}

impl LearningRateFactors {
    fn of(self, kind: ParameterKind) -> f64 {
        match kind {
            ParameterKind::Weight => self.weight,
            ParameterKind::Bias => self.bias,
            ParameterKind::Norm => self.norm,
            // In no group.
            ParameterKind::Statistic | ParameterKind::Frozen => 0.0,
        }
    }
}

impl ParamGroups {
    /// The groups of the trainable tensors of a layout. Neighbouring tensors with the same hyper-parameters share one.
    pub fn of(&self, layout: &Layout) -> Vec<ParamGroup> {
        let mut groups: Vec<ParamGroup> = Vec::new();
        for tensor in layout.tensors().iter().filter(|tensor| tensor.kind.is_trainable()) {
            let weight_decay = if self.no_decay.contains(&tensor.kind) { 0.0 } else { self.weight_decay };
            let learning_rate_factor = self.learning_rate_factors.of(tensor.kind);
            match groups.last_mut() {
                Some(last)
                    if (last.weight_decay, last.learning_rate_factor) == (weight_decay, learning_rate_factor) =>
                {
                    last.range.end = tensor.range.end;
                }
                _ => groups.push(ParamGroup { range: tensor.range.clone(), weight_decay, learning_rate_factor }),
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Graph, Perceptron};

    #[test]
    fn neighbours_with_the_same_hyper_parameters_share_a_group() {
        let perceptron = Perceptron { inputs: 3, hidden: vec![2], outputs: 1, activation: crate::Activation::Relu };
        let layout = Graph::new(Architecture::from(&perceptron)).expect("a network").layout;
        let group =
            |range, weight_decay, learning_rate_factor| ParamGroup { range, weight_decay, learning_rate_factor };
        let all = ParamGroups { weight_decay: 0.1, ..ParamGroups::default() };
        assert_eq!(all.of(&layout), [group(0..11, 0.1, 1.0)]);
        // Weights [2, 3] and [1, 2], biases [2] and [1].
        let factors = LearningRateFactors { bias: 2.0, ..LearningRateFactors::default() };
        let by_kind = ParamGroups { no_decay: vec![ParameterKind::Bias], learning_rate_factors: factors, ..all };
        let expected = [group(0..6, 0.1, 1.0), group(6..8, 0.0, 2.0), group(8..10, 0.1, 1.0), group(10..11, 0.0, 2.0)];
        assert_eq!(by_kind.of(&layout), expected);
    }
}
