//! The GPU's memory of a network: one arena for what depends on the number of rows, and what does not.

use super::plan::{Buffer, Op, Plan, assign};
use crate::{Element, Gpu, Result, calls::Tiling};
use cudarc::driver::CudaSlice;
use std::collections::HashMap;

/// As cuMemAlloc aligns.
const ALIGNMENT: usize = 256;
/// Most elements of a segment of a weight.
const SEGMENT: usize = 2048;

/// Where buffers are in the arena.
#[derive(Debug)]
pub(super) struct Layout {
    slot_of: HashMap<BufferKey, usize>,
    /// Bytes of each slot for a row.
    sizes: Vec<usize>,
    /// Of each slot, for the rows at hand.
    offsets: Vec<u64>,
}

/// [`Buffer`], as a key.
type BufferKey = (u8, usize);

fn key(buffer: Buffer) -> BufferKey {
    match buffer {
        Buffer::Value(value) => (0, value),
        Buffer::Gradient(value) => (1, value),
        Buffer::Narrow => (2, 0),
    }
}

impl Layout {
    pub fn new(plan: &Plan, training: bool) -> Self {
        let (buffers, intervals): (Vec<_>, Vec<_>) = plan.buffers(training).into_iter().unzip();
        let (slots, sizes) = assign(&intervals);
        let slot_of = buffers.into_iter().map(key).zip(slots).collect();
        Self { slot_of, offsets: vec![0; sizes.len()], sizes }
    }

    /// Divides an arena for `rows` rows; returns its bytes.
    pub fn divide(&mut self, rows: usize) -> usize {
        let mut end = 0;
        for (offset, size) in self.offsets.iter_mut().zip(&self.sizes) {
            *offset = end as u64;
            end += (size * rows).next_multiple_of(ALIGNMENT);
        }
        end
    }

    /// A buffer's offset in the arena.
    pub fn offset(&self, buffer: Buffer) -> u64 {
        self.offsets[self.slot_of[&key(buffer)]]
    }
}

/// A buffer that grows.
pub(super) struct Grown<T> {
    what: &'static str,
    buffer: Option<CudaSlice<T>>,
}

impl<T: cudarc::driver::DeviceRepr + cudarc::driver::ValidAsZeroBits> Grown<T> {
    pub fn new(what: &'static str) -> Self {
        Self { what, buffer: None }
    }

    /// Room for `count` elements: of any values, if it had less.
    pub fn reserve(&mut self, gpu: &Gpu, count: usize) -> Result<&mut CudaSlice<T>> {
        if self.buffer.as_ref().is_none_or(|buffer| buffer.len() < count) {
            // The old one first: both may not fit.
            self.buffer = None;
        }
        let buffer = match self.buffer.take() {
            Some(buffer) => buffer,
            None => gpu.zeros(self.what, count)?,
        };
        Ok(self.buffer.insert(buffer))
    }

    pub fn get(&self) -> Option<&CudaSlice<T>> {
        self.buffer.as_ref()
    }

    /// 0 where nothing was reserved.
    pub fn address(&self, gpu: &Gpu) -> u64 {
        self.buffer.as_ref().map_or(0, |buffer| gpu.address(buffer))
    }
}

/// What does not depend on the number of rows.
pub(super) struct Fixed {
    /// Weights `[outputs, area, inputs]`, in the type of activations.
    pub packed: CudaSlice<u8>,
    /// Their gradients: of convolutions.
    pub packed_gradients: CudaSlice<u8>,
    /// Of norms: `[2, channels]` each, one after another.
    pub statistics: CudaSlice<f32>,
    /// Where each norm's are.
    pub statistics_at: Vec<usize>,
    pub partials: CudaSlice<f32>,
    /// `[2, channels]` of the norm at hand.
    pub sums: CudaSlice<f32>,
    /// All weights, and those whose gradients are packed.
    pub segments: CudaSlice<Segment>,
    pub segment_count: usize,
    pub gradient_segments: CudaSlice<Segment>,
    pub gradient_segment_count: usize,
}

/// As layout.cu has it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    parameter: u64,
    packed: u64,
    inputs: u32,
    area: u32,
    first: u32,
    count: u32,
}

#[allow(unsafe_code, reason = "a struct that kernels read")]
// SAFETY: numbers without padding, in the order and types of layout.cu.
unsafe impl cudarc::driver::DeviceRepr for Segment {}

impl Fixed {
    pub fn new(gpu: &Gpu, plan: &Plan, element: Element) -> Result<Self> {
        let packed = plan.weights.last().map_or(0, |last| last.packed + last.range.len()).next_multiple_of(8);
        let (mut statistics_at, mut statistics, mut channels) = (vec![], 0, 1);
        for step in &plan.steps {
            let of_step = plan.values[step.output].channels();
            channels = channels.max(of_step);
            if let Op::Norm(_) = step.op {
                statistics_at.push(statistics);
                statistics += 2 * of_step;
            }
        }
        let partials =
            plan.steps.iter().map(|step| Tiling::capacity(plan.values[step.output].channels())).max().unwrap_or(0);
        let all = segments(plan, |_| true);
        let of_gradients = segments(plan, |weight| weight.packed_gradient && weight.trainable);
        let upload = |segments: &[Segment]| {
            let none = Segment { parameter: 0, packed: 0, inputs: 1, area: 1, first: 0, count: 0 };
            // There is no memory of no bytes.
            gpu.upload("weights", if segments.is_empty() { std::slice::from_ref(&none) } else { segments })
        };
        Ok(Self {
            packed: gpu.zeros("weights", packed * element.size())?,
            packed_gradients: gpu.zeros("gradients", packed * element.size())?,
            statistics: gpu.zeros("statistics", statistics)?,
            statistics_at,
            partials: gpu.zeros("partial sums", partials)?,
            sums: gpu.zeros("partial sums", 2 * channels)?,
            segment_count: all.len(),
            segments: upload(&all)?,
            gradient_segment_count: of_gradients.len(),
            gradient_segments: upload(&of_gradients)?,
        })
    }
}

fn segments(plan: &Plan, which: impl Fn(&super::plan::Weight) -> bool) -> Vec<Segment> {
    let of_weight = |weight: &super::plan::Weight| {
        let (parameter, packed) = (weight.range.start as u64, weight.packed as u64);
        let (inputs, area, length) = (weight.inputs as u32, weight.area as u32, weight.range.len());
        let starts = (0..length).step_by(SEGMENT);
        let segment = move |first: usize| {
            let count = (length - first).min(SEGMENT);
            Segment { parameter, packed, inputs, area, first: first as u32, count: count as u32 }
        };
        starts.map(segment)
    };
    plan.weights.iter().filter(|weight| which(weight)).flat_map(of_weight).collect()
}
