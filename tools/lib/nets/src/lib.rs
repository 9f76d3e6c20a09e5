//! Architectures, their parameters and how they learn.
//!
//! A [`Model`] is an [`Architecture`] with [`Parameters`]: plain data that is saved, loaded and
//! exported. [`Mlp`] is the same model as a candle module, which evaluates it with candle. Training
//! goes through an [`Engine`]: [`FusedMlp`] is the fast one, [`AutogradMlp`] takes its gradients
//! from candle's autograd and is the reference that the fast one is tested against.

mod adam;
mod architecture;
mod autograd;
mod checkpoint;
mod engine;
mod fused;
mod mlp;
mod parameters;
mod scaling;

pub use adam::{Adam, AdamOptions};
pub use architecture::{Activation, Architecture};
pub use autograd::AutogradMlp;
pub use checkpoint::{Model, Task};
pub use engine::Engine;
pub use fused::FusedMlp;
pub use mlp::Mlp;
pub use parameters::{LayerLayout, Layout, Parameters};
pub use scaling::Scaling;

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
