//! Runs of a plan.

use super::{
    quantized::Operands,
    step::{Kind, Plain, Shape, Source, Step, fits},
};
use crate::{
    Error, Tensor, View,
    ops::{Call, MOST_BYTES},
};
use half::f16;
use onnx::{DataType, Problem};
use std::{borrow::Cow, mem, sync::Arc};

/// Multiply-adds of a run for which threads pay: handing tasks over takes tens of microseconds.
const PARALLEL_COST: usize = 1 << 21;

/// What runs write to, whichever their plan.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Each as long as the longest value of any plan.
    buffers: Vec<Vec<f32>>,
    /// What plain operators returned.
    tensors: Vec<Option<Tensor>>,
    workspace: Vec<f32>,
    /// Inputs whose bytes are not aligned to float32.
    aligned: Vec<Vec<f32>>,
}

/// A graph for inputs of one shape each.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Of the inputs.
    pub(super) inputs: Vec<Input>,
    pub(super) steps: Vec<Step>,
    /// Elements of each buffer.
    pub(super) buffers: Vec<usize>,
    /// Number of tensors of plain operators, and their bytes as far as they are known.
    pub(super) tensors: usize,
    pub(super) tensor_bytes: u64,
    pub(super) constants: Vec<Arc<Tensor>>,
    /// Elements.
    pub(super) workspace: usize,
    pub(super) outputs: Vec<Output>,
    /// Multiply-adds of a run, about.
    pub(super) cost: usize,
}

/// An input of a plan.
#[derive(Debug)]
pub(super) struct Input {
    pub name: String,
    pub dtype: DataType,
    pub shape: Vec<usize>,
    /// Bytes.
    pub len: usize,
}

/// Where an output lies.
#[derive(Debug)]
pub(super) enum Output {
    /// In a buffer.
    Buffer(usize, usize, Vec<usize>),
    /// As a tensor.
    Tensor(usize),
}

