//! What a network's training step does, in order, and which buffers it needs when.

use crate::{Element, cudnn::Geometry};
use executor::Slots;
use nets::{
    Activation, Graph, ParameterKind,
    graph::{Op as NodeOp, Value},
};
use std::ops::Range;

/// The network's input among [`Plan::values`].
pub(super) const INPUT: usize = 0;

/// Operations with their operands.
#[derive(Debug)]
pub(super) struct Plan {
    /// The input, then the outputs of steps; a value that a fused step does not write has no use.
    pub values: Vec<ValueInfo>,
    pub steps: Vec<Step>,
    /// The network's.
    pub output: usize,
    pub weights: Vec<Weight>,
}

/// An array of activations, NHWC.
#[derive(Debug, Clone)]
pub(super) struct ValueInfo {
    /// `[channels, height, width]`; features are `[features, 1, 1]`.
    pub shape: [usize; 3],
    pub element: Element,
    /// Whether a gradient with respect to it is computed.
    pub has_gradient: bool,
}

impl ValueInfo {
    /// Elements of a row.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    fn bytes(&self) -> usize {
        self.elements() * self.element.size()
    }
}

/// An operation.
#[derive(Debug)]
pub(super) struct Step {
    /// The node of the graph that it is named for.
    pub node: String,
    pub op: Op,
    pub input: usize,
    /// The second summand, or what a norm adds.
    pub other: Option<usize>,
    pub output: usize,
    /// How the gradients of `input` and `other` are written; None where there is none.
    pub writes: [Option<Write>; 2],
}

/// How a gradient is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    /// Adds to what another consumer wrote.
    pub accumulate: bool,
}

#[derive(Debug)]
pub(super) enum Op {
    /// `weight` is among [`Plan::weights`]; ranges are among the parameters.
    Conv {
        weight: usize,
        bias: Option<Range<usize>>,
        geometry: Geometry,
    },
    Linear {
        weight: usize,
        bias: Range<usize>,
    },
    /// With what follows: a sum, an activation.
    Norm(Norm),
    Activation(u32),
    Add,
    Scale(f32),
    Pool {
        max: bool,
        /// Height and width of a window.
        size: [usize; 2],
    },
    /// To the order of NCHW.
    Flatten,
}

#[derive(Debug)]
pub(super) struct Norm {
    /// Its number among the norms.
    pub index: usize,
    pub scale: Range<usize>,
    pub shift: Range<usize>,
    pub mean: Range<usize>,
    pub variance: Range<usize>,
    pub scale_trainable: bool,
    pub momentum: f32,
    pub eps: f32,
    /// [`activation_number`]
    pub activation: u32,
}

/// A weight that is kept packed as `[outputs, area, inputs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    /// `[outputs, inputs, area]` among the parameters.
    pub range: Range<usize>,
    /// Where it is among the packed ones, in elements.
    pub packed: usize,
    pub inputs: usize,
    pub area: usize,
    pub trainable: bool,
    /// Its gradient is packed too: a convolution's.
    pub packed_gradient: bool,
}

/// As activation.cu numbers them.
pub(super) fn activation_number(activation: Option<Activation>) -> u32 {
    match activation {
        None => 0,
        Some(Activation::Relu) => 1,
        Some(Activation::Tanh) => 2,
        Some(Activation::Sigmoid) => 3,
        Some(Activation::Gelu) => 4,
    }
}

impl Plan {
    pub fn new(graph: &Graph, element: Element) -> Self {
        let mut builder = Builder::new(graph, element);
        for node in 0..graph.nodes.len() {
            builder.node(node);
        }
        let output = builder.value_of[graph.nodes.len()];
        let Builder { values, steps, weights, .. } = builder;
        let mut plan = Self { values, steps, output, weights };
        plan.widen();
        plan.propagate(graph);
        plan
    }

    /// The value that is the output is of `f32` where a linear layer and elementwise functions alone give it.
    fn widen(&mut self) {
        let mut value = self.output;
        let mut wide = vec![];
        while let Some(step) = self.steps.iter().find(|step| step.output == value) {
            let consumers = self.steps.iter().filter(|step| step.input == value || step.other == Some(value)).count();
            if consumers > usize::from(value != self.output) {
                return;
            }
            wide.push(value);
            match step.op {
                Op::Scale(_) | Op::Activation(_) => value = step.input,
                Op::Linear { .. } => {
                    for value in wide {
                        self.values[value].element = Element::F32;
                    }
                    return;
                }
                _ => return,
            }
        }
    }

