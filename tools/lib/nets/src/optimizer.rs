//! Optimizers: how gradients move parameters.

use crate::{Layout, ParameterKind};
use kernels::{Isa, update};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a gradient moves a parameter. Definitions are those of PyTorch's classes of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd {
        /// Factor on the velocity; 0 for none.
        momentum: f64,
        /// Whether the gradient is looked up ahead of the velocity (Sutskever et al., 2013).
        nesterov: bool,
    },
    /// Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1. Weight decay
    /// is an L2 penalty.
    Adam {
        /// Decay rates of the first and second moment.
        betas: [f64; 2],
        /// Keeps the denominator from 0.
        eps: f64,
    },
    /// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019: Adam with weight decay
    /// beside the gradient.
    AdamW {
        /// Decay rates of the first and second moment.
        betas: [f64; 2],
        /// Keeps the denominator from 0.
        eps: f64,
    },
    /// Hinton's lecture 6e, 2012.
    RmsProp {
        /// Decay rate of the mean square.
        alpha: f64,
        /// Keeps the denominator from 0.
        eps: f64,
        /// Factor on the velocity; 0 for none.
        momentum: f64,
    },
}

impl Rule {
    /// The names of what the rule remembers of each parameter.
    fn memory(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { .. } => &["velocity"],
            Self::Adam { .. } | Self::AdamW { .. } => &["first_moment", "second_moment"],
            Self::RmsProp { .. } => &["mean_square", "velocity"],
        }
    }
}

/// In what the kinds of parameters differ: what PyTorch calls parameter groups, one for each kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Groups {
    /// Weight decay of those that decay.
    pub weight_decay: f64,
    /// Kinds that do not.
    pub no_decay: Vec<ParameterKind>,
    /// By how much a kind's learning rate is greater than the optimizer's.
    pub learning_rate_factors: LearningRateFactors,
}

/// A factor of the learning rate for each kind of parameters that is learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRateFactors {
    /// Of weights.
    pub weight: f64,
    /// Of biases.
    pub bias: f64,
    /// Of norms' scales and shifts.
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
            // No optimizer moves them.
            ParameterKind::Statistic | ParameterKind::Fixed => 0.0,
        }
    }
}

/// An optimizer for a flat buffer of parameters, with what it remembers.
#[derive(Debug, Clone)]
pub struct Optimizer {
    rule: Rule,
    groups: Vec<Group>,
    /// What [`Rule::memory`] names, each as long as the parameters.
    memory: Vec<Vec<f32>>,
    steps: u64,
    isa: Isa,
}

/// Parameters beside each other that are moved alike.
#[derive(Debug, Clone)]
struct Group {
    range: Range<usize>,
    weight_decay: f64,
    learning_rate_factor: f64,
}

impl Optimizer {
    /// An optimizer that has not made a step.
    pub fn new(rule: Rule, layout: &Layout, groups: &Groups, isa: Isa) -> Self {
        let mut merged: Vec<Group> = Vec::new();
        for tensor in layout.tensors().iter().filter(|tensor| tensor.kind.is_learned()) {
            let decay = if groups.no_decay.contains(&tensor.kind) { 0.0 } else { groups.weight_decay };
            let factor = groups.learning_rate_factors.of(tensor.kind);
            match merged.last_mut() {
                Some(last) if (last.weight_decay, last.learning_rate_factor) == (decay, factor) => {
                    last.range.end = tensor.range.end;
                }
                _ => {
                    let range = tensor.range.clone();
                    merged.push(Group { range, weight_decay: decay, learning_rate_factor: factor });
                }
            }
        }
        let memory = rule.memory().iter().map(|_| vec![0.0; layout.len()]).collect();
        Self { rule, groups: merged, memory, steps: 0, isa }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What it remembers, by name: each as long as the parameters.
    pub fn memory(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        self.rule.memory().iter().zip(&self.memory).map(|(name, values)| (*name, values.as_slice()))
    }

    /// Takes up where another optimizer of the same rule stood; `find` gives what it remembered.
    ///
    /// # Errors
    /// One line, when something is missing or has another length.
    pub fn restore(&mut self, steps: u64, mut find: impl FnMut(&str) -> Option<Vec<f32>>) -> Result<(), String> {
        for (name, memory) in self.rule.memory().iter().zip(&mut self.memory) {
            let found = find(name).ok_or_else(|| format!("the optimizer's {name} is missing"))?;
            if found.len() != memory.len() {
                return Err(format!("the optimizer's {name} has {} numbers, not {}", found.len(), memory.len()));
            }
            *memory = found;
        }
        self.steps = steps;
        Ok(())
    }

    /// Moves `parameters` against `gradients`, both laid out as promised. Groups have the learning rate times their
    /// factor.
    pub fn step(&mut self, learning_rate: f64, parameters: &mut [f32], gradients: &[f32]) {
        self.steps += 1;
        for group in &self.groups {
            let (parameters, gradients) = (&mut parameters[group.range.clone()], &gradients[group.range.clone()]);
            let mut memory = self.memory.iter_mut().map(|memory| &mut memory[group.range.clone()]);
            let mut next = || memory.next().unwrap_or_default();
            let weight_decay = group.weight_decay as f32;
            let learning_rate = learning_rate * group.learning_rate_factor;
            match self.rule {
                Rule::Sgd { momentum, nesterov } => {
                    let momentum = momentum as f32;
                    let o = update::Sgd { learning_rate: learning_rate as f32, momentum, nesterov, weight_decay };
                    update::sgd(self.isa, o, parameters, gradients, next());
                }
                Rule::Adam { betas, eps } => {
                    let o = update::Adam { weight_decay, ..adam(learning_rate, betas, eps, self.steps) };
                    update::adam(self.isa, o, parameters, gradients, next(), next());
                }
                Rule::AdamW { betas, eps } => {
                    let shrink = (1.0 - learning_rate * group.weight_decay) as f32;
                    let o = update::Adam { shrink, ..adam(learning_rate, betas, eps, self.steps) };
                    update::adam(self.isa, o, parameters, gradients, next(), next());
                }
                Rule::RmsProp { alpha, eps, momentum } => {
                    let (alpha, eps, momentum) = (alpha as f32, eps as f32, momentum as f32);
                    let learning_rate = learning_rate as f32;
                    let o = update::RmsProp { learning_rate, alpha, eps, momentum, weight_decay };
                    update::rms_prop(self.isa, o, parameters, gradients, next(), next());
                }
            }
        }
    }
}

/// Adam's numbers without weight decay.
fn adam(learning_rate: f64, betas: [f64; 2], eps: f64, steps: u64) -> update::Adam {
    // Beyond i32's range the corrections have long been 1.
    let steps = i32::try_from(steps).unwrap_or(i32::MAX);
    let [correction1, correction2] = betas.map(|beta| 1.0 - beta.powi(steps));
    update::Adam {
        step_size: (learning_rate / correction1) as f32,
        betas: betas.map(|beta| beta as f32),
        eps: eps as f32,
        root_scale: correction2.sqrt().recip() as f32,
        weight_decay: 0.0,
        shrink: 1.0,
    }
}
