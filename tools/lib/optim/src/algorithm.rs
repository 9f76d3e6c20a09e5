//! Update rules and their hyper-parameters.

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
}

/// Adam's coefficients for step `steps`, counted from 1, without weight decay.
pub(crate) fn adam(learning_rate: f64, betas: [f64; 2], eps: f64, steps: u64) -> update::Adam {
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
