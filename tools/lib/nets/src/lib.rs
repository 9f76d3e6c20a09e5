//! Architectures, their parameters and how they learn.
//!
//! A [`Model`] is an [`Architecture`] with [`Parameters`]: plain data that is saved, loaded and
//! exported. [`Mlp`] is the same model as a candle module, which evaluates it with candle. An
//! [`Engine`] computes the gradients of a [`Loss`]: [`FusedMlp`] is the fast one, [`AutogradMlp`] has
//! candle derive them and is the reference that the fast one is tested against. An [`Optimizer`]
//! then moves the parameters, at the learning rate of a [`Schedule`].

mod architecture;
mod autograd;
mod checkpoint;
mod engine;
mod fused;
pub mod gradients;
mod loss;
mod mlp;
mod optimizer;
mod parameters;
mod scaling;
mod schedule;

pub use architecture::{Activation, Architecture, OutputActivation};
pub use autograd::AutogradMlp;
pub use checkpoint::{Checkpoint, Model, Task};
pub use engine::{Batch, Engine};
pub use fused::FusedMlp;
pub use loss::Loss;
pub use mlp::Mlp;
pub use optimizer::{Optimizer, Rule};
pub use parameters::{LayerLayout, Layout, ParameterKind, Parameters, TensorLayout};
pub use scaling::Scaling;
pub use schedule::{Mode, Plateau, PlateauOptions, Schedule};

/// What can go wrong with a model. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// candle refused.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// The model file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The model file is no model of this kind.
    #[error("{path}: {problem}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;
