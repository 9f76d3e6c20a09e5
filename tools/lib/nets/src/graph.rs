//! From an architecture to the operations of its network, with checked shapes: the input of engines and of `export`.

use crate::{
    Architecture, ArchitectureError, LayerError, Layout, ParameterKind,
    layer::{ActivationOrder, Conv, Init, Layer, Norm, Pool, Residual, Whiten},
    whitening,
};
use executor::training::{self, LayoutBuilder};
pub use executor::training::{Node, Op, Value, Work};

/// The operations of a network in topological order. Activations are NCHW; shapes leave the batch axis out.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The layers that the operations come from.
    pub architecture: Architecture,
    /// Each after the nodes that it takes its inputs from; the output of the last one is the network's.
    pub nodes: Vec<Node>,
    /// Name, kind, shape and range of each parameter tensor.
    pub layout: Layout,
    /// Indices of the weights that start as the identity of some channels: [`Init::Dirac`].
    pub dirac: Vec<usize>,
}

impl Graph {
    /// The operations of an architecture.
    ///
    /// # Errors
    /// When a layer's values are out of range, or it cannot take the output of the one before it, or the last one's
    /// output is not `[architecture.outputs]`.
    pub fn new(architecture: Architecture) -> Result<Self, ArchitectureError> {
        let mut builder = Builder::new(&architecture.input_shape);
        for (i, layer) in architecture.layers.iter().enumerate() {
            let name = format!("layers.{i}");
            let added = builder.layer(&name, layer, architecture.outputs);
            added.map_err(|problem| ArchitectureError::Layer { name, problem })?;
        }
        let Builder { nodes, layout, shape, dirac, .. } = builder;
        if shape != [architecture.outputs] {
            return Err(ArchitectureError::Output { found: shape, expected: architecture.outputs });
        }
        Ok(Self { architecture, nodes, layout: layout.finish(), dirac })
    }

    /// What `executor` plans a training step from.
    pub fn operations(&self) -> training::Graph<'_> {
        let Self { architecture, nodes, layout, .. } = self;
        training::Graph { input_shape: &architecture.input_shape, nodes, layout }
    }

    /// The whitening layer and the index of its weight among the layout's tensors, if the network begins with one.
    pub fn whitening(&self) -> Option<(&Whiten, usize)> {
        match (self.architecture.layers.first()?, &self.nodes.first()?.op) {
            (Layer::Whiten(whiten), Op::Conv { weight, .. }) => Some((whiten, *weight)),
            _ => None,
        }
    }
}

/// Most elements of a row or a tensor: more are a typing error, and products of sizes must not overflow.
const MAX_SIZE: usize = 1 << 30;
/// Most residual blocks of a layer: the deepest published networks have 200.
const MAX_BLOCKS: usize = 1000;

struct Builder {
    nodes: Vec<Node>,
    layout: LayoutBuilder,
    /// The input of the next layer, and its shape for one row.
    value: Value,
    shape: Vec<usize>,
    dirac: Vec<usize>,
}

impl Builder {
    fn new(input_shape: &[usize]) -> Self {
        let (value, shape) = (Value::Input, input_shape.to_vec());
        Self { nodes: vec![], layout: LayoutBuilder::default(), value, shape, dirac: vec![] }
    }

    fn layer(&mut self, name: &str, layer: &Layer, outputs: usize) -> Result<(), LayerError> {
        match layer {
            Layer::Whiten(whiten) => self.whiten(name, whiten),
            Layer::Conv(conv) => self.conv(name, conv),
            Layer::Norm(norm) => self.norm(name, norm),
            Layer::Activation(activation) => {
                self.push(name, Op::Activation(*activation), self.shape.clone());
                Ok(())
            }
            Layer::MaxPool(pool) => self.pool(name, pool, |size| Op::MaxPool { size }),
            Layer::AveragePool(pool) => self.pool(name, pool, |size| Op::AveragePool { size }),
            Layer::Linear(linear) => self.linear(name, linear.outputs.unwrap_or(outputs)),
            Layer::Residual(residual) => self.residual(name, residual),
            Layer::Scale(factor) if factor.is_finite() => {
                self.push(name, Op::Scale { factor: *factor }, self.shape.clone());
                Ok(())
            }
            Layer::Scale(factor) => Err(LayerError::Scale(*factor)),
        }
    }

