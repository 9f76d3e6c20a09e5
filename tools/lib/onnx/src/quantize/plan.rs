//! Which values of a graph get quantized.

use super::{
    Options, Target,
    layer::{self, Layer},
    residual,
};
use crate::{
    DataType, Graph, Links, Model, Node, Problem,
    shape::{self, Types},
};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Operators that ONNX Runtime computes on integers, from scales of their own to scales of their own.
const COMPUTES: [&str; 6] = ["Add", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid"];
/// Operators whose output has the scale of their first input.
const KEEPS_SCALE: [&str; 8] =
    ["AveragePool", "Flatten", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"];
/// Activations that are part of the node before them: it is their output that is quantized.
const FUSED: [&str; 2] = ["Clip", "Relu"];
/// Operators without weights whose first input TensorRT reads as integers.
const TENSORRT_POOLS: [&str; 2] = ["AveragePool", "GlobalAveragePool"];

/// What is to be quantized.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Activations that get a QuantizeLinear and a DequantizeLinear.
    pub activations: IndexMap<String, Activation>,
    /// Nodes with constant weights.
    pub layers: Vec<Layer>,
    /// Constants that are read as activations are: node and input.
    pub constants: Vec<(usize, usize)>,
    /// Activations that saturation at the ends of their range stands for: they are removed.
    pub fused: Vec<usize>,
    /// Indices of nodes that read integers.
    pub quantized: Vec<usize>,
    /// Indices of the other nodes, and why.
    pub left: Vec<(usize, String)>,
}

/// A quantized activation.
#[derive(Debug, PartialEq)]
pub(super) struct Activation {
    /// The value whose scale it shares, if it has not its own.
    pub like: Option<String>,
    /// Node inputs that read it dequantized; None for all.
    pub readers: Option<Vec<(usize, usize)>>,
}

impl Plan {
    /// Plans for the target in `options`.
    ///
    /// # Errors
    /// When the model breaks the rules of its operators, cannot be quantized at all, or options name what it does not have.
    pub fn new(model: &Model, options: &Options) -> Result<Self, Problem> {
        options.check()?;
        check(model, options)?;
        let graph = &model.graph;
        let mut planner = Planner {
            graph,
            links: graph.links(),
            types: shape::infer(model, &BTreeMap::new())?,
            kept: kept_layers(graph, options),
            options,
            plan: Self::default(),
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            let result = match (planner.excluded(index, node), options.target) {
                (Some(reason), _) => Err(reason),
                (None, Target::OnnxRuntime) => planner.visit(index, node)?,
                (None, Target::TensorRt) => planner.visit_for_tensorrt(index, node)?,
            };
            match result {
                Ok(()) => planner.plan.quantized.push(index),
                Err(reason) => planner.plan.left.push((index, reason)),
            }
        }
        Ok(planner.plan)
    }

    /// Activations whose ranges are needed.
    pub fn observed(&self) -> impl Iterator<Item = &String> {
        self.activations.iter().filter(|(_, activation)| activation.like.is_none()).map(|(name, _)| name)
    }

    /// The activation whose range gives `value` its scale.
    pub fn source<'a>(&'a self, value: &'a str) -> &'a str {
        let mut source = value;
        while let Some(Activation { like: Some(other), .. }) = self.activations.get(source) {
            source = other;
        }
        source
    }
}

fn check(model: &Model, options: &Options) -> Result<(), Problem> {
    let (graph, opset) = (&model.graph, model.opset());
    if opset < 13 {
        return Err(Problem::graph(format!("opset {opset}: int8 needs 13 or newer, for scales per channel")));
    }
    if let Some(node) = graph.nodes.iter().find(|node| node.is("QuantizeLinear") || node.is("DequantizeLinear")) {
        return Err(Problem::node(node, "the model is quantized already"));
    }
    let unknown = |name: &&String| !graph.nodes.iter().any(|node| node.is_called(name));
    if let Some(name) = options.exclude_nodes.iter().find(unknown) {
        return Err(Problem::graph(format!("no node or output is named {name:?}, which is to be left in float32")));
    }
    Ok(())
}

/// The first and the last layer, as far as they are to stay in float32, each with the reason.
fn kept_layers(graph: &Graph, options: &Options) -> Vec<(usize, &'static str)> {
    let layers = (0..graph.nodes.len()).filter(|&index| layer::has_weights(graph, &graph.nodes[index]));
    let layers: Vec<usize> = layers.collect();
    let first = layers.first().filter(|_| options.keep_first).map(|&index| (index, "the first layer is kept"));
    let last = layers.last().filter(|_| options.keep_last).map(|&index| (index, "the last layer is kept"));
    first.into_iter().chain(last).collect()
}

/// Whether a node is planned for, or why it is left in float32.
type Visit = Result<(), String>;

struct Planner<'a> {
    graph: &'a Graph,
    links: Links,
    types: Types,
    kept: Vec<(usize, &'static str)>,
    options: &'a Options,
    plan: Plan,
}

impl Planner<'_> {
    fn excluded(&self, index: usize, node: &Node) -> Option<String> {
        if self.options.exclude_nodes.iter().any(|name| node.is_called(name)) {
            return Some("excluded by name".into());
        }
        if self.options.exclude_ops.contains(&node.op_type) {
            return Some("its operator is excluded".into());
        }
        self.kept.iter().find(|(kept, _)| *kept == index).map(|(_, reason)| (*reason).into())
    }

    fn visit(&mut self, index: usize, node: &Node) -> Result<Visit, Problem> {
        let op = node.op_type.as_str();
        if !node.domain.is_empty() {
            return Ok(Err(NO_KERNEL.into()));
        }
        if layer::has_weights(self.graph, node) {
            return self.visit_layer(index, node);
        }
        Ok(match op {
            "MatMul" => self.visit_computation(index, node),
            // The arithmetic of an input's preprocessing keeps its precision.
            _ if COMPUTES.contains(&op) && !self.reads_integers(node) => Err("none of its inputs is quantized".into()),
            _ if COMPUTES.contains(&op) => self.visit_computation(index, node),
            _ if KEEPS_SCALE.contains(&op) => self.visit_keeping_scale(node),
            _ if FUSED.contains(&op) => self.visit_fused(index, node),
            _ if layer::is_layer(node) => Err("its weights are no float32 constants".into()),
            _ => Err(NO_KERNEL.into()),
        })
    }

    fn visit_layer(&mut self, index: usize, node: &Node) -> Result<Visit, Problem> {
        Ok(layer::plan(self.graph, index, node, self.options)?.map(|layer| {
            match self.options.target {
                Target::OnnxRuntime => {
                    self.quantize_input(node, 0);
                    self.quantize_output(node, None);
                }
                Target::TensorRt => self.quantize_reader(index, node, 0),
            }
            self.plan.layers.push(layer);
        }))
    }

    fn reads_integers(&self, node: &Node) -> bool {
        node.inputs.iter().any(|input| self.plan.activations.contains_key(input))
    }

    fn visit_computation(&mut self, index: usize, node: &Node) -> Visit {
        let inputs = || node.inputs.iter().filter(|name| !name.is_empty());
        if let Some(other) = inputs().find(|name| !self.is_float(name)) {
            return Err(format!("{other:?} is not known to be float32"));
        }
        for input in 0..node.inputs.len() {
            if self.graph.constant(node, input).is_some() {
                self.plan.constants.push((index, input));
            } else {
                self.quantize_input(node, input);
            }
        }
        self.quantize_output(node, None);
        Ok(())
    }

    fn visit_keeping_scale(&mut self, node: &Node) -> Visit {
        let input = node.input(0).unwrap_or_default();
        if !self.plan.activations.contains_key(input) {
            return Err("its input is not quantized".into());
        }
        self.quantize_output(node, Some(input));
        Ok(())
    }

    /// A producer that only this node reads is fused with it: its output is quantized by the range of this node's.
    fn visit_fused(&mut self, index: usize, node: &Node) -> Visit {
        let input = node.input(0).unwrap_or_default();
        let Some(activation) = self.plan.activations.get(input) else {
            return Err("its input is not quantized".into());
        };
        let own = activation.like.is_none() && self.links.producer.contains_key(input) && node.output(0).is_some();
        if own && self.links.consumers(input).len() == 1 && !self.graph.is_output(input) {
            self.plan.activations.shift_remove(input);
            self.plan.fused.push(index);
        }
        self.quantize_output(node, None);
        Ok(())
    }

    fn quantize_input(&mut self, node: &Node, input: usize) {
        if let Some(value) = node.input(input) {
            let activation = || Activation { like: None, readers: None };
            self.plan.activations.entry(value.into()).or_insert_with(activation);
        }
    }

    fn quantize_output(&mut self, node: &Node, like: Option<&str>) {
        if let Some(value) = node.output(0) {
            let activation = Activation { like: like.map(Into::into), readers: None };
            self.plan.activations.insert(value.into(), activation);
        }
    }

    /// TensorRT fuses what reads integers with what follows, and decides itself which outputs are integers: inputs alone are
    /// quantized.
    fn visit_for_tensorrt(&mut self, index: usize, node: &Node) -> Result<Visit, Problem> {
        let op = node.op_type.as_str();
        if !node.domain.is_empty() {
            return Ok(Err(FUSED_ELSEWHERE.into()));
        }
        if layer::has_weights(self.graph, node) {
            return self.visit_layer(index, node);
        }
        Ok(match op {
            "MatMul" if (0..2).all(|input| self.is_float_activation(node, input)) => {
                self.quantize_reader(index, node, 0);
                self.quantize_reader(index, node, 1);
                Ok(())
            }
            "Add" if (0..2).all(|input| self.is_float_activation(node, input)) => {
                match residual::shortcut(self.graph, &self.links, node) {
                    Some(input) => {
                        self.quantize_reader(index, node, input);
                        Ok(())
                    }
                    None => Err(FUSED_ELSEWHERE.into()),
                }
            }
            _ if TENSORRT_POOLS.contains(&op) && self.is_float_activation(node, 0) => {
                self.quantize_reader(index, node, 0);
                Ok(())
            }
            _ if layer::is_layer(node) => Err("its weights are no float32 constants".into()),
            _ => Err(FUSED_ELSEWHERE.into()),
        })
    }

    fn is_float_activation(&self, node: &Node, input: usize) -> bool {
        self.graph.constant(node, input).is_none() && node.input(input).is_some_and(|value| self.is_float(value))
    }

    fn is_float(&self, value: &str) -> bool {
        self.types.dtype(value) == DataType::Float
    }

    fn quantize_reader(&mut self, index: usize, node: &Node, input: usize) {
        if let Some(value) = node.input(input) {
            let activation = || Activation { like: None, readers: Some(Vec::new()) };
            let activation = self.plan.activations.entry(value.into()).or_insert_with(activation);
            activation.readers.get_or_insert_default().push((index, input));
        }
    }
}

const NO_KERNEL: &str = "ONNX Runtime has no integer kernel for it, or one that costs accuracy";
const FUSED_ELSEWHERE: &str = "TensorRT fuses it with what reads integers, or computes it in floating point";
