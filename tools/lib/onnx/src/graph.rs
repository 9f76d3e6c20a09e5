//! Graphs in memory: nodes in topological order, over values by name.

use crate::{Node, Problem, Tensor, Value, proto::GraphProto};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// A graph that was read and checked.
///
/// Nodes are in topological order: a pass that inserts one puts it behind the producers of its inputs, or calls
/// [`Graph::sort`] afterwards. Each value has one definition: an input, an initializer, or the output of one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// The nodes, producers first.
    pub nodes: Vec<Node>,
    /// The inputs, without those that an initializer defines.
    pub inputs: Vec<Value>,
    /// The outputs.
    pub outputs: Vec<Value>,
    /// Constant values by name, in the file's order.
    pub initializers: IndexMap<String, Tensor>,
    /// Types of values between inputs and outputs, as far as the file says.
    pub value_info: IndexMap<String, Value>,
}

/// Where values come from and go to; as of the moment that it was built.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// Index of the node that produces a value.
    pub producer: HashMap<String, usize>,
    /// Indices of the nodes that read a value, in order; a node that reads it twice is there twice, one whose subgraph
    /// reads it once.
    pub consumers: HashMap<String, Vec<usize>>,
}

impl Links {
    /// Nodes that read `value`.
    pub fn consumers(&self, value: &str) -> &[usize] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }
}

impl Graph {
    /// Reads a graph and sorts its nodes.
    ///
    /// # Errors
    /// When a tensor is faulty, a value is defined twice or not at all, or nodes depend on each other in a circle.
    pub fn from_proto(proto: GraphProto) -> Result<Self, Problem> {
        let mut initializers = IndexMap::new();
        for tensor in proto.initializer {
            let name = tensor.name().to_owned();
            if name.is_empty() {
                return Err(Problem::graph("an initializer has no name"));
            }
            if initializers.insert(name.clone(), Tensor::from_proto(tensor)?).is_some() {
                return Err(Problem::tensor(&name, "defined twice"));
            }
        }
        let inputs = proto.input.into_iter().map(Value::from_proto);
        let mut graph = Self {
            name: proto.name.unwrap_or_default(),
            doc: proto.doc_string.unwrap_or_default(),
            nodes: proto.node.into_iter().map(Node::from_proto).collect(),
            inputs: inputs.filter(|input| !initializers.contains_key(&input.name)).collect(),
            outputs: proto.output.into_iter().map(Value::from_proto).collect(),
            value_info: proto.value_info.into_iter().map(|it| (it.name().to_owned(), Value::from_proto(it))).collect(),
            initializers,
        };
        graph.sort()?;
        Ok(graph)
    }

    /// The graph as the format's message.
    pub fn to_proto(&self) -> GraphProto {
        GraphProto {
            name: Some(self.name.clone()),
            doc_string: (!self.doc.is_empty()).then(|| self.doc.clone()),
            node: self.nodes.iter().map(Node::to_proto).collect(),
            input: self.inputs.iter().map(Value::to_proto).collect(),
            output: self.outputs.iter().map(Value::to_proto).collect(),
            initializer: self.initializers.iter().map(|(name, tensor)| tensor.to_proto(name)).collect(),
            value_info: self.value_info.values().map(Value::to_proto).collect(),
            ..GraphProto::default()
        }
    }

    /// Producers and consumers of all values.
    pub fn links(&self) -> Links {
        let mut links = Links::default();
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|name| !name.is_empty()) {
                links.producer.insert(output.clone(), index);
            }
            for input in node.inputs.iter().filter(|name| !name.is_empty()) {
                links.consumers.entry(input.clone()).or_default().push(index);
            }
            for input in node.captured() {
                links.consumers.entry(input.to_owned()).or_default().push(index);
            }
        }
        links
    }

    /// Whether `value` is an output of the graph.
    pub fn is_output(&self, value: &str) -> bool {
        self.outputs.iter().any(|output| output.name == value)
    }

    /// The constant that a node's input reads, if it is one.
    pub fn constant(&self, node: &Node, input: usize) -> Option<&Tensor> {
        self.initializers.get(node.input(input)?)
    }

    /// All names of values, those inside subgraphs included.
    pub fn names(&self) -> Names {
        let Names(mut taken) = Names::new();
        taken.extend(self.inputs.iter().chain(&self.outputs).map(|value| value.name.clone()));
        taken.extend(self.initializers.keys().cloned());
        for node in &self.nodes {
            taken.extend(node.inputs.iter().chain(&node.outputs).cloned());
            node.subgraphs().for_each(|graph| collect_names(graph, &mut taken));
        }
        Names(taken)
    }

    /// The names of nodes, which are apart from those of values. Runtimes refuse a name that two nodes have.
    pub fn node_names(&self) -> Names {
        let Names(mut taken) = Names::new();
        taken.extend(self.nodes.iter().map(|node| node.name.clone()));
        Names(taken)
    }

    /// Makes all nodes, subgraphs excepted, read `to` in place of `from`.
    pub fn replace_input(&mut self, from: &str, to: &str) {
        let inputs = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        inputs.filter(|name| *name == from).for_each(|name| to.clone_into(name));
    }

    /// Removes the nodes at whose index `removed` is true; returns how many.
    pub(crate) fn remove_nodes(&mut self, removed: &[bool]) -> usize {
        let before = self.nodes.len();
        let mut removed = removed.iter();
        self.nodes.retain(|_| removed.next() != Some(&true));
        before - self.nodes.len()
    }

    /// Puts the nodes into topological order; those that do not depend on each other keep theirs.
    ///
    /// # Errors
    /// When a value has no definition or two, or nodes depend on each other in a circle.
    pub fn sort(&mut self) -> Result<(), Problem> {
        let mut defined: HashSet<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
        defined.extend(self.initializers.keys().map(String::as_str));
        let order = crate::sort::topological(&self.nodes, &defined)?;
        let computed = self.nodes.iter().flat_map(|node| node.outputs.iter().map(String::as_str));
        defined.extend(computed);
        if let Some(output) = self.outputs.iter().find(|output| !defined.contains(output.name.as_str())) {
            return Err(Problem::graph(format!("output {:?} is computed by no node", output.name)));
        }
        if order.iter().enumerate().any(|(to, &from)| to != from) {
            let mut nodes: Vec<_> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
            self.nodes = order.into_iter().filter_map(|index| nodes[index].take()).collect();
        }
        Ok(())
    }
}

/// Names that are taken.
#[derive(Debug, Clone)]
pub struct Names(HashSet<String>);

impl Names {
    /// None but the empty name, which marks what is left out.
    pub(crate) fn new() -> Self {
        Self(HashSet::from([String::new()]))
    }

    /// Reserves `name`, with as many `_` appended as make it unique.
    pub fn fresh(&mut self, name: &str) -> String {
        let mut name = name.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

fn collect_names(graph: &GraphProto, taken: &mut HashSet<String>) {
    taken.extend(graph.input.iter().map(|it| it.name().to_owned()));
    taken.extend(graph.initializer.iter().map(|it| it.name().to_owned()));
    for node in &graph.node {
        taken.extend(node.input.iter().chain(&node.output).cloned());
        for attribute in &node.attribute {
            attribute.g.iter().chain(&attribute.graphs).for_each(|inner| collect_names(inner, taken));
        }
    }
}
