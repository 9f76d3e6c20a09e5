//! The cost of fused layers: what lies between their nodes is not written.

use super::{NodeCost, Traffic, Unknown, Work, call::Call, call::plus, traffic};
use crate::{DataType, Graph, Layer, Links, Model, Node, bits, constants::constant_values, shape::Types};
use std::collections::HashSet;

/// What a layer costs in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// Element type that the anchor computes in: that of the quantized values, if it reads them.
    pub dtype: DataType,
    /// Parameters of its nodes.
    pub parameters: u64,
    /// Operations of its nodes.
    pub work: Result<Work, Unknown>,
    /// What it reads and writes; quantized values by their stored type.
    pub traffic: Result<Traffic, Unknown>,
}

/// The cost of each of `layers`, which are of the model's graph, from those of its `nodes`.
pub fn layer_costs(model: &Model, types: &Types, nodes: &[NodeCost], layers: &[Layer]) -> Vec<LayerCost> {
    let fused =
        Fused { graph: &model.graph, types, links: model.graph.links(), constants: constant_values(&model.graph) };
    layers.iter().map(|layer| fused.cost(layer, nodes)).collect()
}

struct Fused<'a> {
    graph: &'a Graph,
    types: &'a Types,
    links: Links,
    constants: HashSet<&'a str>,
}

impl<'a> Fused<'a> {
    fn cost(&self, layer: &Layer, nodes: &[NodeCost]) -> LayerCost {
        let costs = || layer.nodes.iter().filter_map(|&index| nodes.get(index));
        LayerCost {
            dtype: self.dtype(layer.anchor),
            parameters: costs().map(|cost| cost.parameters).fold(0, u64::saturating_add),
            work: costs().try_fold(Work::default(), |sum, cost| sum.plus(cost.work.clone()?)),
            traffic: self.traffic(layer),
        }
    }

    fn call(&self, node: &'a Node) -> Call<'_> {
        Call { node, types: self.types, constants: &self.constants }
    }

    /// The type of the anchor's first input, as it is stored.
    fn dtype(&self, anchor: usize) -> DataType {
        let Some(node) = self.graph.nodes.get(anchor) else { return DataType::Undefined };
        let stored = node.input(0).and_then(|name| self.stored(name)).and_then(|source| self.types.get(source));
        match stored {
            // Weights in eight bits beside activations that are not are decompressed first.
            Some(ty) if bits(ty.dtype).is_some_and(|bits| bits <= 8) => ty.dtype,
            _ => self.call(node).dtype(),
        }
    }

    /// The quantized value that `value` is dequantized from.
    fn stored(&self, value: &str) -> Option<&'a str> {
        let producer = self.graph.nodes.get(*self.links.producer.get(value)?)?;
        producer.input(0).filter(|_| producer.is("DequantizeLinear"))
    }

    fn traffic(&self, layer: &Layer) -> Result<Traffic, Unknown> {
        let mut sum = Traffic::default();
        let mut seen = HashSet::new();
        for node in layer.nodes.iter().filter_map(|&index| self.graph.nodes.get(index)) {
            let call = self.call(node);
            if call.is_constant() {
                continue;
            }
            for (index, name) in node.inputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let source = self.stored(name);
                let computed_here = source.is_none() && self.is_inside(layer, name);
                if computed_here || !seen.insert(source.unwrap_or(name)) {
                    continue;
                }
                let dtype = source.and_then(|source| self.types.get(source)).map(|ty| ty.dtype);
                let bytes = traffic::read(&call, index, dtype)?;
                let part = if self.constants.contains(name.as_str()) { &mut sum.constants } else { &mut sum.read };
                *part = plus(*part, bytes)?;
            }
            for name in node.outputs.iter().filter(|name| self.leaves(layer, node, name)) {
                sum.written = plus(sum.written, traffic::bytes(&call, name, None)?)?;
            }
        }
        Ok(sum)
    }

    /// Whether a node of the layer computes the value in each run.
    fn is_inside(&self, layer: &Layer, value: &str) -> bool {
        let producer = self.links.producer.get(value);
        !self.constants.contains(value) && producer.is_some_and(|index| layer.nodes.binary_search(index).is_ok())
    }

    /// Whether an output is written: other layers read it, and not in its quantized form.
    fn leaves(&self, layer: &Layer, node: &Node, value: &str) -> bool {
        // A view of what another layer computed is the same memory.
        if value.is_empty()
            || traffic::is_view(node) && !node.input(0).is_some_and(|source| self.is_inside(layer, source))
        {
            return false;
        }
        let outside = |reader: &usize| layer.nodes.binary_search(reader).is_err();
        self.graph.is_output(value) || !node.is("DequantizeLinear") && self.links.consumers(value).iter().any(outside)
    }
}
