//! A network as a list of operations with shapes: what engines run and exports write.

use crate::{
    Activation, Architecture, Layout, ParameterKind,
    layer::{Conv, Init, Layer, Norm, Order, Pool, Residual, Whiten},
    parameters::LayoutBuilder,
    whitening,
};

/// The operations of a network, each after those that it takes its inputs from.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// What they were made from.
    pub architecture: Architecture,
    /// The last one's result is the network's.
    pub nodes: Vec<Node>,
    /// Where the parameters stand.
    pub layout: Layout,
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in files: `layers.3.0.conv1`.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it takes.
    pub inputs: Vec<Value>,
    /// The shape of its result for one row.
    pub shape: Vec<usize>,
}

/// Something that a node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The network's input.
    Input,
    /// The result of a node.
    Node(usize),
}

/// What a node does. Tensors are indices into the layout's.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Cross-correlation with `weight` `[outputs, inputs, kernel, kernel]`.
    Conv {
        /// The kernel.
        weight: usize,
        /// `[outputs]`
        bias: Option<usize>,
        /// Pixels between two places of the kernel.
        stride: usize,
        /// Zeros on each side.
        padding: usize,
        /// How the kernel begins.
        init: Init,
    },
    /// `(x - mean) / √(variance + eps) · scale + shift` for each channel; all `[channels]`.
    Norm {
        /// A factor.
        scale: usize,
        /// A summand.
        shift: usize,
        /// The moving average of means.
        mean: usize,
        /// The moving average of variances.
        variance: usize,
        /// Share of a batch in the averages.
        momentum: f32,
        /// Keeps the denominator from 0.
        eps: f32,
    },
    /// An elementwise function.
    Activation(Activation),
    /// The greatest value of each `size × size` square.
    MaxPool {
        /// Of a square's side.
        size: usize,
    },
    /// The mean of each `size × size` square.
    AveragePool {
        /// Of a square's side.
        size: usize,
    },
    /// All of a row in one dimension, the last index first.
    Flatten,
    /// `x · weightᵀ + bias`
    Linear {
        /// `[outputs, inputs]`
        weight: usize,
        /// `[outputs]`
        bias: usize,
    },
    /// The sum of two.
    Add,
    /// `x · factor`
    Scale {
        /// A constant.
        factor: f32,
    },
}

impl Graph {
    /// The operations of an architecture.
    ///
    /// # Errors
    /// One line, when a layer cannot take what the one before it gives.
    pub fn new(architecture: Architecture) -> Result<Self, String> {
        let mut builder = Builder::new(&architecture.input_shape);
        for (i, layer) in architecture.layers.iter().enumerate() {
            builder.layer(&format!("layers.{i}"), layer, architecture.outputs)?;
        }
        let Builder { nodes, layout, shape, .. } = builder;
        if shape != [architecture.outputs] {
            let outputs = architecture.outputs;
            return Err(format!("layers: the last gives {shape:?} a row, and the target asks for [{outputs}]"));
        }
        Ok(Self { architecture, nodes, layout: layout.finish() })
    }

    /// The shape of what a node takes.
    pub fn input_shape(&self, node: &Node) -> &[usize] {
        match node.inputs[0] {
            Value::Input => &self.architecture.input_shape,
            Value::Node(i) => &self.nodes[i].shape,
        }
    }

    /// The whitening in front of the network, and which tensor of the layout is its weight.
    pub fn whitening(&self) -> Option<(&Whiten, usize)> {
        match (self.architecture.layers.first()?, &self.nodes.first()?.op) {
            (Layer::Whiten(whiten), Op::Conv { weight, .. }) => Some((whiten, *weight)),
            _ => None,
        }
    }

    /// Floating-point operations of a node's forward pass for one row: two for each product that is added,
    /// one for each number of a bias, a norm's two, a sum.
    pub fn flops(&self, node: &Node) -> u64 {
        let outputs = node.shape.iter().product::<usize>() as u64;
        let tensors = self.layout.tensors();
        let inner = |weight: usize| tensors[weight].shape[1..].iter().product::<usize>() as u64;
        match node.op {
            Op::Conv { weight, bias, .. } => outputs * (2 * inner(weight) + u64::from(bias.is_some())),
            Op::Linear { weight, .. } => outputs * (2 * inner(weight) + 1),
            Op::Norm { .. } => 2 * outputs,
            Op::Add | Op::Scale { .. } => outputs,
            Op::AveragePool { size } => outputs * (size * size) as u64,
            Op::Activation(_) | Op::MaxPool { .. } | Op::Flatten => 0,
        }
    }
}