    /// Which gradients are needed, and how they are written.
    fn propagate(&mut self, graph: &Graph) {
        let trainable = |range: &Range<usize>| {
            let tensors = graph.layout.tensors();
            tensors.iter().any(|tensor| tensor.range == *range && tensor.kind.is_trainable())
        };
        for step in &self.steps {
            let own = match &step.op {
                Op::Conv { weight, bias, .. } => self.weights[*weight].trainable || bias.is_some(),
                Op::Linear { .. } => true,
                Op::Norm(norm) => norm.scale_trainable || trainable(&norm.shift),
                _ => false,
            };
            let upstream = [Some(step.input), step.other].into_iter().flatten();
            let upstream = upstream.into_iter().any(|value| self.values[value].has_gradient);
            self.values[step.output].has_gradient = own || upstream;
        }
        let mut written = vec![false; self.values.len()];
        for step in self.steps.iter_mut().rev() {
            for (write, value) in step.writes.iter_mut().zip([Some(step.input), step.other]) {
                let Some(value) = value.filter(|&value| self.values[value].has_gradient) else { continue };
                *write = Some(Write { accumulate: written[value] });
                written[value] = true;
            }
        }
    }

    /// Whether a step's gradients are computed.
    pub fn has_backward(&self, step: &Step) -> bool {
        self.values[step.output].has_gradient
    }

    /// The buffers that a step of training needs, or one of prediction, and when: forward steps come at the times from 0 on, the
    /// loss next, backward steps then.
    pub fn buffers(&self, training: bool) -> Vec<(Buffer, Interval)> {
        let loss = self.steps.len();
        let backward = |step: usize| 2 * loss - step;
        let mut buffers = vec![];
        for (value, info) in self.values.iter().enumerate() {
            let Some(producer) = self.steps.iter().position(|step| step.output == value) else { continue };
            let is_f32_output = value == self.output && info.element == Element::F32;
            let mut interval = Interval { first: producer, last: producer, bytes: info.bytes() };
            if value == self.output {
                interval.last = loss;
            }
            let mut gradient = Interval { first: loss, last: backward(producer), bytes: info.bytes() };
            for (at, step) in self.steps.iter().enumerate() {
                if step.input != value && step.other != Some(value) {
                    continue;
                }
                interval.last = interval.last.max(at);
                if training && self.has_backward(step) {
                    if self.backward_reads(step, value) {
                        interval.last = interval.last.max(backward(at));
                    }
                    gradient.first =
                        if gradient.first == loss { backward(at) } else { gradient.first.min(backward(at)) };
                }
            }
            if !is_f32_output {
                buffers.push((Buffer::Value(value), interval));
                if training && info.has_gradient {
                    buffers.push((Buffer::Gradient(value), gradient));
                }
            }
            if training && self.is_mixed(&self.steps[producer]) {
                let at = backward(producer);
                let bytes = info.elements() * Element::Bf16.size();
                buffers.push((Buffer::Narrow, Interval { first: at, last: at, bytes }));
            }
        }
        buffers
    }

    /// Whether it is a linear layer from `bf16` to `f32`.
    pub fn is_mixed(&self, step: &Step) -> bool {
        matches!(step.op, Op::Linear { .. }) && self.values[step.input].element != self.values[step.output].element
    }

    /// Whether a step's backward pass reads a value that the step reads.
    fn backward_reads(&self, step: &Step, value: usize) -> bool {
        match &step.op {
            Op::Conv { weight, .. } | Op::Linear { weight, .. } => self.weights[*weight].trainable,
            Op::Norm(norm) => value == step.input || norm.activation != 0,
            Op::Activation(_) | Op::Pool { max: true, .. } => true,
            Op::Add | Op::Scale(_) | Op::Pool { max: false, .. } | Op::Flatten => false,
        }
    }
}

/// What memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Buffer {
    /// A value of the plan's.
    Value(usize),
    /// Its gradient.
    Gradient(usize),
    /// The gradient of a linear layer's output in `bf16`, where the output is `f32`.
    Narrow,
}

/// When memory is in use, both ends included, and its size for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub first: usize,
    pub last: usize,
    pub bytes: usize,
}

/// A slot for each interval, and the bytes of each slot for a row: intervals that share a slot do not overlap.
pub(super) fn assign(intervals: &[Interval]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|&i| (intervals[i].first, i));
    let (mut slots, mut live, mut slot_of) = (Slots::default(), Vec::new(), vec![0; intervals.len()]);
    for i in order {
        let Interval { first, last, bytes } = intervals[i];
        live.retain(|&(last, slot)| {
            let is_live = last >= first;
            if !is_live {
                slots.release(slot);
            }
            is_live
        });
        slot_of[i] = slots.take(bytes);
        live.push((last, slot_of[i]));
    }
    (slot_of, slots.into_lens())
}

