//! Layers, as a configuration writes them.

use crate::Activation;
use serde::{Deserialize, Serialize};

/// A layer of a network: `conv: {channels: 16}` in a list of layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// A first convolution whose weight is measured on the training images, and not learned.
    Whiten(Whiten),
    /// A convolution over an image.
    Conv(Conv),
    /// Batch normalisation of channels or features.
    Norm(Norm),
    /// An elementwise function.
    Activation(Activation),
    /// The greatest value of each square of an image.
    MaxPool(Pool),
    /// The mean of each square of an image, or of all of it.
    AveragePool(Pool),
    /// Every number of a row through a matrix. An image is flattened first, channel by channel.
    Linear(Linear),
    /// Residual blocks.
    Residual(Residual),
    /// Every number times this one.
    Scale(f32),
}

/// A convolution that turns the patches of an image into uncorrelated features of variance 1, and their
/// negatives, each with a bias that is learned: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024,
/// section 3.1. Its weight is fixed: eigenvectors of the covariance of the training images' patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whiten {
    /// Height and width of a patch.
    #[serde(default = "two")]
    pub kernel: usize,
    /// Is added to each variance: keeps what hardly varies from being blown up.
    #[serde(default = "whiten_eps")]
    pub eps: f64,
    /// Training images that are measured.
    #[serde(default = "whiten_images")]
    pub images: usize,
}

/// A convolution with a square kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Channels that come out.
    pub channels: usize,
    /// Height and width of the kernel.
    #[serde(default = "three")]
    pub kernel: usize,
    /// Pixels between two places of the kernel.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around the image; `None` is half of the kernel, which keeps the size at stride 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
    /// Whether each channel adds a number of its own. In front of a norm it has no effect.
    #[serde(default)]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default, skip_serializing_if = "Init::is_default")]
    pub init: Init,
}

/// How the weight of a convolution begins. The names are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Random, in scale: He et al., "Delving deep into rectifiers", 2015.
    #[default]
    Kaiming,
    /// As many filters as there are input channels pass these on as they are; the others are random. Zagoruyko and
    /// Komodakis, "DiracNets", 2017.
    Dirac,
}

impl Init {
    /// What is not written out: files of networks from before there was a choice stay as they are.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Ioffe and Szegedy, "Batch normalization", 2015: in training by the batch's statistics, afterwards by
/// their moving averages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// Share of a batch's statistics in the moving averages.
    #[serde(default = "norm_momentum")]
    pub momentum: f32,
    /// Keeps the denominator from 0.
    #[serde(default = "norm_eps")]
    pub eps: f32,
    /// Whether a factor is learned beside the shift.
    #[serde(default = "yes")]
    pub scale: bool,
}

/// Pooling over squares beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Height and width of a square; `None` is the whole image, which leaves one number a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

/// A matrix and a bias.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Width of what comes out; `None` is what the target asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
}

/// Blocks of two 3 × 3 convolutions whose result is added to their input. Where the shape changes, the
/// input goes through a 1 × 1 convolution first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Channels that come out.
    pub channels: usize,
    /// Stride of the first block's first convolution.
    #[serde(default = "one")]
    pub stride: usize,
    /// Blocks one after the other.
    #[serde(default = "one")]
    pub repeat: usize,
    /// Where norm and activation stand.
    #[serde(default)]
    pub order: Order,
    /// What follows each norm.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Of the blocks.
    #[serde(default)]
    pub norm: Norm,
}

/// Where norm and activation of a residual block stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// After each convolution, the last activation after the sum: He et al., "Deep residual learning for
    /// image recognition", 2015.
    #[default]
    Post,
    /// In front of each convolution: He et al., "Identity mappings in deep residual networks", 2016.
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
