//! The fusion plan: which nodes of a graph are one step, in which order, and which passes of a norm are fused into convolutions.

use super::{Activation, Error, Graph, Node, Op, Value, memory::MemoryPlan, operation::NormId, row_shape::RowShape};
use kernels::conv::ConvShape;
use std::ops::Range;

/// The steps of a network in topological order, with the memory plan of their gradients.
pub(super) struct FusionPlan {
    pub steps: Vec<Step>,
    pub memory: MemoryPlan,
}

/// A node, or a norm fused with the sum and the ReLU after it.
pub(super) struct Step {
    pub op: Op,
    /// The second input of a norm is the residual.
    pub inputs: Vec<Source>,
    /// Whether a ReLU ends it.
    pub relu: bool,
    /// Shapes of its first input and of its output for one row: `[channels, height, width]` or `[features]`.
    pub shapes: [Vec<usize>; 2],
    /// Ranges of its parameters, in the order of the operator's fields.
    pub tensors: Vec<Range<usize>>,
    /// Whether the first of them is trainable.
    pub weight_trainable: bool,
    /// Whether the gradient of its output is needed: it or a step before it has trainable parameters.
    pub needs_grad: bool,
    /// Kernel size of a convolution.
    pub kernel: usize,
    pub fusion: Fusion,
}

/// What a step computes besides its own operator, or leaves out because another computes it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fusion {
    Conv(ConvFusion),
    Norm(NormId, NormFusion),
    /// Operators that nothing is fused with.
    None,
}

/// The passes of adjacent norms that a convolution computes, where their data is in the cache.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ConvFusion {
    /// Its input is the output of this norm, computed on the fly.
    pub prologue: Option<NormId>,
    /// Its epilogue computes the batch statistics of this norm, which consumes its output.
    pub statistics: Option<NormId>,
    /// The epilogue of its backward pass computes the gradients of γ and β of this norm, which produces its input.
    pub reduction: Option<NormId>,
    /// The prologue of its backward pass computes the gradient of its output from that of this norm's.
    pub grad_prologue: Option<NormId>,
}

/// Where each pass of a norm is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormFusion {
    /// Batch statistics of the input; fused: in the epilogue of the producer.
    pub statistics: Pass,
    /// Normalization; fused: in the prologue of the consumer, and the output is not stored.
    pub output: Pass,
    /// Sums over `grad_output`; fused: in the epilogue of the backward pass of the first consumer.
    pub reduction: Pass,
    /// `grad_input`; fused: in the prologue of the backward pass of the producer, and it is not stored.
    pub grad_input: Pass,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// By the norm's own step.
    Own,
    /// By a convolution.
    Fused,
}

/// An input of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The network's input.
    Input,
    /// The output of the step with this index.
    Step(usize),
}

impl FusionPlan {
    /// # Errors
    /// If a row of some step is neither an image nor a vector.
    pub fn new(graph: Graph<'_>) -> Result<Self, Error> {
        // For the last node of each group, the index of its step.
        let mut step_of = vec![0; graph.nodes.len()];
        let mut steps: Vec<Step> = Vec::new();
        for group in groups(graph) {
            let node = &graph.nodes[group.first];
            let residual = group.sum.map(|sum| graph.nodes[sum].inputs[1]);
            let sources = node.inputs.iter().copied().chain(residual).map(|value| match value {
                Value::Input => Source::Input,
                Value::Node(i) => Source::Step(step_of[i]),
            });
            let mut step = Step::new(graph, node, sources.collect(), group.relu.is_some());
            step.needs_grad |=
                step.inputs.iter().any(|source| matches!(*source, Source::Step(i) if steps[i].needs_grad));
            steps.push(step);
            step_of[group.last()] = steps.len() - 1;
        }
        for shape in steps.iter().flat_map(|step| &step.shapes) {
            RowShape::of(shape)?;
        }
        fuse_norms(&mut steps);
        Ok(Self { memory: MemoryPlan::new(&steps), steps })
    }
}

