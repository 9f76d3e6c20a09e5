//! The parameters of a network in one flat buffer: where each tensor is in it.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where each tensor is in the flat buffer: trainable ones first, then running statistics, then frozen ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    tensors: Vec<TensorLayout>,
    trainable: usize,
    frozen_start: usize,
    length: usize,
}

/// The role of a parameter, which decides how training treats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// Weight of a convolution or linear layer; trainable.
    Weight,
    /// Bias of a convolution or linear layer; trainable.
    Bias,
    /// Scale (γ) or shift (β) of a norm; trainable.
    Norm,
    /// Running statistics of a norm: updated by the forward pass in training, not by the optimizer.
    Statistic,
    /// Set before training and never updated.
    #[serde(rename = "fixed")]
    Frozen,
}

impl ParameterKind {
    /// Whether the optimizer updates it.
    pub fn is_trainable(self) -> bool {
        match self {
            Self::Weight | Self::Bias | Self::Norm => true,
            Self::Statistic | Self::Frozen => false,
        }
    }
}

/// A tensor of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// Key in checkpoint files: `layers.0.weight`.
    pub name: String,
    /// Its role.
    pub kind: ParameterKind,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Where its elements are in the flat buffer.
    pub range: Range<usize>,
}

/// Collects tensors and then assigns their ranges.
#[derive(Debug, Default)]
pub struct LayoutBuilder {
    tensors: Vec<TensorLayout>,
}

impl LayoutBuilder {
    /// Adds a tensor; returns its index among the layout's.
    pub fn add(&mut self, name: String, kind: ParameterKind, shape: &[usize]) -> usize {
        self.tensors.push(TensorLayout { name, kind, shape: shape.to_vec(), range: 0..0 });
        self.tensors.len() - 1
    }

    /// The layout of all tensors that were added.
    pub fn finish(self) -> Layout {
        let Self { mut tensors } = self;
        let mut end = 0;
        let mut assign = |tensor: &mut TensorLayout| {
            let start = end;
            end += tensor.shape.iter().product::<usize>();
            tensor.range = start..end;
            end
        };
        let (trainable, others): (Vec<_>, Vec<_>) = tensors.iter_mut().partition(|tensor| tensor.kind.is_trainable());
        let (statistics, frozen): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|tensor| tensor.kind == ParameterKind::Statistic);
        let trainable = trainable.into_iter().map(&mut assign).last().unwrap_or(0);
        let frozen_start = statistics.into_iter().map(&mut assign).last().unwrap_or(trainable);
        let length = frozen.into_iter().map(&mut assign).last().unwrap_or(frozen_start);
        Layout { tensors, trainable, frozen_start, length }
    }
}

impl Layout {
    /// All tensors, in the order of the layers. The order of their ranges is another.
    pub fn tensors(&self) -> &[TensorLayout] {
        &self.tensors
    }

    /// Number of trainable parameters. They come first in the buffer.
    pub fn trainable(&self) -> usize {
        self.trainable
    }

    /// Index of the first frozen parameter: number of trainable parameters and running statistics, which training
    /// updates.
    pub fn frozen_start(&self) -> usize {
        self.frozen_start
    }

    /// Number of all elements: trainable parameters, running statistics and frozen parameters.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
