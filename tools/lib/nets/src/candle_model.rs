//! A model as a candle module.

use crate::{
    Activation, Graph, Model, OutputActivation, Result, TargetScaling,
    graph::{Node, Op, Value},
};
use candle_core::{D, Device, Module, Tensor};

/// A model as a candle [`Module`]: raw inputs `[rows, input shape…]` to predictions `[rows, outputs]`.
pub struct CandleModel {
    graph: Graph,
    scaling: Option<(Tensor, Tensor)>,
    /// Mean and scale, `[outputs]` each.
    target_scaling: Option<(Tensor, Tensor)>,
    tensors: Vec<Tensor>,
    output_activation: OutputActivation,
}

impl CandleModel {
    /// Copies the model's parameters to `device`.
    ///
    /// # Errors
    /// When candle cannot allocate there.
    pub fn new(model: &Model, device: &Device) -> Result<Self> {
        let shape = &model.graph.architecture.input_shape;
        // [input shape…], or [channels, 1, 1]
        let dims = if shape.len() == 3 { vec![shape[0], 1, 1] } else { shape.clone() };
        let vector = |values: &[f32]| Tensor::new(values, device)?.reshape(dims.as_slice());
        let scaling = match &model.scaling {
            Some(scaling) => Some((vector(&scaling.mean)?, vector(&scaling.scale)?)),
            None => None,
        };
        let target_scaling = match &model.target_scaling {
            Some(TargetScaling { mean, scale }) => {
                Some((Tensor::new(mean.as_slice(), device)?, Tensor::new(scale.as_slice(), device)?))
            }
            None => None,
        };
        let layout = &model.parameters.layout;
        let tensors = layout.tensors().iter().map(|tensor| {
            let values = &model.parameters.values[tensor.range.clone()];
            Tensor::from_slice(values, tensor.shape.as_slice(), device)
        });
        Ok(Self {
            graph: model.graph.clone(),
            scaling,
            target_scaling,
            tensors: tensors.collect::<candle_core::Result<_>>()?,
            output_activation: model.task.output_activation,
        })
    }
}

impl Module for CandleModel {
    fn forward(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let x = match &self.scaling {
            Some((mean, scale)) => inputs.broadcast_sub(mean)?.broadcast_mul(scale)?,
            None => inputs.clone(),
        }; // [rows, input shape…]
        let x = forward(&self.graph, &self.tensors, x, &mut None)?; // [rows, outputs]
        let x = match &self.target_scaling {
            Some((mean, scale)) => x.broadcast_mul(scale)?.broadcast_add(mean)?,
            None => x,
        };
        match self.output_activation {
            OutputActivation::Identity => Ok(x),
            OutputActivation::Softmax => candle_nn::ops::softmax(&x, D::Minus1),
            OutputActivation::Sigmoid => candle_nn::ops::sigmoid(&x),
        }
    }
}

/// Batch statistics of a norm: mean and unbiased variance, `[channels]` each, with the index of the running statistic
/// that each updates.
pub(crate) struct BatchStatistics {
    pub mean: (usize, Tensor),
    pub variance: (usize, Tensor),
    pub momentum: f32,
}

/// The network's output `[rows, outputs]`. With `statistics`, norms normalize by the batch and push its statistics there
/// (training); without, they normalize by the running ones.
pub(crate) fn forward(
    graph: &Graph,
    tensors: &[Tensor],
    inputs: Tensor,
    statistics: &mut Option<Vec<BatchStatistics>>,
) -> candle_core::Result<Tensor> {
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let get = |value: &Value| match value {
            Value::Input => &inputs,
            Value::Node(i) => &values[*i],
        };
        let result = compute(node, tensors, get(&node.inputs[0]), node.inputs.get(1).map(get), statistics)?;
        values.push(result);
    }
    Ok(values.pop().unwrap_or(inputs))
}

