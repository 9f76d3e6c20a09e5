//! The fusion plan: which nodes of a graph are one step, in which order, and which passes of a norm are fused into convolutions.

use super::{Error, Graph, Op, Value, linear::LinearAct, memory::MemoryPlan, operation::NormId, row_shape::RowShape};
use kernels::{Activation, conv::ConvShape};
use std::ops::Range;

/// Fewest weights of a chain of linear layers whose products are split over the threads. With fewer, a step of a usual
/// batch is so short that handing over each product costs more than it saves.
const WIDE_WEIGHTS: usize = 1 << 16;

/// The steps of a network in topological order, with the memory plan of their gradients.
pub(super) struct FusionPlan {
    pub steps: Vec<Step>,
    pub memory: MemoryPlan,
    /// Shape of an input row: `[features]` if the graph flattens its input.
    pub input_shape: Vec<usize>,
}

/// Nodes that are computed together: a norm with the sum and the ReLU after it, a convolution with its activation, or
/// consecutive linear layers with theirs.
pub(super) struct Step {
    /// That of the first node.
    pub op: Op,
    /// The second input of a norm is the residual.
    pub inputs: Vec<Source>,
    /// What ends a norm or a convolution.
    pub activation: Activation,
    /// Shapes of its first input and of its output for one row: `[channels, height, width]` or `[features]`.
    pub shapes: [Vec<usize>; 2],
    /// Ranges of the parameters of its first node, in the order of the operator's fields.
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
#[derive(Debug, Clone)]
pub(super) enum Fusion {
    Conv(ConvFusion),
    Norm(NormId, NormFusion),
    /// Consecutive linear layers.
    Linear(Vec<LinearAct>),
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
    /// If there are no steps, or a row of some step is neither an image nor a vector.
    pub fn new(graph: Graph<'_>) -> Result<Self, Error> {
        // For the last node of each group, where its output is.
        let mut source_of = vec![Source::Input; graph.nodes.len()];
        let mut steps: Vec<Step> = Vec::new();
        let flatten = input_flatten(graph);
        for group in groups(graph).into_iter().filter(|group| Some(group[0]) != flatten) {
            let residual = group.iter().find(|&&i| matches!(graph.nodes[i].op, Op::Add) && i != group[0]);
            let residual = residual.map(|&sum| graph.nodes[sum].inputs[1]);
            let sources = graph.nodes[group[0]].inputs.iter().copied().chain(residual).map(|value| match value {
                Value::Input => Source::Input,
                Value::Node(i) => source_of[i],
            });
            let mut step = Step::new(graph, &group, sources.collect());
            step.needs_grad |=
                step.inputs.iter().any(|source| matches!(*source, Source::Step(i) if steps[i].needs_grad));
            steps.push(step);
            source_of[group[group.len() - 1]] = Source::Step(steps.len() - 1);
        }
        for shape in steps.iter().flat_map(|step| &step.shapes) {
            RowShape::of(shape)?;
        }
        if steps.is_empty() {
            return Err(Error::Empty);
        }
        fuse_norms(&mut steps);
        let input_shape = flatten.map_or(graph.input_shape, |node| &graph.nodes[node].shape).to_vec();
        Ok(Self { memory: MemoryPlan::new(&steps), steps, input_shape })
    }

