//! Networks: architectures, parameters, checkpoints, losses and the engines that compute gradients.
//!
//! In the pipe: `train` builds a [`Graph`] from its settings, asks an [`Engine`] for gradients, and has `optim`
//! apply them; `export` writes the [`Model`] of a checkpoint as ONNX. Below are `executor`, which computes, and candle, which
//! is the reference. How the parts fit together, and how to add a layer, is in `docs/design/nets.md`.
//!
//! | type | role |
//! |---|---|
//! | [`Architecture`] | list of layers, as the configuration has it |
//! | [`Graph`] | its operations with shapes, and the [`Layout`] of the parameters |
//! | [`Parameters`] | the values of all tensors, one flat buffer |
//! | [`Loss`], [`Batch`] | what is minimized, over which rows |
//! | [`Fused`], [`Autograd`] | engines: over `executor`, by candle (reference) |
//! | [`ParamGroups`] | weight decay and learning rates by kind of parameter, for `optim` |
//! | [`Model`], [`Checkpoint`] | what files hold |
//! | [`CandleModel`] | a model as a candle module, from raw inputs to predictions |
//!
//! Shapes; all arrays are row-major `f32`:
//!
//! | array | shape |
//! |---|---|
//! | inputs and outputs of layers | `[rows, features]` or NCHW, `[rows, channels, height, width]` |
//! //! | weight of a convolution | OIHW, `[out_channels, in_channels, kernel, kernel]` |
//! | weight of a linear layer | `[outputs, inputs]` |
//! | bias, scale, shift, running statistics | `[channels]` |
//! | outputs | `[rows, outputs]` |
//! | targets | `[rows, outputs]`, or `[rows]` class indices |
//!
//! ```
//! use random::Random;
//! use nets::{Architecture, Batch, Engine, Fused, Graph, Loss, ParamGroups, Parameters};
//! use optim::{Algorithm, Optimizer};
//!
//! // Images of one channel and 4 × 4 pixels, in two classes.
//! let layers = r#"[{"conv": {"channels": 4}}, {"norm": {}}, {"activation": "relu"}, {"average_pool": {}}, {"linear": {}}]"#;
//! let layers = serde_json::from_str(layers)?;
//! let graph = Graph::new(Architecture { input_shape: vec![1, 4, 4], layers, outputs: 2 })?;
//! let mut parameters = Parameters::random(&graph, &mut Random::new(0, 0));
//! let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
//! let mut engine = Fused::new(&graph, loss)?;
//!
//! let groups = ParamGroups::default().of(&graph.layout);
//! let algorithm = Algorithm::Sgd { momentum: 0.9, nesterov: true };
//! let mut optimizer = Optimizer::new(algorithm, groups, graph.layout.len(), kernels::isa()?);
//!
//! let inputs: Vec<f32> = (0..8 * 16).map(|i| (i / 16 % 2) as f32 + 0.01 * (i % 7) as f32).collect(); // [8, 1, 4, 4]
//! let targets: Vec<f32> = (0..8).map(|row| (row % 2) as f32).collect(); // [8]
//! let mut gradients = vec![0.0; graph.layout.len()];
//! let mut losses = Vec::new();
//! for _ in 0..20 {
//!     losses.push(engine.gradients(&mut parameters, Batch::new(&inputs, &targets), &mut gradients)?);
//!     optimizer.step(0.1, &mut parameters.values, &gradients);
//! }
//! assert!(losses[19] < losses[0] / 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod param_groups;
mod parameters;
mod scaling;
mod statistics;
mod whitening;

pub use architecture::{Architecture, OutputActivation, Perceptron};
pub use autograd::Autograd;
pub use candle_model::CandleModel;
pub use checkpoint::{AVERAGE, Checkpoint, Model, Task};
pub use engine::{Batch, Engine};
pub use error::{ArchitectureError, CheckpointError, Error, LayerError, Result};
pub use executor::training::{Activation, Layout, ParameterKind, TensorLayout};
pub use fused::Fused;
pub use graph::Graph;
pub use loss::Loss;
pub use param_groups::{LearningRateFactors, ParamGroups};
pub use parameters::Parameters;
pub use scaling::{Scaling, TargetScaling};
pub use statistics::NO_STATISTIC;
