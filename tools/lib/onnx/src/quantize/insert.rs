//! QuantizeLinear and DequantizeLinear nodes, put where a plan says.

use super::{Activations, affine::Affine, constants::IntegerConstant, plan::Plan};
use crate::{Graph, Names, Node, Tensor};
use std::collections::{HashMap, HashSet};

/// Rewrites `graph` as planned.
pub(super) fn insert(
    graph: &mut Graph,
    plan: &Plan,
    affines: &HashMap<String, Affine>,
    constants: Vec<IntegerConstant>,
    activations: Activations,
) {
    let mut replaced: Vec<String> = constants.iter().map(|constant| constant.name.clone()).collect();
    replaced.extend(plan.fused.iter().flat_map(|&node| graph.nodes[node].inputs[1..].to_vec()));
    let mut names = graph.names();
    // New nodes are named after what they compute; names of nodes must be unique too.
    graph.nodes.iter().for_each(|node| drop(names.fresh(&node.name)));
    let mut inserter = Inserter { graph, names, before: HashMap::new(), behind: HashMap::new() };
    inserter.activations(plan, affines, activations);
    constants.into_iter().for_each(|constant| inserter.constant(constant));
    inserter.fold_factors(plan);
    inserter.fold_activations(plan);
    inserter.weave(&plan.fused);
    drop_unread(graph, &replaced);
}

struct Inserter<'a> {
    graph: &'a mut Graph,
    names: Names,
    /// Nodes to put before the node of an index.
    before: HashMap<usize, Vec<Node>>,
    /// Nodes to put behind the node of an index, or at the beginning.
    behind: HashMap<Option<usize>, Vec<Node>>,
}

impl Inserter<'_> {
    /// `value → QuantizeLinear → DequantizeLinear → readers`.
    fn activations(&mut self, plan: &Plan, affines: &HashMap<String, Affine>, activations: Activations) {
        let links = self.graph.links();
        let mut parameters: HashMap<&str, (String, String)> = HashMap::new();
        for (value, activation) in &plan.activations {
            let producer = links.producer.get(value).copied();
            let (real, dequantized) = match producer {
                Some(index) if activation.readers.is_none() && self.graph.is_output(value) => {
                    (self.rename_output(index, value), value.clone())
                }
                _ => (value.clone(), self.names.fresh(&format!("{value}_dequantized"))),
            };
            let all = || readers(self.graph, value);
            for (node, input) in activation.readers.clone().unwrap_or_else(all) {
                self.graph.nodes[node].inputs[input].clone_from(&dequantized);
            }
            let (scale, zero_point) = parameters.entry(plan.source(value)).or_insert_with_key(|source| {
                let zero_point = activations.tensor(&[], [affines[value].zero_point].into_iter());
                let scale = Tensor::from_f32(&[], &[affines[value].scale]);
                let scale = self.initializer(format!("{source}_scale"), scale);
                (scale, self.initializer(format!("{source}_zero_point"), zero_point))
            });
            let integers = self.names.fresh(&format!("{value}_quantized"));
            let quantize = Node::new("QuantizeLinear", &[&real, scale, zero_point], &integers);
            let mut dequantize = Node::new("DequantizeLinear", &[&integers, scale, zero_point], &dequantized);
            if dequantized == *value {
                dequantize.name = self.names.fresh(&format!("{value}_dequantized"));
            }
            self.behind.entry(producer).or_default().extend([quantize, dequantize]);
        }
    }

    /// An output of the graph keeps its name, for the dequantized value; returns the name of what its node computes.
    fn rename_output(&mut self, node: usize, value: &str) -> String {
        let real = self.names.fresh(&format!("{value}_real"));
        let outputs = &mut self.graph.nodes[node].outputs;
        outputs.iter_mut().filter(|output| *output == value).for_each(|output| output.clone_from(&real));
        real
    }

    /// `integers → DequantizeLinear → readers`.
    fn constant(&mut self, constant: IntegerConstant) {
        let IntegerConstant { name, integers, scales, zero_points, axis, readers } = constant;
        let integers = self.initializer(format!("{name}_quantized"), integers);
        let scales = self.initializer(format!("{name}_scale"), scales);
        let zero_points = self.initializer(format!("{name}_zero_point"), zero_points);
        let dequantized = self.names.fresh(&format!("{name}_dequantized"));
        let mut node = Node::new("DequantizeLinear", &[&integers, &scales, &zero_points], &dequantized);
        if let Some(axis) = axis {
            node.set("axis", axis as i64); // Its default is 1.
        }
        if let Some(first) = readers.iter().map(|(node, _)| *node).min() {
            self.before.entry(first).or_default().push(node);
        }
        for (node, input) in readers {
            self.graph.nodes[node].inputs[input].clone_from(&dequantized);
        }
    }

    /// Factors of layers are in their integers.
    fn fold_factors(&mut self, plan: &Plan) {
        for layer in plan.layers.iter().filter(|layer| layer.alpha != 1.0 || layer.beta != 1.0) {
            let node = &mut self.graph.nodes[layer.node];
            node.remove_attribute("alpha");
            node.remove_attribute("beta");
        }
    }

    /// What a layer's activation computed, the layer computes.
    fn fold_activations(&mut self, plan: &Plan) {
        let mut producers = self.graph.links().producer;
        for &index in &plan.fused {
            let node = &self.graph.nodes[index];
            let (input, output) = (node.inputs[0].clone(), node.outputs[0].clone());
            let producer = producers[&input];
            let outputs = &mut self.graph.nodes[producer].outputs;
            outputs.iter_mut().filter(|name| **name == input).for_each(|name| name.clone_from(&output));
            producers.insert(output, producer); // Another activation may follow.
        }
    }

    fn initializer(&mut self, name: String, tensor: Tensor) -> String {
        let name = self.names.fresh(&name);
        self.graph.initializers.insert(name.clone(), tensor);
        name
    }

    /// Puts new nodes between the others, without those of `removed`.
    fn weave(mut self, removed: &[usize]) {
        let mut nodes = self.behind.remove(&None).unwrap_or_default();
        for (index, node) in std::mem::take(&mut self.graph.nodes).into_iter().enumerate() {
            nodes.extend(self.before.remove(&index).unwrap_or_default());
            nodes.extend((!removed.contains(&index)).then_some(node));
            nodes.extend(self.behind.remove(&Some(index)).unwrap_or_default());
        }
        self.graph.nodes = nodes;
    }
}

/// Node inputs that read `value`.
fn readers(graph: &Graph, value: &str) -> Vec<(usize, usize)> {
    let inputs = |(index, node): (usize, &Node)| {
        let reads = |(input, name): (usize, &String)| (name == value).then_some((index, input));
        node.inputs.iter().enumerate().filter_map(reads).collect::<Vec<_>>()
    };
    graph.nodes.iter().enumerate().flat_map(inputs).collect()
}

/// Removes those of `initializers` that nothing reads any more.
fn drop_unread(graph: &mut Graph, initializers: &[String]) {
    let links = graph.links();
    let unread: HashSet<&String> =
        initializers.iter().filter(|name| links.consumers(name).is_empty() && !graph.is_output(name)).collect();
    graph.initializers.retain(|name, _| !unread.contains(name));
}
