//! Config group `optimizer`.

use super::Check;
use nets::{ParameterKind, Rule};
use serde::Deserialize;

/// The optimizer's numbers, by its name.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Named {
    Sgd {
        momentum: f64,
        nesterov: bool,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
    },
    Adam {
        betas: [f64; 2],
        eps: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
    },
    #[serde(rename = "adamw")]
    AdamW {
        betas: [f64; 2],
        eps: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
    },
    #[serde(rename = "rmsprop")]
    RmsProp {
        alpha: f64,
        eps: f64,
        momentum: f64,
        learning_rate: f64,
        weight_decay: f64,
        no_decay: Vec<ParameterKind>,
    },
}

#[derive(Deserialize)]
#[serde(from = "Named")]
pub struct OptimizerSettings {
    pub rule: Rule,
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// Kinds of parameters that do not decay.
    pub no_decay: Vec<ParameterKind>,
}

impl From<Named> for OptimizerSettings {
    fn from(named: Named) -> Self {
        match named {
            Named::Sgd { momentum, nesterov, learning_rate, weight_decay, no_decay } => {
                Self { rule: Rule::Sgd { momentum, nesterov }, learning_rate, weight_decay, no_decay }
            }
            Named::Adam { betas, eps, learning_rate, weight_decay, no_decay } => {
                Self { rule: Rule::Adam { betas, eps }, learning_rate, weight_decay, no_decay }
            }
            Named::AdamW { betas, eps, learning_rate, weight_decay, no_decay } => {
                Self { rule: Rule::AdamW { betas, eps }, learning_rate, weight_decay, no_decay }
            }
            Named::RmsProp { alpha, eps, momentum, learning_rate, weight_decay, no_decay } => {
                Self { rule: Rule::RmsProp { alpha, eps, momentum }, learning_rate, weight_decay, no_decay }
            }
        }
    }
}

impl OptimizerSettings {
    pub fn check(&self, check: &Check) -> anyhow::Result<()> {
        check.positive("learning_rate", self.learning_rate)?;
        check.not_negative("weight_decay", self.weight_decay)?;
        match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                check.below_one("momentum", momentum)?;
                anyhow::ensure!(!nesterov || momentum > 0.0, "optimizer.nesterov: wants optimizer.momentum above 0");
                Ok(())
            }
            Rule::Adam { betas, eps } | Rule::AdamW { betas, eps } => {
                check.below_one("betas.0", betas[0])?;
                check.below_one("betas.1", betas[1])?;
                check.positive("eps", eps)
            }
            Rule::RmsProp { alpha, eps, momentum } => {
                check.below_one("alpha", alpha)?;
                check.positive("eps", eps)?;
                check.below_one("momentum", momentum)
            }
        }
    }
}
