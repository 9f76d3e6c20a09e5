//! Layers: groups of nodes that runtimes compute as one, without writing what lies between.
//!
//! A layer is built around its *anchor*, a convolution or matrix product, with the epilogue that runs in its registers:
//!
//! ```text
//! DequantizeLinear* → Conv → BatchNormalization? → Add or Mul of a constant* → Add (residual)? → activation? → view* → QuantizeLinear?
//! ```
//!
//! This is what ONNX Runtime and TensorRT have in common; either fuses more in places. A value is fused only if nothing
//! else reads it. An activation may be several nodes, x · Sigmoid(x) or the GELU that PyTorch exports: nodes that treat
//! elements alike and end in one value. Any other node is a layer of its own, with views of its output and
//! the quantization around it. Nodes over
//! constants belong to the layer that reads them.

use crate::{
    Graph, Links, Node,
    constants::constant_values,
    operators::{Kind, kind_of},
};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A group of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Indices of its nodes in the graph, ascending.
    pub nodes: Vec<usize>,
    /// Index of the node that the layer is named after.
    pub anchor: usize,
}

/// Limit on the nodes of an activation: GELU by tanh has 8.
const MAX_ACTIVATION: usize = 12;

/// Partitions the nodes of a graph into layers, in an order in which they can run.
pub fn fuse(graph: &Graph) -> Vec<Layer> {
    let mut fusion = Fusion {
        graph,
        links: graph.links(),
        constants: constant_values(graph),
        layer_of: vec![None; graph.nodes.len()],
        layers: BTreeMap::new(),
    };
    // From the last: of two convolutions that a residual adds up, the later one takes the sum.
    for index in (0..graph.nodes.len()).rev().filter(|&index| is_anchor(&graph.nodes[index])) {
        fusion.anchored(index);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        if fusion.layer_of[index].is_none() && !node.is("DequantizeLinear") && !fusion.is_constant(index) {
            fusion.single(index);
        }
    }
    fusion.absorb_producers();
    fusion.into_layers()
}

/// Whether a node takes an epilogue.
fn is_anchor(node: &Node) -> bool {
    matches!(kind_of(node), Kind::Linear | Kind::IntegerLinear)
}

struct Fusion<'a> {
    graph: &'a Graph,
    links: Links,
    constants: HashSet<&'a str>,
    /// Anchor of the layer that a node is in.
    layer_of: Vec<Option<usize>>,
    /// Nodes by the anchor of their layer.
    layers: BTreeMap<usize, BTreeSet<usize>>,
}

