//! Optimizers, learning-rate schedules and gradient clipping, with PyTorch's definitions.
//!
//! In the pipe: `nets` computes gradients, [`clip_grad_norm`] and [`clip_grad_value`] limit them, an [`Optimizer`]
//! applies them to the parameters at the learning rate of a [`Schedule`] or a [`Plateau`]; `train` runs that loop. The
//! inner loops, one pass over each array, are in `kernels::update`.
//!
//! All arrays are flat `f32` buffers of one length:
//!
//! | array | length | layout |
//! |---|---|---|
//! | parameters | `len` | any; a [`ParamGroup`] names a range of them |
//! | gradients | `len` | as the parameters; elements outside all groups are not read |
//! | each array of optimizer state | `len` | as the parameters; 0 outside all groups |
//!
//! ```
//! use optim::{Algorithm, Optimizer, ParamGroup, Schedule};
//!
//! // Two weights with weight decay, and a bias without.
//! let groups = vec![
//!     ParamGroup { range: 0..2, weight_decay: 0.01, learning_rate_factor: 1.0 },
//!     ParamGroup { range: 2..3, weight_decay: 0.0, learning_rate_factor: 1.0 },
//! ];
//! let algorithm = Algorithm::Sgd { momentum: 0.9, nesterov: false };
//! let mut optimizer = Optimizer::new(algorithm, groups, 3, kernels::isa()?);
//! let schedule = Schedule::Step { step_size: 10, gamma: 0.1 };
//!
//! let mut parameters = [1.0, -1.0, 0.5];
//! for step in 0..2 {
//!     let gradients = [0.0, 0.0, 0.5];
//!     optimizer.step(schedule.learning_rate(0.1, step), &mut parameters, &gradients);
//! }
//! // By hand: 0.5 - 0.1 · 0.5 - 0.1 · (0.9 · 0.5 + 0.5)
//! assert!((parameters[2] - 0.355_f32).abs() < 1e-6);
//! # Ok::<(), kernels::IsaError>(())
//! ```

mod algorithm;
mod clip;
mod optimizer;
pub mod pairwise;
mod plateau;
mod schedule;

pub use algorithm::{Algorithm, Update};
pub use clip::{CLIP_EPS, clip_grad_norm, clip_grad_value, grad_norm};
pub use optimizer::{Optimizer, ParamGroup};
pub use plateau::{Plateau, PlateauOptions};
pub use schedule::{Anneal, Schedule};

/// Optimizer state that does not fit the optimizer. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The algorithm has an array of state of this name, and none was found.
    #[error("the optimizer's {name} is missing")]
    MissingState {
        /// The array, as [`Algorithm::state_names`] has it.
        name: &'static str,
    },
    /// An array of state is not as long as the parameters.
    #[error("the optimizer's {name} has {found} values, expected {expected}")]
    StateLength {
        /// The array, as [`Algorithm::state_names`] has it.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The number of parameters.
        expected: usize,
    },
}
