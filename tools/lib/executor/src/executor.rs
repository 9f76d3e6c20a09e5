//! A loaded model: its graph, simplified, and the plans of the shapes that it ran with.

use crate::{
    Error, Tensor, interpreter, ops,
    plan::{Memory, Network, Plan, check_inputs},
};
use onnx::{Graph, Model, Node, simplify};
use rayon::ThreadPool;
use std::collections::HashSet;

/// Plans that are kept, for as many different shapes of the inputs.
const MAX_PLANS: usize = 4;

/// How a model runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads of a run; 0 for one a core. A single one is the caller's.
    pub threads: usize,
    /// Most bytes of memory that the values of a run may need together.
    pub memory_bytes: u64,
}

impl Default for Options {
    /// One thread, 4 GB.
    fn default() -> Self {
        Self { threads: 1, memory_bytes: 4_000_000_000 }
    }
}

/// A tensor of the caller, whose element type the graph says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View<'a> {
    /// Shape, batch axis included.
    pub shape: &'a [usize],
    /// Its elements, row-major, little-endian.
    pub bytes: &'a [u8],
}

/// A model that is ready to run.
#[derive(Debug)]
pub struct Executor {
    model: Model,
    network: Network,
    /// The most recently used first.
    plans: Vec<Plan>,
    memory: Memory,
    memory_bytes: u64,
    /// None for one thread.
    pool: Option<ThreadPool>,
    has_run: bool,
}

impl Executor {
    /// Prepares `model`: simplifies its graph, which rounds anew where batch normalizations and scales are folded into weights.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if operators or element types have no native implementation, all of which it names; any other
    /// if the model is faulty.
    pub fn new(model: Model, options: &Options) -> Result<Self, Error> {
        check_operators(&model.graph)?;
        let shell = shell(&model);
        let mut model = model;
        let mut evaluate = |part: &Model| interpreter::evaluate(part).map_err(|e| e.to_string());
        simplify::simplify(&mut model, &simplify::Options::default(), &mut evaluate)?;
        Self::with(shell, Network::new(model, true), options)
    }

    /// As [`Self::new`], but each node runs by itself on its plain operator: slow, a reference for what is fused.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn plain(model: Model, options: &Options) -> Result<Self, Error> {
        check_operators(&model.graph)?;
        Self::with(shell(&model), Network::new(model, false), options)
    }

    fn with(model: Model, network: Network, options: &Options) -> Result<Self, Error> {
        kernels::isa()?;
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        // A system that has no more threads leaves the caller's: the bytes are the same.
        let pool = if threads > 1 { builder.build().ok() } else { None };
        Ok(Self {
            model,
            network,
            plans: Vec::new(),
            memory: Memory::default(),
            memory_bytes: options.memory_bytes,
            pool,
            has_run: false,
        })
    }

    /// The model as it was read, without its nodes and constants: inputs, outputs, operator sets, metadata.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs the model on `inputs`, in the graph's order.
    ///
    /// # Errors
    /// When an input does not fit the graph, a node refuses its inputs, or the values would need too much memory.
    pub fn run(&mut self, inputs: &[View<'_>]) -> Result<(), Error> {
        self.has_run = false;
        match self.plans.iter().position(|plan| plan.takes(inputs)) {
            Some(0) => {}
            Some(index) => self.plans[..=index].rotate_right(1),
            None => self.prepare(inputs)?,
        }
        let plan = &self.plans[0];
        let (memory, limit) = (&mut self.memory, self.memory_bytes);
        match self.pool.as_ref().filter(|_| plan.pays_threads()) {
            Some(pool) => pool.install(|| parallel::with_active_workers(|| plan.run(inputs, memory, limit)))?,
            None => parallel::on_this_thread(|| plan.run(inputs, memory, limit))?,
        }
        self.has_run = true;
        Ok(())
    }

    /// Makes the plan for inputs of these shapes the first.
    fn prepare(&mut self, inputs: &[View<'_>]) -> Result<(), Error> {
        check_inputs(&self.model.graph, inputs)?;
        let threads = self.pool.as_ref().map_or(1, ThreadPool::current_num_threads);
        let plan = self.network.plan(inputs, threads)?;
        if plan.bytes() > self.memory_bytes {
            return Err(Error::Memory { needed: plan.bytes(), limit: self.memory_bytes });
        }
        self.plans.truncate(MAX_PLANS - 1);
        self.plans.insert(0, plan);
        Ok(())
    }

    /// An output of the last run, in the graph's order.
    ///
    /// # Panics
    /// If there was no run, or it failed, or the graph has no such output.
    pub fn output(&self, index: usize) -> View<'_> {
        assert!(self.has_run, "an output before a run");
        self.plans[0].output(index, &self.memory)
    }
}

/// The model without nodes and constants.
fn shell(model: &Model) -> Model {
    let graph = &model.graph;
    Model {
        name: model.name.clone(),
        graph: Graph {
            name: graph.name.clone(),
            doc: graph.doc.clone(),
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
            ..Graph::default()
        },
        ir_version: model.ir_version,
        opsets: model.opsets.clone(),
        metadata: model.metadata.clone(),
        doc: model.doc.clone(),
        functions: Vec::new(),
    }
}

/// Names each operator without an implementation once, with its first node, and each element type of constants likewise.
fn check_operators(graph: &Graph) -> Result<(), Error> {
    let is_missing = |node: &&Node| {
        let constant = node.is("Constant") && node.constant_value().is_ok_and(|value| value.is_some());
        !constant && (node.subgraphs().next().is_some() || ops::find(node).is_none())
    };
    let mut seen = HashSet::new();
    let missing = graph.nodes.iter().filter(is_missing).filter(|node| seen.insert((&node.domain, &node.op_type)));
    let name = |node: &Node| {
        let named = if node.name.is_empty() { node.output(0).unwrap_or_default() } else { &node.name };
        let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain.escape_debug()) };
        format!("{domain}{} (node {named:?})", node.op_type.escape_debug())
    };
    let unknown = graph.initializers.iter().filter(|(_, tensor)| Tensor::from_onnx(tensor).is_none());
    let mut types = HashSet::new();
    let unknown = unknown.filter(|(_, tensor)| types.insert(tensor.dtype()));
    let unknown = unknown.map(|(name, tensor)| format!("{} (tensor {name:?})", onnx::type_name(tensor.dtype())));
    let missing: Vec<_> = missing.map(name).chain(unknown).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Unsupported(missing)) }
}