impl Fusion<'_> {
    fn node(&self, index: usize) -> &Node {
        &self.graph.nodes[index]
    }

    fn is_constant(&self, index: usize) -> bool {
        self.node(index).output(0).is_some_and(|name| self.constants.contains(name))
    }

    /// The inputs of a node that are not constant.
    fn activations(&self, index: usize) -> impl Iterator<Item = &str> {
        let names = self.node(index).inputs.iter().map(String::as_str);
        names.filter(|name| !name.is_empty() && !self.constants.contains(name))
    }

    /// The one node that reads a value, if it is free; None where a graph's output or several nodes are.
    fn only_consumer(&self, value: &str) -> Option<usize> {
        match self.links.consumers(value) {
            [only] if !self.graph.is_output(value) && self.layer_of[*only].is_none() => Some(*only),
            _ => None,
        }
    }

    /// A node of another kind, with the views of its output and the quantization behind it.
    fn single(&mut self, index: usize) {
        let mut nodes = vec![index];
        if self.node(index).outputs.len() == 1 {
            self.extend_by_views_and_quantization(&mut nodes);
        }
        self.add(index, nodes);
    }

    fn extend_by_views_and_quantization(&self, nodes: &mut Vec<usize>) {
        while let Some(index) = self.next(self.end(nodes), |node| matches!(kind_of(node), Kind::View | Kind::Known)) {
            nodes.push(index);
        }
        nodes.extend(self.next(self.end(nodes), |node| node.is("QuantizeLinear")));
    }

    fn add(&mut self, anchor: usize, nodes: Vec<usize>) {
        nodes.iter().for_each(|&node| self.layer_of[node] = Some(anchor));
        self.layers.insert(anchor, nodes.into_iter().collect());
    }

    /// The layer of an anchor with its epilogue.
    fn anchored(&mut self, anchor: usize) {
        let mut nodes = vec![anchor];
        nodes.extend(self.next(self.end(&nodes), |node| node.is("BatchNormalization")));
        while let Some(index) = self.scaled_by_constant(self.end(&nodes)) {
            nodes.push(index);
        }
        nodes.extend(self.next(self.end(&nodes), |node| node.is("Add")));
        let activation = self.activation(self.end(&nodes)).unwrap_or_default();
        let is_gelu = activation.len() > 1 && activation.iter().any(|&index| is_gelu_function(self.node(index)));
        nodes.extend(activation);
        if is_gelu {
            // x · (1 + erf(x/√2)) ends in one value before its factor ½ comes.
            nodes.extend(self.scaled_by_constant(self.end(&nodes)).filter(|&index| self.node(index).is("Mul")));
        }
        self.extend_by_views_and_quantization(&mut nodes);
        self.add(anchor, nodes);
    }

    /// The value that a chain of nodes computes.
    fn end(&self, nodes: &[usize]) -> &str {
        nodes.last().and_then(|&last| self.node(last).output(0)).unwrap_or_default()
    }

    /// The only consumer of a value, if it is as asked for and reads the value first, or adds it.
    fn next(&self, value: &str, is: impl Fn(&Node) -> bool) -> Option<usize> {
        let index = self.only_consumer(value).filter(|&index| is(self.node(index)))?;
        let node = self.node(index);
        (node.input(0) == Some(value) || node.is("Add")).then_some(index)
    }

    /// An addition or product of the value and a constant.
    fn scaled_by_constant(&self, value: &str) -> Option<usize> {
        let index = self.only_consumer(value)?;
        let node = self.node(index);
        ((node.is("Add") || node.is("Mul")) && self.activations(index).count() == 1).then_some(index)
    }

    /// Nodes that treat the elements of `value` alike, use all of it, and end in one value; the fewest.
    fn activation(&self, value: &str) -> Option<Vec<usize>> {
        if self.graph.is_output(value) {
            return None;
        }
        let mut inside: HashSet<&str> = HashSet::from([value]);
        let mut taken: Vec<usize> = Vec::new();
        let mut candidates: BTreeSet<usize> = self.links.consumers(value).iter().copied().collect();
        while let Some(index) = candidates.pop_first().filter(|_| taken.len() < MAX_ACTIVATION) {
            let node = self.node(index);
            let fits = self.layer_of[index].is_none() && is_elementwise(node) && node.outputs.len() == 1;
            if !fits || !self.activations(index).all(|name| inside.contains(name)) {
                return None;
            }
            let output = node.output(0)?;
            taken.push(index);
            inside.insert(output);
            let open = |name: &&&str| {
                self.graph.is_output(name) || self.links.consumers(name).iter().any(|reader| !taken.contains(reader))
            };
            if inside.iter().filter(open).all(|name| *name == output) {
                return Some(taken);
            }
            candidates.extend(self.links.consumers(output));
        }
        None
    }

    /// Puts dequantization and nodes over constants into the layer that reads them first.
    fn absorb_producers(&mut self) {
        for index in (0..self.graph.nodes.len()).rev() {
            let absorbed = self.node(index).is("DequantizeLinear") || self.is_constant(index);
            if self.layer_of[index].is_some() || !absorbed {
                continue;
            }
            let Some(output) = self.node(index).output(0).filter(|name| !self.graph.is_output(name)) else { continue };
            let Some(&reader) = self.links.consumers(output).first() else { continue };
            if let Some(anchor) = self.layer_of[reader] {
                self.join(index, anchor);
            }
        }
    }

    fn join(&mut self, index: usize, anchor: usize) {
        self.layer_of[index] = Some(anchor);
        self.layers.entry(anchor).or_default().insert(index);
    }

    /// The layers, ordered by their last nodes; a node that is in none is one.
    fn into_layers(mut self) -> Vec<Layer> {
        for index in 0..self.graph.nodes.len() {
            if self.layer_of[index].is_none() {
                self.add(index, vec![index]);
            }
        }
        let layer = |(anchor, nodes): (usize, BTreeSet<usize>)| Layer { nodes: nodes.into_iter().collect(), anchor };
        let mut layers: Vec<Layer> = self.layers.into_iter().map(layer).collect();
        layers.sort_by_key(|layer| layer.nodes.last().copied());
        layers
    }
}

/// Whether a node is what GELU computes, exactly or in its approximation.
fn is_gelu_function(node: &Node) -> bool {
    node.is("Erf") || node.is("Tanh")
}

/// Whether a node treats elements alike, for an activation of several nodes.
fn is_elementwise(node: &Node) -> bool {
    matches!(kind_of(node), Kind::Activation | Kind::Arithmetic)
}
