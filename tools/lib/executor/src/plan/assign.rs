//! The memory plan: buffers that values share whose lifetimes do not overlap.

use super::{
    build::Built,
    run::{Input, Output, Plan},
    step::{Shape, Source},
};
use crate::slots::Slots;
use onnx::Problem;

/// An input of a type and shape.
pub(super) fn input(name: &str, (dtype, shape): Shape) -> Result<Input, Problem> {
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let len = elements.and_then(|elements| elements.checked_mul(onnx::bits(dtype)?)).map(|bits| bits / 8);
    let len =
        len.ok_or_else(|| Problem::tensor(name, format!("an input of shape {shape:?}, which is not supported")))?;
    Ok(Input { name: name.into(), dtype, shape, len })
}

/// What no step has read for the last time.
const KEPT: usize = usize::MAX;

/// Shares the buffers of a plan's values.
pub(super) fn assign(mut built: Built, inputs: Vec<Input>, threads: usize) -> Plan {
    let (last_buffers, last_tensors) = last_reads(&built);
    let mut slots = Slots::default();
    // Of each value.
    let mut slot_of = vec![None; built.buffers.len()];
    for (index, step) in built.steps.iter_mut().enumerate() {
        if step.kind.commutes()
            && !dies(&step.reads[0], index, &last_buffers)
            && dies(&step.reads[1], index, &last_buffers)
        {
            step.reads.swap(0, 1);
        }
        let in_place = step.kind.is_in_place()
            && step.reads.iter().filter(|&&read| read == step.reads[0]).count() == 1
            && dies(&step.reads[0], index, &last_buffers);
        let dying: Vec<usize> = step
            .reads
            .iter()
            .filter_map(|read| match read {
                Source::Buffer(value) if last_buffers[*value] == index => Some(*value),
                _ => None,
            })
            .collect();
        let mut inherited = None;
        if let Some((value, len)) = step.write {
            let slot = match step.reads.first() {
                Some(Source::Buffer(from)) if in_place => {
                    inherited = Some(*from);
                    slot_of[*from].unwrap_or_default()
                }
                _ => slots.take(len),
            };
            slot_of[value] = Some(slot);
        }
        let mut freed: Vec<usize> = dying.into_iter().filter(|value| Some(*value) != inherited).collect();
        freed.sort_unstable();
        freed.dedup();
        freed.iter().filter_map(|value| slot_of[*value]).for_each(|slot| slots.release(slot));
        for read in &mut step.reads {
            if let Source::Buffer(value) = read {
                *value = slot_of[*value].unwrap_or_default();
            }
        }
        if let Some((value, _)) = &mut step.write {
            let written = *value;
            *value = slot_of[written].unwrap_or_default();
            if last_buffers[written] == index {
                slots.release(*value);
            }
        }
    }
    for (tensor, &last) in last_tensors.iter().enumerate().filter(|(_, last)| **last != KEPT) {
        built.steps[last].frees.push(tensor);
    }
    let output = |(source, shape): (Source, Vec<usize>)| match source {
        Source::Tensor(index) => Output::Tensor(index),
        Source::Buffer(value) => Output::Buffer(slot_of[value].unwrap_or_default(), built.buffers[value], shape),
        Source::Input(_) | Source::Constant(_) => Output::Tensor(usize::MAX),
    };
    let outputs = built.outputs.into_iter().map(output).collect();
    let workspace = built.steps.iter().map(|step| step.kind.workspace_len(threads)).max().unwrap_or(0);
    let costs = built.steps.iter().map(|step| step.kind.cost(step.write.map_or(0, |(_, len)| len)));
    Plan {
        inputs,
        cost: costs.fold(0, usize::saturating_add),
        steps: built.steps,
        buffers: slots.into_lens(),
        tensors: built.tensors,
        tensor_bytes: built.tensor_bytes,
        constants: built.constants,
        workspace,
        outputs,
    }
}

/// Whether a step is the last to read a value that lies in a buffer.
fn dies(source: &Source, step: usize, last: &[usize]) -> bool {
    matches!(source, Source::Buffer(value) if last[*value] == step)
}

/// The step that reads each buffer, and each tensor, last: the one that writes it if none does.
fn last_reads(built: &Built) -> (Vec<usize>, Vec<usize>) {
    let (mut buffers, mut tensors) = (vec![0; built.buffers.len()], vec![0; built.tensors]);
    let mut read = |source: &Source, step: usize| match source {
        Source::Buffer(value) => buffers[*value] = step,
        Source::Tensor(value) => tensors[*value] = step,
        Source::Input(_) | Source::Constant(_) => {}
    };
    for (index, step) in built.steps.iter().enumerate() {
        step.written().iter().chain(&step.reads).for_each(|source| read(source, index));
    }
    built.outputs.iter().for_each(|(source, _)| read(source, KEPT));
    (buffers, tensors)
}