/// More numbers than this in a row or a tensor are a slip of the keyboard, and products must not overflow.
const MAX_SIZE: usize = 1 << 30;
/// Likewise more residual blocks than this in a row: the deepest that were ever published have 200.
const MAX_BLOCKS: usize = 1000;

struct Builder {
    nodes: Vec<Node>,
    layout: LayoutBuilder,
    /// What the next layer takes, and its shape.
    value: Value,
    shape: Vec<usize>,
}

impl Builder {
    fn new(input_shape: &[usize]) -> Self {
        Self { nodes: vec![], layout: LayoutBuilder::default(), value: Value::Input, shape: input_shape.to_vec() }
    }

    fn layer(&mut self, name: &str, layer: &Layer, outputs: usize) -> Result<(), String> {
        let explained = |problem: String| format!("{name}: {problem}");
        match layer {
            Layer::Whiten(whiten) => self.whiten(name, whiten).map_err(explained),
            Layer::Conv(conv) => self.conv(name, conv).map_err(explained),
            Layer::Norm(norm) => self.norm(name, norm).map_err(explained),
            Layer::Activation(activation) => {
                self.push(name, Op::Activation(*activation), self.shape.clone());
                Ok(())
            }
            Layer::MaxPool(pool) => self.pool(name, pool, |size| Op::MaxPool { size }).map_err(explained),
            Layer::AveragePool(pool) => self.pool(name, pool, |size| Op::AveragePool { size }).map_err(explained),
            Layer::Linear(linear) => self.linear(name, linear.outputs.unwrap_or(outputs)).map_err(explained),
            Layer::Residual(residual) => self.residual(name, residual).map_err(explained),
            Layer::Scale(factor) if factor.is_finite() => {
                self.push(name, Op::Scale { factor: *factor }, self.shape.clone());
                Ok(())
            }
            Layer::Scale(factor) => Err(explained(format!("a factor of {factor}; expected a number"))),
        }
    }

    /// Adds a node that takes what the one before it gave.
    fn push(&mut self, name: &str, op: Op, shape: Vec<usize>) {
        let inputs = vec![self.value];
        self.value = Value::Node(self.nodes.len());
        self.shape.clone_from(&shape);
        self.nodes.push(Node { name: name.to_owned(), op, inputs, shape });
    }

    fn image(&self) -> Result<[usize; 3], String> {
        <[usize; 3]>::try_from(self.shape.as_slice())
            .map_err(|_| format!("takes an image [channels, height, width], and gets {:?}", self.shape))
    }

    fn conv(&mut self, name: &str, conv: &Conv) -> Result<(), String> {
        self.conv_of(name, conv, ParameterKind::Weight)
    }

    fn whiten(&mut self, name: &str, whiten: &Whiten) -> Result<(), String> {
        if self.value != Value::Input {
            return Err("whitens the network's input, and is its first layer".into());
        }
        let Whiten { kernel, eps, images } = *whiten;
        let patch = kernel.checked_mul(kernel).and_then(|size| size.checked_mul(self.image().ok()?[0]));
        match patch {
            _ if !(eps >= 0.0 && eps.is_finite()) => Err(format!("eps is {eps}; expected a number of at least 0")),
            _ if images == 0 => Err("images: 0; at least 1 is needed".into()),
            Some(patch) if patch <= whitening::MAX_PATCH => {
                let channels = 2 * patch;
                let conv = Conv { channels, kernel, stride: 1, padding: Some(0), bias: true, init: Init::default() };
                self.conv_of(name, &conv, ParameterKind::Frozen)
            }
            _ => {
                self.image()?;
                Err(format!("patches of {kernel} × {kernel} have over {} numbers", whitening::MAX_PATCH))
            }
        }
    }

    /// A convolution whose weight is of this kind.
    fn conv_of(&mut self, name: &str, conv: &Conv, kind: ParameterKind) -> Result<(), String> {
        let [inputs, height, width] = self.image()?;
        let Conv { channels, kernel, stride, init, .. } = *conv;
        let padding = conv.padding.unwrap_or(kernel / 2);
        if channels == 0 || kernel == 0 || stride == 0 {
            return Err("channels, kernel and stride are at least 1".into());
        }
        if padding >= kernel {
            return Err(format!("padding is {padding}; expected less than the kernel, {kernel}"));
        }
        let extent = |size: usize| Some((size.checked_add(padding.checked_mul(2)?)?.checked_sub(kernel)?) / stride + 1);
        let (Some(h), Some(w)) = (extent(height), extent(width)) else {
            return Err(format!("a kernel of {kernel} is larger than the image, {height} × {width}"));
        };
        let weight = self.tensor(name, "weight", kind, &[channels, inputs, kernel, kernel])?;
        let bias = if conv.bias { Some(self.tensor(name, "bias", ParameterKind::Bias, &[channels])?) } else { None };
        bounded(&[channels, h, w])?;
        self.push(name, Op::Conv { weight, bias, stride, padding, init }, vec![channels, h, w]);
        Ok(())
    }

