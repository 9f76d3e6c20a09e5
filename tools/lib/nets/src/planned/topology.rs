//! The fusion plan: which nodes of a graph are one step, in which order, and which norms are fused into convolutions.

use super::flow::Flow;
use crate::{
    Activation, Graph,
    graph::{Node, Op, Value},
};
use kernels::conv::ConvShape;
use std::ops::Range;

/// The steps of a network in topological order, with the memory plan of their gradients.
pub(super) struct Topology {
    pub steps: Vec<Step>,
    pub flow: Flow,
}

/// A node, or a norm fused with the sum and the ReLU after it.
pub(super) struct Step {
    pub op: Op,
    /// The second input of a norm is the summand.
    pub inputs: Vec<Source>,
    /// Whether a ReLU ends it.
    pub relu: bool,
    /// For a convolution: the norm whose batch statistics it computes. For a norm: the convolution that computes them.
    pub partner: Option<usize>,
    /// Shapes of its first input and of its output for one row: `[channels, height, width]` or `[features]`.
    pub shapes: [Vec<usize>; 2],
    /// Ranges of its parameters, in the order of the operator's fields.
    pub tensors: Vec<Range<usize>>,
    /// Whether the first of them is trainable.
    pub learned: bool,
    /// Whether it or a step before it has trainable parameters; otherwise the gradient of its output is not needed.
    pub learns: bool,
    /// Kernel size of a convolution.
    pub kernel: usize,
    pub left: Left,
}

/// Which work of a norm is fused into the convolutions around it, where its data is in the cache.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// Its output is the prologue of the convolution after it, and not stored.
    pub result: bool,
    /// The partial sums over the gradient of its output are an epilogue of the backward pass of this convolution after it.
    pub sums: Option<usize>,
    /// Its `grad_input` is the prologue of the backward pass of the convolution before it, and not stored.
    pub gradient: bool,
}

/// An input of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The network's input.
    Input,
    /// The output of the step with this index.
    Step(usize),
}

impl Topology {
    /// None if a row of some step is neither an image nor a vector.
    pub fn new(graph: &Graph) -> Option<Self> {
        // For the last node of each group, the index of its step.
        let mut step_of = vec![0; graph.nodes.len()];
        let mut steps: Vec<Step> = Vec::new();
        for group in groups(graph) {
            let node = &graph.nodes[group.first];
            let summand = group.sum.map(|sum| graph.nodes[sum].inputs[1]);
            let sources = node.inputs.iter().copied().chain(summand).map(|value| match value {
                Value::Input => Source::Input,
                Value::Node(i) => Source::Step(step_of[i]),
            });
            let mut step = Step::new(graph, node, sources.collect(), group.relu.is_some());
            step.learns |= step.inputs.iter().any(|source| matches!(*source, Source::Step(i) if steps[i].learns));
            steps.push(step);
            step_of[group.last()] = steps.len() - 1;
        }
        let known = steps.iter().flat_map(|step| &step.shapes).all(|shape| matches!(shape.len(), 1 | 3));
        pair(&mut steps);
        leave(&mut steps);
        known.then(|| Self { flow: Flow::new(&steps), steps })
    }
}

impl Step {
    fn new(graph: &Graph, node: &Node, inputs: Vec<Source>, relu: bool) -> Self {
        let tensors = graph.layout.tensors();
        let indices = tensors_of(&node.op);
        let kernel = match node.op {
            Op::Conv { weight, .. } => tensors[weight].shape[2],
            _ => 0,
        };
        Self {
            op: node.op.clone(),
            inputs,
            relu,
            partner: None,
            shapes: [graph.input_shape(node).to_vec(), node.shape.clone()],
            learned: indices.first().is_some_and(|&i| tensors[i].kind.is_trainable()),
            learns: indices.iter().any(|&i| tensors[i].kind.is_trainable()),
            tensors: indices.into_iter().map(|i| tensors[i].range.clone()).collect(),
            kernel,
            left: Left::default(),
        }
    }

    /// The shape of a convolution for `rows` rows; None for another operator.
    pub fn conv(&self, rows: usize) -> Option<ConvShape> {
        let Op::Conv { stride, padding, .. } = self.op else { return None };
        let [&[inputs, height, width], &[outputs, ..]] = self.shapes.each_ref().map(Vec::as_slice) else { return None };
        Some(ConvShape { images: rows, height, width, inputs, outputs, kernel: self.kernel, stride, padding })
    }

    /// Elements of its output a row.
    pub fn width(&self) -> usize {
        self.shapes[1].iter().product()
    }
}

