//! Update rules and their hyper-parameters.

use crate::ParamGroup;
use kernels::update;

/// An update rule with the hyper-parameters that all param groups share. Definitions are those of PyTorch's classes of
/// the same names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    /// Stochastic gradient descent. Weight decay is an L2 penalty.
    Sgd {
        /// Factor on the velocity, from 0 (none) to below 1.
        momentum: f64,
        /// Nesterov momentum (Sutskever et al., "On the importance of initialization and momentum", 2013).
        nesterov: bool,
    },
    /// Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1. Weight decay is an L2 penalty.
    Adam {
        /// Decay rates of the first and second moment, each from 0 to below 1.
        betas: [f64; 2],
        /// Added to the denominator.
        eps: f64,
    },
    /// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019: Adam with weight decay that does not go
    /// through the moments.
    AdamW {
        /// Decay rates of the first and second moment, each from 0 to below 1.
        betas: [f64; 2],
        /// Added to the denominator.
        eps: f64,
    },
    /// RMSprop, not centered (Hinton's lecture 6e, 2012). Weight decay is an L2 penalty.
    RmsProp {
        /// Decay rate of the mean square, from 0 to below 1.
        alpha: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor on the velocity, from 0 (none) to below 1.
        momentum: f64,
    },
}

impl Algorithm {
    /// The arrays of state that the algorithm keeps, each as long as the parameters. The names are keys of checkpoint
    /// files.
    pub fn state_names(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { .. } => &["velocity"],
            Self::Adam { .. } | Self::AdamW { .. } => &["first_moment", "second_moment"],
            Self::RmsProp { .. } => &["mean_square", "velocity"],
        }
    }

    /// The coefficients of step `steps`, counted from 1, of a group whose learning rate is `learning_rate` times its factor.
    pub fn update(self, learning_rate: f64, group: &ParamGroup, steps: u64) -> Update {
        let weight_decay = group.weight_decay as f32;
        let learning_rate = learning_rate * group.learning_rate_factor;
        match self {
            Self::Sgd { momentum, nesterov } => {
                let (learning_rate, momentum) = (learning_rate as f32, momentum as f32);
                Update::Sgd(update::Sgd { learning_rate, momentum, nesterov, weight_decay })
            }
            Self::Adam { betas, eps } => {
                Update::Adam(update::Adam { weight_decay, ..adam(learning_rate, betas, eps, steps) })
            }
            Self::AdamW { betas, eps } => {
                let shrink = (1.0 - learning_rate * group.weight_decay) as f32;
                Update::Adam(update::Adam { shrink, ..adam(learning_rate, betas, eps, steps) })
            }
            Self::RmsProp { alpha, eps, momentum } => {
                let (alpha, eps, momentum) = (alpha as f32, eps as f32, momentum as f32);
                let learning_rate = learning_rate as f32;
                Update::RmsProp(update::RmsProp { learning_rate, alpha, eps, momentum, weight_decay })
            }
        }
    }
}

/// A step's coefficients of one param group, in the precision that its elements are computed in. The loops over elements are
/// those of [`kernels::update`], or a GPU's.
#[derive(Debug, Clone, Copy)]
pub enum Update {
    /// [`kernels::update::sgd`]
    Sgd(update::Sgd),
    /// [`kernels::update::adam`], of [`Algorithm::Adam`] and [`Algorithm::AdamW`].
    Adam(update::Adam),
    /// [`kernels::update::rms_prop`]
    RmsProp(update::RmsProp),
}

/// Adam's coefficients for step `steps`, counted from 1, without weight decay.
fn adam(learning_rate: f64, betas: [f64; 2], eps: f64, steps: u64) -> update::Adam {
    // Beyond i32's range the bias corrections have long been 1.
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
