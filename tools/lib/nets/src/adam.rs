//! The optimizer: Adam.

use serde::{Deserialize, Serialize};

/// Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamOptions {
    /// Step size.
    pub learning_rate: f64,
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Keeps the denominator from 0.
    pub eps: f64,
    /// L2 penalty, added to the gradient as PyTorch's Adam does.
    pub weight_decay: f64,
}

/// Adam's moments for a flat buffer of parameters.
#[derive(Debug, Clone)]
pub struct Adam {
    options: AdamOptions,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    /// For `parameters` numbers.
    pub fn new(options: AdamOptions, parameters: usize) -> Self {
        Self { options, first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// Moves `parameters` against `gradients`, both as long as promised.
    pub fn step(&mut self, parameters: &mut [f32], gradients: &[f32]) {
        let AdamOptions { learning_rate, betas: [beta1, beta2], eps, weight_decay } = self.options;
        self.steps = self.steps.saturating_add(1);
        let correction1 = 1.0 - beta1.powi(self.steps);
        let correction2 = 1.0 - beta2.powi(self.steps);
        let step_size = (learning_rate / correction1) as f32;
        let root_scale = correction2.sqrt().recip() as f32;
        let (beta1, beta2, eps, decay) = (beta1 as f32, beta2 as f32, eps as f32, weight_decay as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradients).zip(moments) {
            let g = g + decay * *p;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *p -= step_size * *m / (v.sqrt() * root_scale + eps);
        }
    }
}