impl Plan {
    /// Whether it is for inputs of these shapes.
    pub fn takes(&self, inputs: &[View<'_>]) -> bool {
        let fits = |(ours, theirs): (&Input, &View<'_>)| ours.shape == theirs.shape;
        self.inputs.len() == inputs.len() && self.inputs.iter().zip(inputs).all(fits)
    }

    /// Bytes of memory that a run needs.
    pub fn bytes(&self) -> u64 {
        let elements: usize = self.buffers.iter().sum();
        ((elements + self.workspace) * size_of::<f32>()) as u64 + self.tensor_bytes
    }

    /// Whether a run has enough to compute for several threads.
    pub fn pays_threads(&self) -> bool {
        self.cost >= PARALLEL_COST
    }

    /// Runs all steps. Values whose sizes depend on other values count against `limit`, in bytes, as they are computed.
    pub fn run(&self, inputs: &[View<'_>], memory: &mut Memory, limit: u64) -> Result<(), Error> {
        self.reserve(memory);
        // What a run that failed has left.
        memory.tensors.fill(None);
        let mut needed = self.bytes();
        for (index, (input, view)) in self.inputs.iter().zip(inputs).enumerate() {
            if view.bytes.len() != input.len {
                let (found, expected) = (view.bytes.len(), input.len);
                return Err(Problem::tensor(&input.name, format!("{found} bytes, expected {expected}")).into());
            }
            if input.dtype == DataType::Float && bytemuck::try_cast_slice::<u8, f32>(view.bytes).is_err() {
                memory.aligned[index] = bytemuck::pod_collect_to_vec(view.bytes);
            }
        }
        for step in &self.steps {
            match &step.kind {
                Kind::Plain(plain) => {
                    self.run_plain(step, plain, inputs, memory, limit.saturating_sub(needed))?;
                    needed = needed.saturating_add(plain.unforeseen(&memory.tensors));
                    if needed > limit {
                        return Err(Error::Memory { needed, limit });
                    }
                }
                Kind::Keep(tensor, (dtype, shape)) => {
                    let kept = self.tensor(step.reads[0], (*dtype, shape), inputs, memory)?.into_owned();
                    memory.tensors[*tensor] = Some(kept);
                }
                _ => self.run_fused(step, inputs, memory),
            }
            step.frees.iter().for_each(|tensor| memory.tensors[*tensor] = None);
        }
        Ok(())
    }

    /// Makes the memory as large as this plan needs.
    fn reserve(&self, memory: &mut Memory) {
        if memory.buffers.len() < self.buffers.len() {
            memory.buffers.resize_with(self.buffers.len(), Vec::new);
        }
        for (buffer, &len) in memory.buffers.iter_mut().zip(&self.buffers) {
            if buffer.len() < len {
                // Not resized: its contents need not be copied.
                *buffer = vec![0.0; len];
            }
        }
        if memory.workspace.len() < self.workspace {
            memory.workspace = vec![0.0; self.workspace];
        }
        if memory.tensors.len() < self.tensors {
            memory.tensors.resize_with(self.tensors, || None);
        }
        if memory.aligned.len() < self.inputs.len() {
            memory.aligned.resize_with(self.inputs.len(), Vec::new);
        }
    }

    fn run_fused(&self, step: &Step, inputs: &[View<'_>], memory: &mut Memory) {
        let Some((buffer, len)) = step.write else { return };
        let mut out = mem::take(&mut memory.buffers[buffer]);
        let mut workspace = mem::take(&mut memory.workspace);
        let read = |index: usize| {
            let source = *step.reads.get(index)?;
            (source != Source::Buffer(buffer)).then(|| &self.elements(source, inputs, memory)[..step.lens[index]])
        };
        let (to, workspace_part) = (&mut out[..len], &mut workspace[..self.workspace]);
        match &step.kind {
            Kind::Quantized(quantized, len) => {
                let operands = StepOperands { plan: self, step, inputs, memory };
                quantized.run(&operands, *len, to, workspace_part);
            }
            kind => kind.run(read, to, workspace_part),
        }
        memory.buffers[buffer] = out;
        memory.workspace = workspace;
    }

    /// The elements of a float32 value.
    fn elements<'a>(&'a self, source: Source, inputs: &[View<'a>], memory: &'a Memory) -> &'a [f32] {
        let of = |tensor: &'a Tensor| match tensor {
            Tensor::F32(array) => array.as_slice().unwrap_or_default(),
            _ => &[],
        };
        match source {
            Source::Input(index) => bytemuck::try_cast_slice(inputs[index].bytes).unwrap_or(&memory.aligned[index]),
            Source::Buffer(buffer) => &memory.buffers[buffer],
            Source::Constant(index) => of(&self.constants[index]),
            Source::Tensor(index) => memory.tensors[index].as_ref().map_or(&[], of),
        }
    }

    /// The bytes of a value.
    fn bytes_of<'a>(&'a self, source: Source, inputs: &[View<'a>], memory: &'a Memory) -> &'a [u8] {
        match source {
            Source::Input(index) => inputs[index].bytes,
            Source::Buffer(buffer) => bytemuck::cast_slice(&memory.buffers[buffer]),
            Source::Constant(index) => self.constants[index].bytes(),
            Source::Tensor(index) => memory.tensors[index].as_ref().map_or(&[], Tensor::bytes),
        }
    }

    /// A value as a tensor of a type and shape.
    fn tensor<'a>(
        &'a self,
        source: Source,
        (dtype, shape): (DataType, &[usize]),
        inputs: &[View<'_>],
        memory: &'a Memory,
    ) -> Result<Cow<'a, Tensor>, Problem> {
        let of_bytes = |bytes: &[u8]| {
            let tensor = Tensor::from_bytes(dtype, shape, bytes).map(Cow::Owned);
            tensor.ok_or_else(|| Problem::graph(format!("a value that is no tensor of shape {shape:?}")))
        };
        let lent = |tensor: &'a Tensor| {
            if tensor.shape() == shape { Ok(Cow::Borrowed(tensor)) } else { of_bytes(tensor.bytes()) }
        };
        match source {
            Source::Input(index) => of_bytes(inputs[index].bytes),
            Source::Buffer(buffer) => {
                if dtype == DataType::Float16 {
                    let halves = memory.buffers[buffer][..shape.iter().product()].iter();
                    let halves = halves.map(|&x| f16::from_f32(x)).collect();
                    let array = ndarray::ArrayD::from_shape_vec(shape, halves);
                    let array = array.map_err(|error| Problem::graph(format!("a value of float16: {error}")))?;
                    return Ok(Cow::Owned(Tensor::F16(array)));
                }
                let len = shape.iter().product::<usize>() * onnx::bits(dtype).unwrap_or_default() / 8;
                of_bytes(&bytemuck::cast_slice(&memory.buffers[buffer])[..len])
            }
            Source::Constant(index) => lent(&self.constants[index]),
            Source::Tensor(index) => match &memory.tensors[index] {
                Some(tensor) => lent(tensor),
                None => Err(Problem::graph("a value that no step computes")),
            },
        }
    }

    /// `left` is what values may need whose sizes the plan does not know, in bytes.
    fn run_plain(
        &self,
        step: &Step,
        plain: &Plain,
        inputs: &[View<'_>],
        memory: &mut Memory,
        left: u64,
    ) -> Result<(), Problem> {
        let operand = |input: &Option<(usize, Option<Shape>)>| {
            let Some((index, shape)) = input else { return Ok(None) };
            let source = step.reads[*index];
            match (shape, source) {
                (Some((dtype, shape)), _) => self.tensor(source, (*dtype, shape), inputs, memory).map(Some),
                // Of a type that the plan does not know: a tensor as it is.
                (None, Source::Tensor(index)) => Ok(memory.tensors[index].as_ref().map(Cow::Borrowed)),
                (None, _) => Err(Problem::node(&plain.node, "an input of unknown type")),
            }
        };
        let operands = plain.inputs.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        let operands: Vec<_> = operands.iter().map(Option::as_deref).collect();
        if let Some(tensor) = operands.iter().flatten().find(|tensor| is_endless(tensor.shape())) {
            let reason = format!("an input of shape {:?}, which is too large", tensor.shape());
            return Err(Problem::node(&plain.node, reason));
        }
        let is_known = plain.outputs.iter().flatten().all(|(_, shape)| shape.is_some());
        let most_bytes = if is_known { MOST_BYTES } else { left.min(MOST_BYTES as u64) as usize };
        let call = Call { node: &plain.node, opset: plain.opset, inputs: &operands, most_bytes };
        let outputs = (plain.operator)(&call)?;
        drop(operands);
        let missing = || Problem::node(&plain.node, "fewer outputs than the graph reads");
        let mut outputs = outputs.into_iter();
        for expected in &plain.outputs {
            let output = outputs.next();
            let Some((index, shape)) = expected else { continue };
            let output = output.ok_or_else(missing)?;
            if let Some(shape) = shape.as_ref().filter(|shape| !fits(&output, shape)) {
                let reason = format!("an output of shape {:?}, expected {:?}", output.shape(), shape.1);
                return Err(Problem::node(&plain.node, reason));
            }
            memory.tensors[*index] = Some(output);
        }
        Ok(())
    }

    /// An output of the last run.
    pub fn output<'a>(&'a self, index: usize, memory: &'a Memory) -> View<'a> {
        match &self.outputs[index] {
            Output::Buffer(buffer, len, shape) => {
                View { shape, bytes: bytemuck::cast_slice(&memory.buffers[*buffer][..*len]) }
            }
            Output::Tensor(index) => match &memory.tensors[*index] {
                Some(tensor) => View { shape: tensor.shape(), bytes: tensor.bytes() },
                None => View { shape: &[], bytes: &[] },
            },
        }
    }
}

/// The operands of a step on integers.
struct StepOperands<'a, 'b> {
    plan: &'a Plan,
    step: &'a Step,
    inputs: &'b [View<'a>],
    memory: &'a Memory,
}

impl<'a> Operands<'a> for StepOperands<'a, '_> {
    fn bytes(&self, index: usize) -> &'a [u8] {
        let Some(&source) = self.step.reads.get(index) else { return &[] };
        &self.plan.bytes_of(source, self.inputs, self.memory)[..self.step.lens[index]]
    }

    fn floats(&self, index: usize) -> &'a [f32] {
        let Some(&source) = self.step.reads.get(index) else { return &[] };
        &self.plan.elements(source, self.inputs, self.memory)[..self.step.lens[index]]
    }
}

/// Whether the axes of a shape have too many elements, those of size 0 left out: loops over rows without elements would not end.
fn is_endless(shape: &[usize]) -> bool {
    let mut sizes = shape.iter().filter(|&&size| size > 0);
    let product = sizes.try_fold(1usize, |product, &size| product.checked_mul(size));
    product.is_none_or(|product| product > MOST_BYTES)
}
