//! Layers, as a configuration writes them.

use crate::Activation;
use serde::{Deserialize, Serialize};

/// A layer of a network: `conv: {channels: 16}` in a list of layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// A first convolution whose weight is computed from the training images and frozen.
    Whiten(Whiten),
    /// Convolution: `[in_channels, h, w]` to `[channels, h', w']`.
    Conv(Conv),
    /// Batch normalization of channels or features; keeps the shape.
    Norm(Norm),
    /// An elementwise function; keeps the shape.
    Activation(Activation),
    /// Max pooling: `[channels, h, w]` to `[channels, h / size, w / size]`.
    MaxPool(Pool),
    /// Average pooling: shapes as max pooling.
    AveragePool(Pool),
    /// Fully connected: `[inputs]` to `[outputs]`. An image is flattened first, channel by channel.
    Linear(Linear),
    /// Residual blocks: `[in_channels, h, w]` to `[channels, h / stride, w / stride]`, rounded up.
    Residual(Residual),
    /// Multiplication by a constant; keeps the shape.
    Scale(f32),
}

/// A convolution that turns the patches of an image into uncorrelated features of variance 1, and their negatives:
/// Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.1. The weight
/// `[2 · patch, channels, kernel, kernel]`, `patch = channels · kernel²`, holds the eigenvectors of the covariance of the
/// training images' patches and is frozen; the bias `[2 · patch]` is trainable. Stride 1, no padding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whiten {
    /// Height and width of a patch and of the kernel; default 2.
    #[serde(default = "two")]
    pub kernel: usize,
    /// Added to each eigenvalue, so that directions of little variance are not amplified; default 5e-4.
    #[serde(default = "whiten_eps")]
    pub eps: f64,
    /// Number of training images that the covariance is computed from; default 5000.
    #[serde(default = "whiten_images")]
    pub images: usize,
}

/// A convolution with a square kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Output channels.
    pub channels: usize,
    /// Kernel size along both axes; default 3.
    #[serde(default = "three")]
    pub kernel: usize,
    /// Stride along both axes; default 1.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros on each side of both axes; `None` is `kernel / 2`, which keeps the size at stride 1 and odd kernel sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
    /// Whether each output channel has a bias; default false. In front of a norm it has no effect.
    #[serde(default)]
    pub bias: bool,
    /// Initialization of the weight.
    #[serde(default, skip_serializing_if = "Init::is_default")]
    pub init: Init,
}

/// Initialization of a convolution's weight. The names are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Uniform with variance `gain² / fan_in`: He et al., "Delving deep into rectifiers", 2015.
    #[default]
    Kaiming,
    /// The first `min(out_channels, in_channels)` filters are the identity of the input channel of their index, the
    /// others [`Init::Kaiming`]: PyTorch's `dirac_(weight[:in_channels])`. Zagoruyko and Komodakis, "DiracNets", 2017.
    Dirac,
}

impl Init {
    /// The default is not serialized: files stay as they were before the key existed.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Batch normalization (Ioffe and Szegedy, 2015): batch statistics in training, running statistics in evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// Weight of a batch in the running statistics, as PyTorch's `momentum`; default 0.1.
    #[serde(default = "norm_momentum")]
    pub momentum: f32,
    /// Added to the variance; default 1e-5.
    #[serde(default = "norm_eps")]
    pub eps: f32,
    /// Whether the scale γ is trainable; otherwise it is frozen at 1. The shift β always is. Default true.
    #[serde(default = "yes")]
    pub scale: bool,
}

/// Pooling over non-overlapping square windows: kernel size and stride are equal, no padding, edge remainder dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Height and width of a window; `None` is global pooling, which also flattens: `[channels]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

/// A fully connected layer with bias.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Output width; `None` is the width that the target needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
}

/// Residual blocks of two 3 × 3 convolutions (`BasicBlock`). Where a block changes the shape, its shortcut is a 1 × 1
/// convolution (option B of He et al., 2015).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Output channels.
    pub channels: usize,
    /// Stride of the first convolution of the first block; default 1.
    #[serde(default = "one")]
    pub stride: usize,
    /// Number of blocks; default 1.
    #[serde(default = "one")]
    pub repeat: usize,
    /// Post- or pre-activation; default post.
    #[serde(default, rename = "order")]
    pub activation_order: ActivationOrder,
    /// Default ReLU.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// All norms of the blocks.
    #[serde(default)]
    pub norm: Norm,
}

/// Whether norm and activation of a residual block come after or before its convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationOrder {
    /// Post-activation: conv, norm, activation, and the last activation after the sum. He et al., "Deep residual learning
    /// for image recognition", 2015.
    #[default]
    Post,
    /// Pre-activation: norm, activation, conv. He et al., "Identity mappings in deep residual networks", 2016.
    Pre,
}

impl Default for Norm {
    fn default() -> Self {
        Self { momentum: norm_momentum(), eps: norm_eps(), scale: true }
    }
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn three() -> usize {
    3
}

fn relu() -> Activation {
    Activation::Relu
}

/// PyTorch's.
fn norm_momentum() -> f32 {
    0.1
}

/// PyTorch's.
fn norm_eps() -> f32 {
    1e-5
}

/// Jordan's.
fn whiten_eps() -> f64 {
    5e-4
}

/// Jordan's.
fn whiten_images() -> usize {
    5000
}