impl Step {
    fn new(graph: Graph<'_>, node: &Node, inputs: Vec<Source>, relu: bool) -> Self {
        let tensors = graph.layout.tensors();
        let indices = node.op.tensors();
        let kernel = match node.op {
            Op::Conv { weight, .. } => tensors[weight].shape[2],
            _ => 0,
        };
        Self {
            op: node.op.clone(),
            inputs,
            relu,
            shapes: [graph.input_shape_of(node).to_vec(), node.shape.clone()],
            weight_trainable: indices.first().is_some_and(|&i| tensors[i].kind.is_trainable()),
            needs_grad: indices.iter().any(|&i| tensors[i].kind.is_trainable()),
            tensors: indices.into_iter().map(|i| tensors[i].range.clone()).collect(),
            kernel,
            fusion: if matches!(node.op, Op::Conv { .. }) { Fusion::Conv(ConvFusion::default()) } else { Fusion::None },
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

    /// Whether the prologue of its consumer computes its output, which is then not stored.
    pub fn is_output_fused(&self) -> bool {
        matches!(self.fusion, Fusion::Norm(_, NormFusion { output: Pass::Fused, .. }))
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
fn groups(graph: Graph<'_>) -> Vec<Group> {
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
            group.sum = only_consumer(graph, first).filter(|&i| matches!(op(i), Op::Add)).filter(begins);
            group.relu =
                only_consumer(graph, group.last()).filter(|&i| matches!(op(i), Op::Activation(Activation::Relu)));
        }
        [group.sum, group.relu].into_iter().flatten().for_each(|i| inside[i] = true);
        groups.push(group);
    }
    // For each node, the last node of its group.
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    groups.iter().for_each(|group| last[group.first] = group.last());
    // A convolution comes directly before the norm that consumes its output, while that is in the cache.
    let order = |group: &Group| {
        let conv = Some(group.first).filter(|&i| matches!(op(i), Op::Conv { .. }));
        let consumer = conv.and_then(|conv| only_consumer(graph, conv));
        let norm = consumer.filter(|&i| matches!(op(i), Op::Norm { .. }));
        norm.map_or((group.last(), 1), |norm| (last[norm], 0))
    };
    groups.sort_by_cached_key(order);
    groups
}

/// The only consumer of a node's output; None if there are none or several.
fn only_consumer(graph: Graph<'_>, node: usize) -> Option<usize> {
    let reads = |consumer: &usize| graph.nodes[*consumer].inputs.contains(&Value::Node(node));
    let mut consumers = (node..graph.nodes.len()).filter(reads);
    consumers.next().filter(|_| consumers.next().is_none())
}

/// Decides which passes of each norm are fused into the convolutions around it.
fn fuse_norms(steps: &mut [Step]) {
    let norms = (0..steps.len()).filter(|&i| matches!(steps[i].op, Op::Norm { .. })).collect::<Vec<_>>();
    for (norm, i) in norms.into_iter().enumerate() {
        let Adjacent { statistics, output, reduction, grad_input } = Adjacent::of(steps, i);
        let pass = |conv: Option<usize>| conv.map_or(Pass::Own, |_| Pass::Fused);
        let fusion = NormFusion {
            statistics: pass(statistics),
            output: pass(output),
            reduction: pass(reduction),
            grad_input: pass(grad_input),
        };
        steps[i].fusion = Fusion::Norm(norm, fusion);
        let mut set = |conv: Option<usize>, field: fn(&mut ConvFusion) -> &mut Option<NormId>| {
            if let Some(Fusion::Conv(fusion)) = conv.map(|conv| &mut steps[conv].fusion) {
                *field(fusion) = Some(norm);
            }
        };
        set(statistics, |conv| &mut conv.statistics);
        set(output, |conv| &mut conv.prologue);
        set(reduction, |conv| &mut conv.reduction);
        set(grad_input, |conv| &mut conv.grad_prologue);
    }
}

/// For each pass of a norm, the convolution that it is fused into.
struct Adjacent {
    statistics: Option<usize>,
    output: Option<usize>,
    reduction: Option<usize>,
    grad_input: Option<usize>,
}

impl Adjacent {
    /// Of the norm with index `i`.
    fn of(steps: &[Step], i: usize) -> Self {
        let fuses =
            |step: usize| steps[step].weight_trainable && steps[step].conv(1).is_some_and(|shape| shape.fuses());
        let producer = match steps[i].inputs[0] {
            // A bias is added after the epilogue: it would shift the mean, and needs the gradient of the output itself.
            Source::Step(producer) if matches!(steps[producer].op, Op::Conv { bias: None, .. }) => Some(producer),
            _ => None,
        };
        let is_first_norm = |conv: &usize| match steps[*conv].fusion {
            Fusion::Conv(fusion) => fusion.statistics.is_none(),
            Fusion::Norm(..) | Fusion::None => false,
        };
        let consumers = consumers(steps, i);
        // The backward pass visits the first consumer last: then the gradient is complete.
        let reduction = consumers.first().copied().filter(|&first| fuses(first));
        // Only into the step directly before, because steps of the residual change the gradient later; and not if the residual
        // is the input of that convolution.
        let is_adjacent = |conv: &usize| {
            let apart = steps[i].inputs.get(1) != Some(&steps[*conv].inputs[0]);
            conv + 1 == i && apart && fuses(*conv) && self::consumers(steps, *conv) == [i]
        };
        Self {
            statistics: producer.filter(is_first_norm),
            output: reduction.filter(|_| consumers.len() == 1 && steps[i].inputs.len() == 1),
            reduction,
            grad_input: producer.filter(is_adjacent),
        }
    }
}

/// The consumers of a step's output.
fn consumers(steps: &[Step], step: usize) -> Vec<usize> {
    (0..steps.len()).filter(|&i| steps[i].inputs.contains(&Source::Step(step))).collect()
}