    fn norm(&mut self, name: &str, norm: &Norm) -> Result<(), String> {
        let Norm { momentum, eps, .. } = *norm;
        if !(0.0..=1.0).contains(&momentum) {
            return Err(format!("momentum is {momentum}; expected a share from 0 to 1"));
        }
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(format!("eps is {eps}; expected a number above 0"));
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

    fn pool(&mut self, name: &str, pool: &Pool, op: impl Fn(usize) -> Op) -> Result<(), String> {
        let [channels, height, width] = self.image()?;
        match pool.size {
            Some(size) if size == 0 || size > height.min(width) => {
                Err(format!("squares of {size} do not fit the image, {height} × {width}"))
            }
            Some(size) => {
                self.push(name, op(size), vec![channels, height / size, width / size]);
                Ok(())
            }
            None if height != width => Err(format!("give a size: the image is {height} × {width}, no square")),
            None => {
                self.push(name, op(height), vec![channels, 1, 1]);
                self.push(&format!("{name}.flatten"), Op::Flatten, vec![channels]);
                Ok(())
            }
        }
    }

    fn linear(&mut self, name: &str, outputs: usize) -> Result<(), String> {
        let inputs: usize = self.shape.iter().product();
        if outputs == 0 {
            return Err("outputs are at least 1".into());
        }
        if self.shape.len() > 1 {
            self.push(&format!("{name}.flatten"), Op::Flatten, vec![inputs]);
        }
        let weight = self.tensor(name, "weight", ParameterKind::Weight, &[outputs, inputs])?;
        let bias = self.tensor(name, "bias", ParameterKind::Bias, &[outputs])?;
        self.push(name, Op::Linear { weight, bias }, vec![outputs]);
        Ok(())
    }

    fn residual(&mut self, name: &str, residual: &Residual) -> Result<(), String> {
        let repeat = residual.repeat;
        if !(1..=MAX_BLOCKS).contains(&repeat) {
            return Err(format!("repeat is {repeat}; expected 1 to {MAX_BLOCKS}"));
        }
        for i in 0..repeat {
            let stride = if i == 0 { residual.stride } else { 1 };
            self.block(&format!("{name}.{i}"), residual, stride)?;
        }
        Ok(())
    }

    fn block(&mut self, name: &str, residual: &Residual, stride: usize) -> Result<(), String> {
        let named = |part: &str| format!("{name}.{part}");
        let (channels, init) = (residual.channels, Init::default());
        let conv = |kernel, stride| Conv { channels, kernel, stride, padding: None, bias: false, init };
        let changes = self.image()?[0] != residual.channels || stride != 1;
        let activation = Op::Activation(residual.activation);
        let mut shortcut = (self.value, self.shape.clone());
        match residual.order {
            Order::Post => {
                self.conv(&named("conv1"), &conv(3, stride))?;
                self.norm(&named("norm1"), &residual.norm)?;
                self.push(&named("activation1"), activation.clone(), self.shape.clone());
                self.conv(&named("conv2"), &conv(3, 1))?;
                self.norm(&named("norm2"), &residual.norm)?;
            }
            Order::Pre => {
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
            if residual.order == Order::Post {
                self.norm(&named("shortcut.norm"), &residual.norm)?;
            }
        } else {
            self.value = shortcut.0;
        }
        let shape = self.shape.clone();
        self.push(&named("add"), Op::Add, shape.clone());
        let last = self.nodes.len() - 1;
        self.nodes[last].inputs = vec![body, self.nodes[last].inputs[0]];
        if residual.order == Order::Post {
            self.push(&named("activation2"), activation, shape);
        }
        Ok(())
    }

    fn tensor(&mut self, name: &str, part: &str, kind: ParameterKind, shape: &[usize]) -> Result<usize, String> {
        bounded(shape)?;
        Ok(self.layout.add(format!("{name}.{part}"), kind, shape))
    }
}

fn bounded(shape: &[usize]) -> Result<(), String> {
    let size = shape.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim));
    match size {
        Some(size) if size <= MAX_SIZE => Ok(()),
        _ => Err(format!("{shape:?} are over a billion numbers")),
    }
}
