//! Which nodes of a graph are computed as one, and in which order.

use super::flow::Flow;
use crate::{
    Activation, Graph,
    graph::{Node, Op, Value},
};
use kernels::conv::ConvShape;
use std::ops::Range;

/// The steps of a network, each after those that it takes its inputs from.
pub(super) struct Topology {
    pub steps: Vec<Step>,
    pub flow: Flow,
}

/// A node, or a norm with the sum and the ReLU that follow it.
pub(super) struct Step {
    pub op: Op,
    /// What it takes; the second of a norm is added to its result.
    pub inputs: Vec<Source>,
    /// Whether a ReLU ends it.
    pub relu: bool,
    /// Of a convolution: the norm that wants to know its moments. Of a norm: the convolution that takes them.
    pub partner: Option<usize>,
    /// The shape of a row of its first input, and of its result: `[channels, height, width]` or `[width]`.
    pub shapes: [Vec<usize>; 2],
    /// Where its parameters stand, in the order of the operation's fields.
    pub tensors: Vec<Range<usize>>,
    /// Whether the first of them is learned.
    pub learned: bool,
    /// Whether a parameter of it, or of what it takes, is learned: otherwise nothing wants the gradient of its result.
    pub learns: bool,
    /// Height and width of a convolution's kernel.
    pub kernel: usize,
    pub left: Left,
}

/// What a norm leaves to the convolutions beside it, which do its work on what they have in a cache anyway.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// To the one after it: its result, which is not kept.
    pub result: bool,
    /// To this one after it: the sums over the gradient of its result.
    pub sums: Option<usize>,
    /// To the one before it: the gradient of its input, which is not kept.
    pub gradient: bool,
}

/// Where numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The network's input.
    Input,
    /// The result of a step.
    Step(usize),
}

impl Topology {
    /// None where a row is neither an image nor features.
    pub fn new(graph: &Graph) -> Option<Self> {
        // Of the last node of each group, the step that it became.
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

    /// The sizes of a convolution for so many rows.
    pub fn conv(&self, rows: usize) -> Option<ConvShape> {
        let Op::Conv { stride, padding, .. } = self.op else { return None };
        let [&[inputs, height, width], &[outputs, ..]] = self.shapes.each_ref().map(Vec::as_slice) else { return None };
        Some(ConvShape { images: rows, height, width, inputs, outputs, kernel: self.kernel, stride, padding })
    }

    /// Numbers of a row of its result.
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

/// A node, and those that are computed with it: of a norm, the sum that it goes into and the ReLU after that.
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

/// Each node in one group, in the order of the groups' last nodes.
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
            // Of two norms that are added, the second is computed before.
            let begins = |sum: &usize| graph.nodes[*sum].inputs[0] == Value::Node(first);
            group.sum = only_taker(graph, first).filter(|&i| matches!(op(i), Op::Add)).filter(begins);
            group.relu = only_taker(graph, group.last()).filter(|&i| matches!(op(i), Op::Activation(Activation::Relu)));
        }
        [group.sum, group.relu].into_iter().flatten().for_each(|i| inside[i] = true);
        groups.push(group);
    }
    // Of each node, the last of its group.
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    groups.iter().for_each(|group| last[group.first] = group.last());
    // A convolution comes right before the norm that takes its result, which reads it while it is in a cache.
    let place = |group: &Group| {
        let conv = Some(group.first).filter(|&i| matches!(op(i), Op::Conv { .. }));
        let taker = conv.and_then(|conv| only_taker(graph, conv));
        let norm = taker.filter(|&i| matches!(op(i), Op::Norm { .. }));
        norm.map_or((group.last(), 1), |norm| (last[norm], 0))
    };
    groups.sort_by_cached_key(place);
    groups
}

/// The node that takes a node's result, if there is only one.
fn only_taker(graph: &Graph, node: usize) -> Option<usize> {
    let takes = |taker: &usize| graph.nodes[*taker].inputs.contains(&Value::Node(node));
    let mut takers = (node..graph.nodes.len()).filter(takes);
    takers.next().filter(|_| takers.next().is_none())
}

/// Lets a norm have its moments from the convolution in front of it, where that has no bias to move them.
fn pair(steps: &mut [Step]) {
    for i in 0..steps.len() {
        let (Op::Norm { .. }, Source::Step(before)) = (&steps[i].op, steps[i].inputs[0]) else { continue };
        if matches!(steps[before].op, Op::Conv { bias: None, .. }) && steps[before].partner.is_none() {
            steps[before].partner = Some(i);
            steps[i].partner = Some(before);
        }
    }
}

/// Finds what norms can leave to convolutions.
fn leave(steps: &mut [Step]) {
    let fuses = |step: usize| steps[step].learned && steps[step].conv(1).is_some_and(|shape| shape.fuses());
    let left = |i: usize| {
        let takers = takers(steps, i);
        // The way back comes to the first of them last: then the gradient is whole.
        let sums = takers.first().copied().filter(|&first| fuses(first));
        let result = sums.is_some() && takers.len() == 1 && steps[i].inputs.len() == 1;
        // Only of the step before, as what a summand's steps do to the gradient comes later; and not where the sum itself
        // is taken back to what that step reads, or where a bias wants the gradient.
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

/// The steps that take a step's result.
fn takers(steps: &[Step], step: usize) -> Vec<usize> {
    (0..steps.len()).filter(|&i| steps[i].inputs.contains(&Source::Step(step))).collect()
}