    /// Adds a node whose input is the output of the one before it.
    fn push(&mut self, name: &str, op: Op, shape: Vec<usize>) {
        let inputs = vec![self.value];
        self.value = Value::Node(self.nodes.len());
        self.shape.clone_from(&shape);
        self.nodes.push(Node { name: name.to_owned(), op, inputs, shape });
    }

    fn image(&self) -> Result<[usize; 3], LayerError> {
        <[usize; 3]>::try_from(self.shape.as_slice()).map_err(|_| LayerError::NotAnImage { shape: self.shape.clone() })
    }

    fn conv(&mut self, name: &str, conv: &Conv) -> Result<(), LayerError> {
        self.conv_of(name, conv, ParameterKind::Weight)
    }

    fn whiten(&mut self, name: &str, whiten: &Whiten) -> Result<(), LayerError> {
        if self.value != Value::Input {
            return Err(LayerError::WhitenNotFirst);
        }
        let Whiten { kernel, eps, images } = *whiten;
        let patch = kernel.checked_mul(kernel).and_then(|size| size.checked_mul(self.image().ok()?[0]));
        match patch {
            _ if !(eps >= 0.0 && eps.is_finite()) => Err(LayerError::WhitenEps(eps)),
            _ if images == 0 => Err(LayerError::WhitenImages),
            Some(patch) if patch <= whitening::MAX_PATCH => {
                let channels = 2 * patch;
                let conv = Conv { channels, kernel, stride: 1, padding: Some(0), bias: true, init: Init::default() };
                self.conv_of(name, &conv, ParameterKind::Frozen)
            }
            _ => {
                self.image()?;
                Err(LayerError::WhitenPatch { kernel, max: whitening::MAX_PATCH })
            }
        }
    }

    /// A convolution whose weight is of kind `kind`.
    fn conv_of(&mut self, name: &str, conv: &Conv, kind: ParameterKind) -> Result<(), LayerError> {
        let [inputs, height, width] = self.image()?;
        let Conv { channels, kernel, stride, init, .. } = *conv;
        let padding = conv.padding.unwrap_or(kernel / 2);
        if channels == 0 || kernel == 0 || stride == 0 {
            return Err(LayerError::ConvZero);
        }
        if padding >= kernel {
            return Err(LayerError::Padding { padding, kernel });
        }
        let extent = |size: usize| Some((size.checked_add(padding.checked_mul(2)?)?.checked_sub(kernel)?) / stride + 1);
        let (Some(h), Some(w)) = (extent(height), extent(width)) else {
            return Err(LayerError::Kernel { kernel, height, width });
        };
        let weight = self.tensor(name, "weight", kind, &[channels, inputs, kernel, kernel])?;
        let bias = if conv.bias { Some(self.tensor(name, "bias", ParameterKind::Bias, &[channels])?) } else { None };
        bounded(&[channels, h, w])?;
        self.dirac.extend((init == Init::Dirac).then_some(weight));
        self.push(name, Op::Conv { weight, bias, stride, padding }, vec![channels, h, w]);
        Ok(())
    }

