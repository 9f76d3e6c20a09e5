//! The forward and backward pass of a network.
//!
//! A [`plan::Plan`] has the graph's operations with norms, sums and activations fused, and the intervals in which each array is
//! needed; arrays whose intervals do not overlap share memory in one arena, whose size is that of the rows at hand.

mod backward;
mod forward;
mod memory;
mod plan;

use crate::{
    Activations, Element, Error, Gpu, Precision, Result, calls,
    cudnn::{Convolution, Geometry, Pass},
};
use cudarc::driver::CudaSlice;
use memory::{Fixed, Grown, Layout};
use plan::{Buffer, INPUT, Op, Plan, Step};
use std::{collections::HashMap, sync::Arc};

/// Batch sizes whose convolutions are kept.
const BATCH_SIZES: usize = 16;

/// A network on a GPU. Parameters and gradients are the caller's, in the order of its layout.
pub struct Network {
    gpu: Arc<Gpu>,
    precision: Precision,
    plan: Plan,
    fixed: Fixed,
    /// Of training and of prediction.
    layouts: [Layout; 2],
    arena: Grown<u8>,
    workspace: Grown<u8>,
    /// `[rows, outputs]`
    logits: Grown<f32>,
    /// By rows and whether gradients are computed; of each step.
    convolutions: HashMap<(usize, bool), Vec<Option<Convolution>>>,
    /// The rows of the last forward pass of training, which the backward pass belongs to.
    trained: Option<usize>,
}

/// The addresses of a pass.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    rows: usize,
    training: bool,
    input: u64,
    parameters: u64,
    arena: u64,
    logits: u64,
}

impl Network {
    /// A network of this graph.
    ///
    /// # Errors
    /// If the GPU's memory has no room for it.
    pub fn new(gpu: &Arc<Gpu>, graph: &nets::Graph, precision: Precision) -> Result<Self> {
        let plan = Plan::new(graph, precision.element());
        let fixed = Fixed::new(gpu, &plan, precision.element())?;
        let layouts = [Layout::new(&plan, true), Layout::new(&plan, false)];
        Ok(Self {
            gpu: Arc::clone(gpu),
            precision,
            plan,
            fixed,
            layouts,
            arena: Grown::new("activations"),
            workspace: Grown::new("workspace of convolutions"),
            logits: Grown::new("logits"),
            convolutions: HashMap::new(),
            trained: None,
        })
    }

    /// The GPU.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The type of its inputs.
    pub fn element(&self) -> Element {
        self.precision.element()
    }

    /// Elements of an input row.
    pub fn inputs(&self) -> usize {
        self.plan.values[INPUT].elements()
    }

    /// Elements of an output row.
    pub fn outputs(&self) -> usize {
        self.plan.values[self.plan.output].elements()
    }

    /// The memory for so many rows, divided; and the convolutions.
    fn prepare(&mut self, rows: usize, training: bool) -> Result<()> {
        let gpu = Arc::clone(&self.gpu);
        let bytes = self.layouts[usize::from(!training)].divide(rows);
        self.arena.reserve(&gpu, bytes)?;
        self.logits.reserve(&gpu, rows * self.outputs())?;
        if !self.convolutions.contains_key(&(rows, training)) {
            if self.convolutions.len() >= BATCH_SIZES {
                self.convolutions.clear();
            }
            let found = self.plan.steps.iter().map(|step| self.convolution(step, rows, training));
            let found = found.collect::<Result<Vec<_>>>()?;
            self.convolutions.insert((rows, training), found);
        }
        let workspace = self.convolutions[&(rows, training)].iter().flatten().map(Convolution::workspace).max();
        // Never none: the library is given an address in any case.
        self.workspace.reserve(&gpu, workspace.unwrap_or(0).max(1))?;
        Ok(())
    }

    fn convolution(&self, step: &Step, rows: usize, training: bool) -> Result<Option<Convolution>> {
        let Op::Conv { weight, geometry, .. } = &step.op else { return Ok(None) };
        let needed = |pass: &Pass| match pass {
            Pass::Forward => true,
            Pass::Input => training && step.writes[0].is_some(),
            Pass::Weight => training && self.plan.weights[*weight].trainable,
        };
        let passes: Vec<Pass> = [Pass::Forward, Pass::Input, Pass::Weight].into_iter().filter(needed).collect();
        let found = self.gpu.cudnn()?.convolution(Geometry { rows, ..*geometry }, self.precision, &passes);
        found.map(Some).map_err(|error| named(step, error))
    }

    fn addresses(&self, parameters: &CudaSlice<f32>, inputs: &Activations, rows: usize, training: bool) -> Addresses {
        let gpu = &self.gpu;
        Addresses {
            rows,
            training,
            input: gpu.address(inputs.bytes()),
            parameters: gpu.address(parameters),
            arena: self.arena.address(gpu),
            logits: self.logits.address(gpu),
        }
    }

    /// Where a value is.
    fn value(&self, at: &Addresses, value: usize) -> u64 {
        match value {
            INPUT => at.input,
            _ if value == self.plan.output && self.plan.values[value].element == Element::F32 => at.logits,
            _ => self.in_arena(at, Buffer::Value(value)),
        }
    }

    fn in_arena(&self, at: &Addresses, buffer: Buffer) -> u64 {
        at.arena + self.layouts[usize::from(!at.training)].offset(buffer)
    }

    /// The shape of a value with all positions as rows.
    fn shape(&self, at: &Addresses, value: usize) -> calls::Shape {
        let plan::ValueInfo { shape: [channels, height, width], element, .. } = self.plan.values[value];
        calls::Shape { rows: at.rows * height * width, channels, element }
    }

    fn packed(&self, weight: usize) -> u64 {
        let offset = self.plan.weights[weight].packed * self.element().size();
        self.gpu.address(&self.fixed.packed) + offset as u64
    }

    fn statistics(&self, norm: &plan::Norm) -> u64 {
        self.gpu.address(&self.fixed.statistics) + 4 * self.fixed.statistics_at[norm.index] as u64
    }
}

/// Where tensors are in a flat buffer of `f32`.
fn tensor(buffer: u64, range: &std::ops::Range<usize>) -> u64 {
    buffer + 4 * range.start as u64
}

fn named(step: &Step, error: Error) -> Error {
    match error {
        Error::Refused { .. } | Error::NoAlgorithm | Error::TooLarge { .. } => {
            Error::Node { node: step.node.clone(), error: Box::new(error) }
        }
        error => error,
    }
}
