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
mod error;
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
pub use error::{ArchitectureError, CheckpointError, Error, LayerError, Result};
pub use fused::FusedMlp;
pub use graph::Graph;
pub use loss::Loss;
pub use param_groups::{LearningRateFactors, ParamGroups};
pub use parameters::{LayerLayout, Layout, ParameterKind, Parameters, TensorLayout};
pub use planned::Planned;
pub use scaling::{Scaling, TargetScaling};