struct Builder<'a> {
    graph: &'a Graph,
    element: Element,
    values: Vec<ValueInfo>,
    steps: Vec<Step>,
    weights: Vec<Weight>,
    packed: usize,
    norms: usize,
    /// The value of the input, then of each node.
    value_of: Vec<usize>,
    /// By node: what is fused into it.
    fused: Vec<Option<Fused>>,
    /// Nodes that another computes.
    skipped: Vec<bool>,
}

/// A norm, and the sum that follows it, of which it is one summand.
#[derive(Debug, Clone, Copy)]
struct Fused {
    norm: usize,
    residual: Option<Value>,
    activation: Option<Activation>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, element: Element) -> Self {
        let shape = shape_of(&graph.architecture.input_shape);
        let count = graph.nodes.len();
        let mut builder = Self {
            graph,
            element,
            values: vec![ValueInfo { shape, element, has_gradient: false }],
            steps: vec![],
            weights: vec![],
            packed: 0,
            norms: 0,
            value_of: vec![INPUT],
            fused: vec![None; count],
            skipped: vec![false; count],
        };
        for node in 0..count {
            builder.fuse(node);
        }
        builder
    }

    /// The only consumer of a node's output.
    fn consumer(&self, node: usize) -> Option<usize> {
        let reads = |other: usize| self.graph.nodes[other].inputs.iter().filter(|&&v| v == Value::Node(node)).count();
        let mut consumers = (node + 1..self.graph.nodes.len()).filter(|&other| reads(other) > 0);
        let only = consumers.next()?;
        (consumers.next().is_none() && reads(only) == 1).then_some(only)
    }

    /// Fuses a norm with the sum and the activation after it.
    fn fuse(&mut self, norm: usize) {
        if !matches!(self.graph.nodes[norm].op, NodeOp::Norm { .. }) {
            return;
        }
        let (mut last, mut residual, mut activation) = (norm, None, None);
        if let Some(sum) = self.consumer(last) {
            let node = &self.graph.nodes[sum];
            if node.op == NodeOp::Add && !self.skipped[sum] && self.fused[sum].is_none() {
                residual = node.inputs.iter().copied().find(|&value| value != Value::Node(last));
                self.skipped[last] = true;
                last = sum;
            }
        }
        if let Some(next) = self.consumer(last)
            && let NodeOp::Activation(kind) = self.graph.nodes[next].op
        {
            activation = Some(kind);
            self.skipped[last] = true;
            last = next;
        }
        self.fused[last] = Some(Fused { norm, residual, activation });
    }

    fn value(&self, value: Value) -> usize {
        match value {
            Value::Input => INPUT,
            Value::Node(node) => self.value_of[node + 1],
        }
    }

    fn node(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        let input = self.value(node.inputs[0]);
        if self.skipped[index] {
            // Nothing reads it.
            self.value_of.push(usize::MAX);
            return;
        }
        if let Some(fused) = self.fused[index] {
            return self.norm(index, fused);
        }
        let op = match &node.op {
            NodeOp::Conv { weight, bias, stride, padding } => self.conv(index, *weight, *bias, *stride, *padding),
            NodeOp::Linear { weight, bias } => {
                let bias = self.range(*bias);
                Op::Linear { weight: self.weight(*weight, false), bias }
            }
            NodeOp::Activation(kind) => Op::Activation(activation_number(Some(*kind))),
            NodeOp::MaxPool { size } => Op::Pool { max: true, size: *size },
            NodeOp::AveragePool { size } => Op::Pool { max: false, size: *size },
            NodeOp::Add => Op::Add,
            NodeOp::Scale { factor } => Op::Scale(*factor),
            NodeOp::Flatten if self.values[input].shape[1..] == [1, 1] => {
                self.value_of.push(input);
                return;
            }
            NodeOp::Flatten => Op::Flatten,
            NodeOp::Norm { .. } => unreachable!("each norm is fused, if with nothing else"),
        };
        let other = node.inputs.get(1).map(|&value| self.value(value));
        self.push(index, op, input, other);
    }

    fn push(&mut self, index: usize, op: Op, input: usize, other: Option<usize>) {
        let node = &self.graph.nodes[index];
        let output = self.values.len();
        self.values.push(ValueInfo { shape: shape_of(&node.shape), element: self.element, has_gradient: false });
        self.value_of.push(output);
        self.steps.push(Step { node: node.name.clone(), op, input, other, output, writes: [None; 2] });
    }

    fn range(&self, tensor: usize) -> Range<usize> {
        self.graph.layout.tensors()[tensor].range.clone()
    }

    fn norm(&mut self, index: usize, fused: Fused) {
        let node = &self.graph.nodes[fused.norm];
        let NodeOp::Norm { scale, shift, mean, variance, momentum, eps } = node.op else { return };
        let kind = |tensor: usize| self.graph.layout.tensors()[tensor].kind;
        let norm = Norm {
            index: self.norms,
            scale: self.range(scale),
            shift: self.range(shift),
            mean: self.range(mean),
            variance: self.range(variance),
            scale_trainable: kind(scale) != ParameterKind::Frozen,
            momentum,
            eps,
            activation: activation_number(fused.activation),
        };
        self.norms += 1;
        let (input, other) = (self.value(node.inputs[0]), fused.residual.map(|value| self.value(value)));
        self.push(index, Op::Norm(norm), input, other);
    }

    fn conv(&mut self, index: usize, weight: usize, bias: Option<usize>, stride: usize, padding: usize) -> Op {
        let node = &self.graph.nodes[index];
        let kernel = self.graph.layout.tensors()[weight].shape[2];
        let (input, output) = (self.values[self.value(node.inputs[0])].shape, shape_of(&node.shape));
        let geometry = Geometry { rows: 0, input, output, kernel, stride, padding };
        let bias = bias.map(|bias| self.range(bias));
        Op::Conv { weight: self.weight(weight, true), bias, geometry }
    }

    fn weight(&mut self, tensor: usize, packed_gradient: bool) -> usize {
        let tensor = &self.graph.layout.tensors()[tensor];
        let area = tensor.shape[2..].iter().product();
        let (range, trainable) = (tensor.range.clone(), tensor.kind.is_trainable());
        let packed = self.packed;
        // To 16 bytes in either type.
        self.packed += range.len().next_multiple_of(8);
        self.weights.push(Weight { range, packed, inputs: tensor.shape[1], area, trainable, packed_gradient });
        self.weights.len() - 1
    }
}

