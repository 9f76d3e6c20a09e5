//! Architectures, their parameters and how they learn.
//!
//! An [`Architecture`] is a list of layers as a configuration writes it; its [`Graph`] is the list of
//! operations that they come to. A [`Model`] is a graph with [`Parameters`]: plain data that is saved, loaded
//! and exported. [`CandleModel`] is the same model as a candle module, which evaluates it with candle. An
//! [`Engine`] computes the gradients of a [`Loss`]: [`FusedMlp`] is the fast one for perceptrons, [`Planned`]
//! for networks of layers; [`Autograd`] has candle derive them and is the reference that faster ones are tested against. `optim` then
//! moves the parameters, in the groups that [`ParamGroups`] makes of them.

mod architecture;
mod autograd;
mod candle_model;
mod checkpoint;
mod eigen;
mod engine;
mod fused;
pub mod graph;
pub mod layer;
mod loss;
mod order;
mod param_groups;
mod parameters;
mod planned;
mod scaling;
mod whitening;

pub use architecture::{Activation, Architecture, OutputActivation, Perceptron};
pub use autograd::Autograd;
pub use candle_model::CandleModel;
pub use checkpoint::{AVERAGE, Checkpoint, Model, Task};
pub use engine::{Batch, Engine};
pub use fused::FusedMlp;
pub use graph::Graph;
pub use loss::Loss;
pub use param_groups::{LearningRateFactors, ParamGroups};
pub use parameters::{LayerLayout, Layout, ParameterKind, Parameters, TensorLayout};
pub use planned::Planned;
pub use scaling::{Scaling, TargetScaling};

/// What can go wrong with a model. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// candle refused.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// An operation that the kernels cannot compute.
    #[error("{0}")]
    Plan(String),
    /// The model file could not be read, or is too long.
    #[error("{0}")]
    Unreadable(String),
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
