//! Groups of nodes that become one step: a convolution or a fully connected layer with what follows it, or nodes that compute on
//! quantized values.

use super::{
    build::Builder,
    conv::ConvLayer,
    elementwise,
    linear::LinearLayer,
    quantized::{Elements, QuantizedLayer, quantizes},
    windowed::WindowedLayer,
};
use kernels::Activation;
use onnx::{DataType, Node, Problem};
use std::collections::{HashMap, HashSet};

/// A product that nodes are fused into.
#[derive(Debug)]
pub(super) enum Product {
    Linear(LinearLayer),
    Conv(ConvLayer),
    Windowed(WindowedLayer),
    /// And the index of the node that quantizes the last value, if one does.
    Quantized(QuantizedLayer, Option<usize>),
}

/// Nodes that become one step.
#[derive(Debug)]
pub(super) enum Group {
    /// A product and its epilogue.
    Product(Product, Chain),
    /// Functions of quantized elements.
    Elements(Elements),
}

/// The nodes that follow a product and nothing else reads the values between.
#[derive(Debug)]
pub(super) struct Chain {
    /// A constant that is added, by columns: of a layer without a bias.
    pub bias: Option<String>,
    /// The value that is added, of the product's shape.
    pub residual: Option<String>,
    pub activation: Activation,
    /// The value that the last node computes.
    pub output: String,
}

/// The groups of a graph.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By the index of their last node: all operands are computed before it.
    pub at: HashMap<usize, Group>,
    /// Nodes that belong to one.
    pub covered: HashSet<usize>,
}

impl Group {
    pub fn emit(self, builder: &mut Builder<'_>) -> Result<(), Problem> {
        match self {
            Self::Product(Product::Linear(layer), epilogue) => layer.emit(builder, &epilogue),
            Self::Product(Product::Conv(layer), epilogue) => layer.emit(builder, &epilogue),
            Self::Product(Product::Windowed(layer), epilogue) => layer.emit(builder, &epilogue),
            Self::Product(Product::Quantized(layer, output), epilogue) => {
                let graph = builder.graph;
                layer.emit(builder, &epilogue, output.map(|index| &graph.nodes[index]))
            }
            Self::Elements(elements) => elements.emit(builder),
        }
    }
}

/// # Errors
/// When an attribute has the wrong type.
pub(super) fn groups(builder: &mut Builder<'_>) -> Result<Groups, Problem> {
    let mut groups = Groups::default();
    let graph = builder.graph;
    for (index, node) in graph.nodes.iter().enumerate() {
        let product = product(builder, node)?;
        let (Some(mut product), Some(output)) = (product, node.output(0)) else { continue };
        groups.covered.insert(index);
        let (epilogue, mut last) = follow(builder, &product, index, output, &mut groups.covered)?;
        if let (Product::Quantized(_, quantizer), &[reader]) = (&mut product, builder.links.consumers(&epilogue.output))
            && !graph.is_output(&epilogue.output)
            && quantizes(builder, &graph.nodes[reader]).is_some()
        {
            (*quantizer, last) = (Some(reader), reader);
            groups.covered.insert(reader);
        }
        groups.at.insert(last, Group::Product(product, epilogue));
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(elements) = Elements::of(builder, node)? else { continue };
        if !groups.covered.contains(&index) && !elements.inner.iter().any(|inner| groups.covered.contains(inner)) {
            groups.covered.extend(elements.inner.iter().chain([&index]));
            groups.at.insert(index, Group::Elements(elements));
        }
    }
    Ok(groups)
}

fn product(builder: &mut Builder<'_>, node: &Node) -> Result<Option<Product>, Problem> {
    if let Some(layer) = QuantizedLayer::of(builder, node)? {
        return Ok(Some(Product::Quantized(layer, None)));
    }
    if let Some(layer) = LinearLayer::of(builder, node)? {
        return Ok(Some(Product::Linear(layer)));
    }
    if let Some(layer) = ConvLayer::of(builder, node)? {
        return Ok(Some(Product::Conv(layer)));
    }
    Ok(WindowedLayer::of(builder, node)?.map(Product::Windowed))
}

/// The epilogue of the product at `index`, and the index of its last node.
fn follow(
    builder: &Builder<'_>,
    product: &Product,
    index: usize,
    output: &str,
    covered: &mut HashSet<usize>,
) -> Result<(Chain, usize), Problem> {
    let mut chain = Chain { bias: None, residual: None, activation: Activation::Identity, output: output.into() };
    let mut last = index;
    while let &[reader] = builder.links.consumers(&chain.output) {
        let node = &builder.graph.nodes[reader];
        if builder.graph.is_output(&chain.output) || covered.contains(&reader) || node.output(0).is_none() {
            break;
        }
        let is_half = builder.is_half(&chain.output);
        let activation = elementwise::activation(builder, node)?;
        // float16 is rounded after each node; bounds of what is rounded are those of what was.
        if is_half && !matches!(activation, Some(Activation::Relu | Activation::Clip(..))) {
            break;
        }
        match activation {
            Some(activation) => chain.activation = activation,
            None => match added(node, &chain.output) {
                Some(other) if is_bias(builder, product, &chain, other) => chain.bias = Some(other.into()),
                Some(other) if is_residual(builder, &chain, other) => chain.residual = Some(other.into()),
                _ => break,
            },
        }
        covered.insert(reader);
        last = reader;
        chain.output = node.outputs[0].clone();
        if activation.is_some() {
            break;
        }
    }
    Ok((chain, last))
}

/// What an `Add` adds to `value`.
fn added<'a>(node: &'a Node, value: &str) -> Option<&'a str> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    let other = if left == value { right } else { left };
    (node.is("Add") && left != right).then_some(other)
}

fn is_bias(builder: &Builder<'_>, product: &Product, chain: &Chain, other: &str) -> bool {
    let columns = match product {
        Product::Linear(layer) => (!layer.has_bias()).then_some(layer.outputs),
        Product::Quantized(layer, _) => layer.bias_columns(),
        Product::Conv(_) | Product::Windowed(_) => None,
    };
    let (Some(columns), Some(constant)) = (columns, builder.graph.initializers.get(other)) else { return false };
    let is_row = constant.dims().last() == Some(&columns) && constant.len() == columns;
    let output_rank = builder.floats(&chain.output).map_or(0, |shape| shape.len());
    constant.dtype() == DataType::Float
        && chain.bias.is_none()
        && chain.residual.is_none()
        && is_row
        && constant.dims().len() <= output_rank
}

fn is_residual(builder: &Builder<'_>, chain: &Chain, other: &str) -> bool {
    let shape = builder.floats(&chain.output);
    chain.residual.is_none() && shape.is_some() && builder.floats(other) == shape
}