/// `[channels, height, width]`
fn shape_of(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [channels, height, width] => [channels, height, width],
        _ => [shape.iter().product(), 1, 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nets::Architecture;

    fn plan(layers: serde_json::Value, element: Element) -> Plan {
        let layers = serde_json::from_value(layers).expect("layers");
        let graph = Graph::new(Architecture { input_shape: vec![3, 8, 8], layers, outputs: 2 }).expect("a network");
        Plan::new(&graph, element)
    }

    #[test]
    fn norms_are_fused_with_sums_and_activations() {
        let layers = serde_json::json!([{"residual": {"channels": 8}}, {"average_pool": {}}, {"linear": {}}]);
        let plan = plan(layers, Element::F32);
        let nodes: Vec<_> = plan.steps.iter().map(|step| step.node.as_str()).collect();
        let block = ["conv1", "activation1", "conv2", "shortcut.conv", "shortcut.norm", "activation2"];
        let block = block.map(|part| format!("layers.0.0.{part}"));
        assert_eq!(nodes[..6], block);
        assert_eq!(nodes[6..], ["layers.1", "layers.2"]);
        assert_eq!(plan.steps.iter().filter(|step| step.other.is_some()).count(), 1);
        assert!(!plan.values[INPUT].has_gradient);
    }

    #[test]
    fn logits_are_single_precision() {
        let layers = serde_json::json!([{"norm": {}}, {"linear": {}}, {"scale": 0.5}]);
        let plan = plan(layers, Element::Bf16);
        let elements: Vec<_> = plan.steps.iter().map(|step| plan.values[step.output].element).collect();
        assert_eq!(elements, [Element::Bf16, Element::Bf16, Element::F32, Element::F32]);
        assert!(plan.is_mixed(&plan.steps[2]));
        assert!(plan.buffers(true).iter().any(|(buffer, _)| *buffer == Buffer::Narrow));
    }

    #[test]
    fn intervals_of_a_slot_do_not_overlap() {
        let mut random = random::Random::new(1, 0);
        for count in 0..60 {
            let mut number = |below: usize| random.index(below);
            let intervals: Vec<Interval> = (0..count)
                .map(|_| {
                    let first = number(20);
                    Interval { first, last: first + number(8), bytes: 1 + number(100) }
                })
                .collect();
            let (slots, sizes) = assign(&intervals);
            for (i, a) in intervals.iter().enumerate() {
                assert!(sizes[slots[i]] >= a.bytes);
                for (j, b) in intervals.iter().enumerate().filter(|&(j, _)| j != i && slots[j] == slots[i]) {
                    assert!(a.last < b.first || b.last < a.first, "{i} {j}");
                }
            }
        }
    }
}