    fn norm(&mut self, name: &str, norm: &Norm) -> Result<(), LayerError> {
        let Norm { momentum, eps, .. } = *norm;
        if !(0.0..=1.0).contains(&momentum) {
            return Err(LayerError::Momentum(momentum));
        }
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(LayerError::NormEps(eps));
        }
        let channels = self.shape.first().copied().unwrap_or(1);
        let mut tensor = |part: &str, kind| self.layout.add(format!("{name}.{part}"), kind, &[channels]);
        let op = Op::Norm {
            scale: tensor("weight", if norm.scale { ParameterKind::Norm } else { ParameterKind::Frozen }),
            shift: tensor("bias", ParameterKind::Norm),
            mean: tensor("running_mean", ParameterKind::Statistic),
            variance: tensor("running_var", ParameterKind::Statistic),
            momentum,
            eps,
        };
        self.push(name, op, self.shape.clone());
        Ok(())
    }

    fn pool(&mut self, name: &str, pool: &Pool, op: impl Fn([usize; 2]) -> Op) -> Result<(), LayerError> {
        let [channels, height, width] = self.image()?;
        match pool.size {
            Some(size) if size == 0 || size > height.min(width) => Err(LayerError::Window { size, height, width }),
            Some(size) => {
                self.push(name, op([size, size]), vec![channels, height / size, width / size]);
                Ok(())
            }
            None => {
                self.push(name, op([height, width]), vec![channels, 1, 1]);
                self.push(&format!("{name}.flatten"), Op::Flatten, vec![channels]);
                Ok(())
            }
        }
    }

    fn linear(&mut self, name: &str, outputs: usize) -> Result<(), LayerError> {
        let inputs: usize = self.shape.iter().product();
        if outputs == 0 {
            return Err(LayerError::NoOutputs);
        }
        if self.shape.len() > 1 {
            self.push(&format!("{name}.flatten"), Op::Flatten, vec![inputs]);
        }
        let weight = self.tensor(name, "weight", ParameterKind::Weight, &[outputs, inputs])?;
        let bias = self.tensor(name, "bias", ParameterKind::Bias, &[outputs])?;
        self.push(name, Op::Linear { weight, bias }, vec![outputs]);
        Ok(())
    }

    fn residual(&mut self, name: &str, residual: &Residual) -> Result<(), LayerError> {
        let repeat = residual.repeat;
        if !(1..=MAX_BLOCKS).contains(&repeat) {
            return Err(LayerError::Repeat { repeat, max: MAX_BLOCKS });
        }
        for i in 0..repeat {
            let stride = if i == 0 { residual.stride } else { 1 };
            self.block(&format!("{name}.{i}"), residual, stride)?;
        }
        Ok(())
    }

    fn block(&mut self, name: &str, residual: &Residual, stride: usize) -> Result<(), LayerError> {
        let named = |part: &str| format!("{name}.{part}");
        let (channels, init) = (residual.channels, Init::default());
        let conv = |kernel, stride| Conv { channels, kernel, stride, padding: None, bias: false, init };
        let changes = self.image()?[0] != residual.channels || stride != 1;
        let activation = Op::Activation(residual.activation);
        let mut shortcut = (self.value, self.shape.clone());
        match residual.activation_order {
            ActivationOrder::Post => {
                self.conv(&named("conv1"), &conv(3, stride))?;
                self.norm(&named("norm1"), &residual.norm)?;
                self.push(&named("activation1"), activation.clone(), self.shape.clone());
                self.conv(&named("conv2"), &conv(3, 1))?;
                self.norm(&named("norm2"), &residual.norm)?;
            }
            ActivationOrder::Pre => {
                self.norm(&named("norm1"), &residual.norm)?;
                self.push(&named("activation1"), activation.clone(), self.shape.clone());
                if changes {
                    shortcut = (self.value, self.shape.clone());
                }
                self.conv(&named("conv1"), &conv(3, stride))?;
                self.norm(&named("norm2"), &residual.norm)?;
                self.push(&named("activation2"), activation.clone(), self.shape.clone());
                self.conv(&named("conv2"), &conv(3, 1))?;
            }
        }
        let body = self.value;
        if changes {
            (self.value, self.shape) = shortcut;
            self.conv(&named("shortcut.conv"), &conv(1, stride))?;
            if residual.activation_order == ActivationOrder::Post {
                self.norm(&named("shortcut.norm"), &residual.norm)?;
            }
        } else {
            self.value = shortcut.0;
        }
        let shape = self.shape.clone();
        self.push(&named("add"), Op::Add, shape.clone());
        let last = self.nodes.len() - 1;
        self.nodes[last].inputs = vec![body, self.nodes[last].inputs[0]];
        if residual.activation_order == ActivationOrder::Post {
            self.push(&named("activation2"), activation, shape);
        }
        Ok(())
    }

    fn tensor(&mut self, name: &str, part: &str, kind: ParameterKind, shape: &[usize]) -> Result<usize, LayerError> {
        bounded(shape)?;
        Ok(self.layout.add(format!("{name}.{part}"), kind, shape))
    }
}

fn bounded(shape: &[usize]) -> Result<(), LayerError> {
    let size = shape.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim));
    match size {
        Some(size) if size <= MAX_SIZE => Ok(()),
        _ => Err(LayerError::TooLarge { shape: shape.to_vec() }),
    }
}