/// The output of a node for its inputs `x` and, for a sum, `y`, both `[rows, shape…]`.
fn compute(
    node: &Node,
    tensors: &[Tensor],
    x: &Tensor,
    y: Option<&Tensor>,
    statistics: &mut Option<Vec<BatchStatistics>>,
) -> candle_core::Result<Tensor> {
    match node.op {
        Op::Conv { weight, bias, stride, padding, .. } => {
            let out = x.conv2d(&tensors[weight], padding, stride, 1, 1)?; // [rows, channels, height, width]
            match bias {
                Some(bias) => out.broadcast_add(&tensors[bias].reshape((1, (), 1, 1))?),
                None => Ok(out),
            }
        }
        Op::Norm { .. } => norm(&node.op, tensors, x, statistics),
        Op::Activation(activation) => activate(activation, x),
        Op::MaxPool { size } => windows(x, size)?.max(5)?.max(3),
        Op::AveragePool { size } => windows(x, size)?.mean((3, 5)),
        Op::Flatten => x.flatten_from(1),
        Op::Linear { weight, bias } => x.matmul(&tensors[weight].t()?)?.broadcast_add(&tensors[bias]),
        Op::Add => x.add(y.unwrap_or(x)),
        Op::Scale { factor } => x.affine(f64::from(factor), 0.0),
    }
}

/// Pooling windows: `[rows, channels, height, width]` to `[rows, channels, height / size[0], size[0], width / size[1], size[1]]`.
/// candle's own pooling has wrong gradients: `max_pool2d` by a factor, `avg_pool2d` where there is an edge remainder.
fn windows(x: &Tensor, size: [usize; 2]) -> candle_core::Result<Tensor> {
    let (rows, channels, height, width) = x.dims4()?;
    let (h, w) = (height / size[0], width / size[1]);
    let whole = x.narrow(2, 0, h * size[0])?.narrow(3, 0, w * size[1])?.contiguous()?;
    whole.reshape(&[rows, channels, h, size[0], w, size[1]])
}

fn norm(
    op: &Op,
    tensors: &[Tensor],
    x: &Tensor,
    statistics: &mut Option<Vec<BatchStatistics>>,
) -> candle_core::Result<Tensor> {
    let &Op::Norm { scale, shift, mean, variance, momentum, eps } = op else { return Ok(x.clone()) };
    // [channels] against [rows, channels, …]
    let dims: Vec<usize> =
        std::iter::once(1).chain(tensors[scale].dim(0)).chain(x.dims()[2..].iter().map(|_| 1)).collect();
    let by_channel = |tensor: &Tensor| tensor.reshape(dims.as_slice());
    let (centered, variance) = match statistics {
        None => (x.broadcast_sub(&by_channel(&tensors[mean])?)?, by_channel(&tensors[variance])?),
        Some(statistics) => {
            let others: Vec<usize> = (0..x.rank()).filter(|dim| *dim != 1).collect();
            let batch_mean = x.mean_keepdim(others.as_slice())?;
            let centered = x.broadcast_sub(&batch_mean)?;
            let batch_variance = centered.sqr()?.mean_keepdim(others.as_slice())?;
            let count = (x.elem_count() / tensors[scale].elem_count()) as f64;
            let unbiased = batch_variance.detach().affine(count / (count - 1.0).max(1.0), 0.0)?.flatten_all()?;
            let batch = batch_mean.detach().flatten_all()?;
            statistics.push(BatchStatistics { mean: (mean, batch), variance: (variance, unbiased), momentum });
            (centered, batch_variance)
        }
    };
    let normal = centered.broadcast_div(&variance.affine(1.0, f64::from(eps))?.sqrt()?)?;
    normal.broadcast_mul(&by_channel(&tensors[scale])?)?.broadcast_add(&by_channel(&tensors[shift])?)
}

fn activate(activation: Activation, x: &Tensor) -> candle_core::Result<Tensor> {
    match activation {
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => candle_nn::ops::sigmoid(x),
        Activation::Gelu => x.gelu_erf(),
    }
}
