//! Consecutive fully connected layers as one step: a block of rows passes all layers while it is in the L1 cache.

use super::{
    build::Built,
    step::{Kind, Source, Step},
};
use kernels::{Activation, Epilogue, gemm::FusedLinear};
use std::{mem, sync::Arc};

/// Rows of a block: a multiple of those of every tile.
const ROWS: usize = 48;
/// Most elements of the weights of all layers: half of an L2 cache of 2 MiB, as each block reads them.
const MAX_WEIGHTS: usize = 1 << 18;

/// Layers that follow each other.
#[derive(Debug)]
pub(super) struct Perceptron(Vec<(Arc<FusedLinear>, Activation)>);

impl Perceptron {
    fn weights(&self) -> usize {
        self.0.iter().map(|(layer, _)| layer.packed_len()).sum()
    }

    /// Elements of workspace of a thread: two blocks of the widest layer.
    pub fn workspace_len(&self) -> usize {
        let widest = self.0.iter().map(|(layer, _)| layer.outputs()).max();
        2 * ROWS * widest.unwrap_or(0)
    }

    /// Multiply-adds of a row.
    pub fn row_cost(&self) -> usize {
        self.0.iter().map(|(layer, _)| layer.inputs() * layer.outputs()).sum()
    }

    /// Features of the output.
    pub fn outputs(&self) -> usize {
        self.0.last().map_or(1, |(layer, _)| layer.outputs())
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub fn run(&self, input: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        let inputs = self.0.first().map_or(1, |(layer, _)| layer.inputs());
        let blocks = input.chunks(ROWS * inputs).zip(output.chunks_mut(ROWS * self.outputs()));
        parallel::parallel_for_with_workspace(blocks, workspace, self.workspace_len(), |(input, output), workspace| {
            self.run_block(input, output, workspace);
        });
    }

    fn run_block(&self, input: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        let rows = output.len() / self.outputs();
        let (mut from, mut to) = workspace.split_at_mut(workspace.len() / 2);
        for (index, (layer, activation)) in self.0.iter().enumerate() {
            let epilogue = Epilogue { bias: &[], residual: &[], activation: *activation };
            let source = if index == 0 { input } else { &from[..rows * layer.inputs()] };
            if index + 1 == self.0.len() {
                layer.run(source, epilogue, output);
            } else {
                layer.run(source, epilogue, &mut to[..rows * layer.outputs()]);
                mem::swap(&mut from, &mut to);
            }
        }
    }
}

/// Joins layers of which nothing else reads what lies between.
pub(super) fn join(built: &mut Built) {
    let mut readers = vec![0usize; built.buffers.len()];
    let outputs = built.outputs.iter().map(|(source, _)| source);
    for source in built.steps.iter().flat_map(|step| &step.reads).chain(outputs) {
        if let Source::Buffer(value) = source {
            readers[*value] += 1;
        }
    }
    let mut joined: Vec<Step> = Vec::with_capacity(built.steps.len());
    for step in mem::take(&mut built.steps) {
        match joined.pop() {
            Some(previous) if follows(&previous, &step, &readers) => joined.push(append(previous, step)),
            previous => joined.extend(previous.into_iter().chain([step])),
        }
    }
    built.steps = joined;
}

/// Whether a step is a layer that alone reads what the previous one, also a layer, writes.
fn follows(previous: &Step, step: &Step, readers: &[usize]) -> bool {
    let weights = match &previous.kind {
        Kind::Linear(layer, _) => layer.packed_len(),
        Kind::Perceptron(layers) => layers.weights(),
        _ => return false,
    };
    let Kind::Linear(layer, _) = &step.kind else { return false };
    let (&[_], &[Source::Buffer(value)], Some((written, len))) =
        (previous.reads.as_slice(), step.reads.as_slice(), previous.write)
    else {
        return false;
    };
    let fits = weights + layer.packed_len() <= MAX_WEIGHTS && len == step.lens[0];
    value == written && readers[value] == 1 && fits && rows(previous) == rows(step)
}

fn rows(step: &Step) -> Option<usize> {
    let len = step.write?.1;
    match &step.kind {
        Kind::Linear(layer, _) => len.checked_div(layer.outputs()),
        Kind::Perceptron(layers) => len.checked_div(layers.outputs()),
        _ => None,
    }
}

fn append(previous: Step, step: Step) -> Step {
    let mut layers = match previous.kind {
        Kind::Perceptron(layers) => layers,
        Kind::Linear(layer, activation) => Perceptron(vec![(layer, activation)]),
        _ => Perceptron(Vec::new()),
    };
    if let Kind::Linear(layer, activation) = step.kind {
        layers.0.push((layer, activation));
    }
    Step { kind: Kind::Perceptron(layers), reads: previous.reads, lens: previous.lens, ..step }
}