fn tensors_of(op: &Op) -> Vec<usize> {
    match *op {
        Op::Conv { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
        Op::Linear { weight, bias } => vec![weight, bias],
        Op::Norm { scale, shift, mean, variance, .. } => vec![scale, shift, mean, variance],
        Op::Activation(_) | Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Flatten | Op::Add | Op::Scale { .. } => {
            vec![]
        }
    }
}

/// Nodes of one step: a node, and for a norm the sum and the ReLU that are fused with it.
struct Group {
    first: usize,
    sum: Option<usize>,
    relu: Option<usize>,
}

impl Group {
    fn last(&self) -> usize {
        self.relu.or(self.sum).unwrap_or(self.first)
    }
}

/// The groups of all nodes, in topological order.
fn groups(graph: &Graph) -> Vec<Group> {
    let op = |i: usize| &graph.nodes[i].op;
    let mut inside = vec![false; graph.nodes.len()];
    let mut groups = Vec::new();
    for first in 0..graph.nodes.len() {
        if inside[first] {
            continue;
        }
        let mut group = Group { first, sum: None, relu: None };
        if matches!(op(first), Op::Norm { .. }) {
            // Only the first input of the sum: if both are norms, the second must be computed before.
            let begins = |sum: &usize| graph.nodes[*sum].inputs[0] == Value::Node(first);
            group.sum = only_taker(graph, first).filter(|&i| matches!(op(i), Op::Add)).filter(begins);
            group.relu = only_taker(graph, group.last()).filter(|&i| matches!(op(i), Op::Activation(Activation::Relu)));
        }
        [group.sum, group.relu].into_iter().flatten().for_each(|i| inside[i] = true);
        groups.push(group);
    }
    // For each node, the last node of its group.
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    groups.iter().for_each(|group| last[group.first] = group.last());
    // A convolution comes directly before the norm that consumes its output, while that is in the cache.
    let place = |group: &Group| {
        let conv = Some(group.first).filter(|&i| matches!(op(i), Op::Conv { .. }));
        let taker = conv.and_then(|conv| only_taker(graph, conv));
        let norm = taker.filter(|&i| matches!(op(i), Op::Norm { .. }));
        norm.map_or((group.last(), 1), |norm| (last[norm], 0))
    };
    groups.sort_by_cached_key(place);
    groups
}

/// The only consumer of a node's output; None if there are none or several.
fn only_taker(graph: &Graph, node: usize) -> Option<usize> {
    let takes = |taker: &usize| graph.nodes[*taker].inputs.contains(&Value::Node(node));
    let mut takers = (node..graph.nodes.len()).filter(takes);
    takers.next().filter(|_| takers.next().is_none())
}

/// Fuses the batch statistics of a norm into the convolution before it, if that has no bias (a bias is added later and
/// would shift the mean).
fn pair(steps: &mut [Step]) {
    for i in 0..steps.len() {
        let (Op::Norm { .. }, Source::Step(before)) = (&steps[i].op, steps[i].inputs[0]) else { continue };
        if matches!(steps[before].op, Op::Conv { bias: None, .. }) && steps[before].partner.is_none() {
            steps[before].partner = Some(i);
            steps[i].partner = Some(before);
        }
    }
}

/// Decides which work of each norm is fused into the convolutions around it.
fn leave(steps: &mut [Step]) {
    let fuses = |step: usize| steps[step].learned && steps[step].conv(1).is_some_and(|shape| shape.fuses());
    let left = |i: usize| {
        let takers = takers(steps, i);
        // The backward pass visits the first consumer last: then the gradient is complete.
        let sums = takers.first().copied().filter(|&first| fuses(first));
        let result = sums.is_some() && takers.len() == 1 && steps[i].inputs.len() == 1;
        // Only into the step directly before, because steps of the summand change the gradient later; not if the summand is
        // the input of that convolution; and not if the convolution has a bias, which needs the gradient itself.
        let before = i.checked_sub(1).filter(|&before| steps[i].inputs[0] == Source::Step(before));
        let gradient = before.is_some_and(|before| {
            let plain = matches!(steps[before].op, Op::Conv { bias: None, .. });
            let apart = steps[i].inputs.get(1) != Some(&steps[before].inputs[0]);
            plain && apart && fuses(before) && self::takers(steps, before) == [i]
        });
        Left { result, sums, gradient }
    };
    let norm = |i: usize| matches!(steps[i].op, Op::Norm { .. });
    let found: Vec<_> = (0..steps.len()).map(|i| if norm(i) { left(i) } else { Left::default() }).collect();
    steps.iter_mut().zip(found).for_each(|(step, left)| step.left = left);
}

/// The consumers of a step's output.
fn takers(steps: &[Step], step: usize) -> Vec<usize> {
    (0..steps.len()).filter(|&i| steps[i].inputs.contains(&Source::Step(step))).collect()
}