    /// The layers of a network that is one chain of narrow linear layers. Its batch is split by rows into shards, each of
    /// which passes forward, loss and backward on one thread: a row-sharded chain.
    pub fn row_sharded(&self) -> Option<&[LinearAct]> {
        let [Step { fusion: Fusion::Linear(layers), .. }] = self.steps.as_slice() else { return None };
        let weights = layers.iter().map(|layer| layer.weight.len()).fold(0, usize::saturating_add);
        (weights < WIDE_WEIGHTS).then_some(layers)
    }
}

impl Step {
    /// The step of a group of nodes.
    fn new(graph: Graph<'_>, group: &[usize], inputs: Vec<Source>) -> Self {
        let tensors = graph.layout.tensors();
        let (first, last) = (&graph.nodes[group[0]], &graph.nodes[group[group.len() - 1]]);
        let indices = first.op.tensors();
        let fusion = match first.op {
            Op::Conv { .. } => Fusion::Conv(ConvFusion::default()),
            Op::Linear { .. } => Fusion::Linear(layers(graph, group)),
            _ => Fusion::None,
        };
        Self {
            op: first.op.clone(),
            inputs,
            activation: match last.op {
                Op::Activation(activation) if group.len() > 1 => activation.into(),
                _ => Activation::Identity,
            },
            shapes: [graph.input_shape_of(first).to_vec(), last.shape.clone()],
            weight_trainable: indices.first().is_some_and(|&i| tensors[i].kind.is_trainable()),
            needs_grad: indices.iter().any(|&i| tensors[i].kind.is_trainable()),
            kernel: match first.op {
                Op::Conv { weight, .. } => tensors[weight].shape[2],
                _ => 0,
            },
            tensors: indices.into_iter().map(|i| tensors[i].range.clone()).collect(),
            fusion,
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

/// The linear layers among consecutive nodes, each with the activation after it.
fn layers(graph: Graph<'_>, group: &[usize]) -> Vec<LinearAct> {
    let mut layers: Vec<LinearAct> = Vec::new();
    for node in group.iter().map(|&i| &graph.nodes[i]) {
        match node.op {
            Op::Linear { weight, bias } => layers.push(LinearAct::new(graph, weight, bias)),
            Op::Activation(activation) => {
                layers.last_mut().into_iter().for_each(|layer| layer.activation = activation.into());
            }
            _ => {}
        }
    }
    layers
}

/// The node that flattens the network's input, if it alone reads that: rows of the caller are flat already.
fn input_flatten(graph: Graph<'_>) -> Option<usize> {
    let node = only_consumer(graph, Value::Input)?;
    matches!(graph.nodes[node].op, Op::Flatten).then_some(node)
}

/// The nodes of each step, in topological order; within a step, each is the only consumer of the one before it.
fn groups(graph: Graph<'_>) -> Vec<Vec<usize>> {
    let mut inside = vec![false; graph.nodes.len()];
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for first in 0..graph.nodes.len() {
        if !inside[first] {
            let group = group(graph, first);
            group.iter().for_each(|&i| inside[i] = true);
            groups.push(group);
        }
    }
    // For each node that begins a group, the last one.
    let last_of = |group: &Vec<usize>| group[group.len() - 1];
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    groups.iter().for_each(|group| last[group[0]] = last_of(group));
    // A convolution comes directly before the norm that consumes its output, while that is in the cache.
    groups.sort_by_cached_key(|group| {
        let conv = Some(last_of(group)).filter(|&i| matches!(graph.nodes[i].op, Op::Conv { .. }));
        let consumer = conv.and_then(|conv| only_consumer(graph, Value::Node(conv)));
        let norm = consumer.filter(|&i| matches!(graph.nodes[i].op, Op::Norm { .. }));
        norm.map_or((last_of(group), 1), |norm| (last[norm], 0))
    });
    groups
}

/// The node `first`, and the consumers that its step computes too.
fn group(graph: Graph<'_>, first: usize) -> Vec<usize> {
    let (mut group, mut last) = (vec![first], first);
    while let Some(next) = only_consumer(graph, Value::Node(last)).filter(|&next| fuses(graph, [first, last, next])) {
        group.push(next);
        last = next;
    }
    group
}

/// Whether the step from node `first` to `last` also computes `next`, which consumes its output.
fn fuses(graph: Graph<'_>, [first, last, next]: [usize; 3]) -> bool {
    let op = |i: usize| &graph.nodes[i].op;
    match (op(first), op(last), op(next)) {
        // Only the first input of the sum: if both are norms, the second must be computed before.
        (Op::Norm { .. }, Op::Norm { .. }, Op::Add) => graph.nodes[next].inputs[0] == Value::Node(last),
        (Op::Norm { .. }, Op::Norm { .. } | Op::Add, Op::Activation(activation)) => {
            *activation == super::Activation::Relu
        }
        // The backward pass has the output alone.
        (Op::Conv { .. }, Op::Conv { .. }, Op::Activation(activation))
        | (Op::Linear { .. }, Op::Linear { .. }, Op::Activation(activation)) => {
            Activation::from(*activation).derives_from_output()
        }
        (Op::Linear { .. }, _, Op::Linear { .. }) => true,
        _ => false,
    }
}

/// The only consumer of a value; None if there are none or several.
fn only_consumer(graph: Graph<'_>, value: Value) -> Option<usize> {
    let mut consumers = (0..graph.nodes.len()).filter(|&i| graph.nodes[i].inputs.contains(&value));
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
            Source::Step(i) if matches!(steps[i].op, Op::Conv { bias: None, .. }) => {
                Some(i).filter(|&i| steps[i].activation == Activation::Identity)
            }
            _ => None,
        };
        let is_first_norm =
            |conv: &usize| matches!(steps[*conv].fusion, Fusion::Conv(ConvFusion { statistics: None, .. }));
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

#[cfg(test)]
mod tests {
    use super::{
        super::{Activation as Setting, Layout, LayoutBuilder, Node, ParameterKind},
        *,
    };

    /// A chain of nodes on rows of `shape`.
    struct Net {
        input_shape: Vec<usize>,
        shape: Vec<usize>,
        layout: LayoutBuilder,
        nodes: Vec<Node>,
    }

    impl Net {
        fn new(shape: &[usize]) -> Self {
            Self { input_shape: shape.to_vec(), shape: shape.to_vec(), layout: LayoutBuilder::default(), nodes: vec![] }
        }

        fn then(mut self, op: Op, shape: &[usize]) -> Self {
            let inputs = vec![self.nodes.len().checked_sub(1).map_or(Value::Input, Value::Node)];
            self.nodes.push(Node { name: self.nodes.len().to_string(), op, inputs, shape: shape.to_vec() });
            self.shape = shape.to_vec();
            self
        }

        fn tensor(&mut self, kind: ParameterKind, shape: &[usize]) -> usize {
            self.layout.add(String::new(), kind, shape)
        }

        /// 3 × 3, keeps the size.
        fn conv(mut self, channels: usize, has_bias: bool) -> Self {
            let shape = [channels, self.shape[1], self.shape[2]];
            let weight = self.tensor(ParameterKind::Weight, &[channels, self.shape[0], 3, 3]);
            let bias = has_bias.then(|| self.tensor(ParameterKind::Bias, &[channels]));
            self.then(Op::Conv { weight, bias, stride: 1, padding: 1 }, &shape)
        }

        fn norm(mut self) -> Self {
            let shape = self.shape.clone();
            let [scale, shift] = [(); 2].map(|()| self.tensor(ParameterKind::Norm, &shape[..1]));
            let [mean, variance] = [(); 2].map(|()| self.tensor(ParameterKind::Statistic, &shape[..1]));
            self.then(Op::Norm { scale, shift, mean, variance, momentum: 0.1, eps: 1e-5 }, &shape)
        }

        fn activation(self, activation: Setting) -> Self {
            let shape = self.shape.clone();
            self.then(Op::Activation(activation), &shape)
        }

        fn linear(mut self, outputs: usize) -> Self {
            let inputs: usize = self.shape.iter().product();
            if self.shape.len() > 1 {
                self = self.then(Op::Flatten, &[inputs]);
            }
            let weight = self.tensor(ParameterKind::Weight, &[outputs, inputs]);
            let bias = self.tensor(ParameterKind::Bias, &[outputs]);
            self.then(Op::Linear { weight, bias }, &[outputs])
        }

        fn plan(self) -> FusionPlan {
            let layout: Layout = self.layout.finish();
            let graph = Graph { input_shape: &self.input_shape, nodes: &self.nodes, layout: &layout };
            FusionPlan::new(graph).expect("images and vectors")
        }
    }

    /// The activation of each step, and of each of its linear layers.
    fn activations(plan: &FusionPlan) -> Vec<Vec<Activation>> {
        let of = |step: &Step| match &step.fusion {
            Fusion::Linear(layers) => layers.iter().map(|layer| layer.activation).collect(),
            _ => vec![step.activation],
        };
        plan.steps.iter().map(of).collect()
    }

    #[test]
    fn activations_belong_to_the_convolutions_and_linear_layers_before_them() {
        let net = Net::new(&[3, 8, 8]).conv(6, true).activation(Setting::Relu).conv(4, false).activation(Setting::Gelu);
        let plan = net.linear(5).activation(Setting::Tanh).linear(2).plan();
        let plain = vec![Activation::Identity];
        // The derivative of GELU needs its input.
        let expected = [vec![Activation::Relu], plain.clone(), plain.clone(), plain];
        assert_eq!(activations(&plan)[..4], expected);
        assert_eq!(activations(&plan)[4..], [[Activation::Tanh, Activation::Identity]]);
        assert_eq!((plan.input_shape.len(), plan.row_sharded().is_some()), (3, false));
    }

    #[test]
    fn a_network_of_narrow_linear_layers_is_sharded_by_rows() {
        let plan = Net::new(&[1, 2, 4]).linear(16).activation(Setting::Relu).linear(3).plan();
        let layers = plan.row_sharded().expect("under 65 536 weights");
        let shapes: Vec<_> = layers.iter().map(|layer| [layer.inputs, layer.outputs]).collect();
        assert_eq!((shapes, plan.input_shape), (vec![[8, 16], [16, 3]], vec![8]));
        assert!(Net::new(&[256]).linear(256).plan().row_sharded().is_none());
    }

    #[test]
    fn passes_of_a_norm_are_computed_by_the_convolutions_around_it() {
        let around =
            |has_bias: bool| Net::new(&[8, 8, 8]).conv(8, has_bias).norm().activation(Setting::Relu).conv(8, false);
        let plan = around(false).plan();
        let [Fusion::Conv(before), Fusion::Norm(0, norm), Fusion::Conv(after)] =
            [0, 1, 2].map(|i| plan.steps[i].fusion.clone())
        else {
            panic!("three steps")
        };
        assert_eq!([before.statistics, before.grad_prologue], [Some(0); 2]);
        assert_eq!([after.prologue, after.reduction], [Some(0); 2]);
        assert_eq!([norm.statistics, norm.output, norm.reduction, norm.grad_input], [Pass::Fused; 4]);
        // A bias is added after the epilogue of the statistics.
        let plan = around(true).plan();
        let Fusion::Norm(0, norm) = plan.steps[1].fusion else { panic!("a norm") };
        assert_eq!([norm.statistics, norm.output, norm.reduction], [Pass::Own, Pass::Fused, Pass::Fused]);
    }
}
