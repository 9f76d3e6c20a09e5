//! Config group `optimizer`.

use super::Check;
use nets::{LearningRateFactors, ParamGroups, ParameterKind};
use optim::Algorithm;
use serde::Deserialize;

/// Hyper-parameters, by `optimizer.name`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Named {
    Sgd {
        momentum: f64,
        nesterov: bool,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
        learning_rate_factors: LearningRateFactors,
    },
    Adam {
        betas: [f64; 2],
        eps: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
        learning_rate_factors: LearningRateFactors,
    },
    #[serde(rename = "adamw")]
    AdamW {
        betas: [f64; 2],
        eps: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
        learning_rate_factors: LearningRateFactors,
    },
    #[serde(rename = "rmsprop")]
    RmsProp {
        alpha: f64,
        eps: f64,
        momentum: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
        learning_rate_factors: LearningRateFactors,
    },
}

#[derive(Deserialize)]
#[serde(from = "Named")]
pub struct OptimizerSettings {
    pub algorithm: Algorithm,
    pub learning_rate: f64,
    pub groups: ParamGroups,
}

impl From<Named> for OptimizerSettings {
    fn from(named: Named) -> Self {
        let (algorithm, learning_rate, weight_decay, no_decay, learning_rate_factors) = match named {
            Named::Sgd { momentum, nesterov, learning_rate, weight_decay, no_decay, learning_rate_factors } => {
                (Algorithm::Sgd { momentum, nesterov }, learning_rate, weight_decay, no_decay, learning_rate_factors)
            }
            Named::Adam { betas, eps, learning_rate, weight_decay, no_decay, learning_rate_factors } => {
                (Algorithm::Adam { betas, eps }, learning_rate, weight_decay, no_decay, learning_rate_factors)
            }
            Named::AdamW { betas, eps, learning_rate, weight_decay, no_decay, learning_rate_factors } => {
                (Algorithm::AdamW { betas, eps }, learning_rate, weight_decay, no_decay, learning_rate_factors)
            }
            Named::RmsProp { alpha, eps, momentum, learning_rate, weight_decay, no_decay, learning_rate_factors } => (
                Algorithm::RmsProp { alpha, eps, momentum },
                learning_rate,
                weight_decay,
                no_decay,
                learning_rate_factors,
            ),
        };
        Self { algorithm, learning_rate, groups: ParamGroups { weight_decay, no_decay, learning_rate_factors } }
    }
}

impl OptimizerSettings {
    pub fn check(&self, check: &Check) -> anyhow::Result<()> {
        check.positive("learning_rate", self.learning_rate)?;
        check.not_negative("weight_decay", self.groups.weight_decay)?;
        let LearningRateFactors { weight, bias, norm } = self.groups.learning_rate_factors;
        check.not_negative("learning_rate_factors.weight", weight)?;
        check.not_negative("learning_rate_factors.bias", bias)?;
        check.not_negative("learning_rate_factors.norm", norm)?;
        match self.algorithm {
            Algorithm::Sgd { momentum, nesterov } => {
                check.below_one("momentum", momentum)?;
                anyhow::ensure!(!nesterov || momentum > 0.0, "optimizer.nesterov: requires optimizer.momentum above 0");
                Ok(())
            }
            Algorithm::Adam { betas, eps } | Algorithm::AdamW { betas, eps } => {
                check.below_one("betas.0", betas[0])?;
                check.below_one("betas.1", betas[1])?;
                check.positive("eps", eps)
            }
            Algorithm::RmsProp { alpha, eps, momentum } => {
                check.below_one("alpha", alpha)?;
                check.positive("eps", eps)?;
                check.below_one("momentum", momentum)
            }
        }
    }
}
