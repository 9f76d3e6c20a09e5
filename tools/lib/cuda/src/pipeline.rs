//! Batches through a GPU, two at a time: while one is copied and computed, the next is read.

#![allow(unsafe_code, reason = "memory that the GPU copies to and from")]

use crate::{
    Result,
    gpu::{self, Gpu, Kernel, Number},
};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, PinnedHostSlice};
use kernels::RowError;
use std::{collections::VecDeque, sync::Arc};

/// Batches that are under way at a time.
pub const DEPTH: usize = 2;

/// Bytes of a batch, about: copying it takes ten times as long as starting the copy does.
pub const BATCH_BYTES: usize = 8 << 20;

/// Runs a kernel on batches, in order.
pub struct Pipeline<T: Number> {
    kernel: Kernel,
    function: CudaFunction,
    /// Those that are free.
    free: Vec<Slot<T>>,
    /// Those that are under way, the oldest first.
    busy: VecDeque<Slot<T>>,
}

/// A batch that is computed.
#[derive(Debug)]
pub struct Rows<'a, T> {
    /// What went in.
    pub input: &'a [T],
    /// What came out; where a row is refused, any numbers.
    pub output: &'a [T],
    /// The first row that is refused.
    pub refused: Option<RowError>,
}

impl<T: Number> Pipeline<T> {
    /// A pipeline without batches.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn new(gpu: &Gpu, kernel: Kernel) -> Result<Self> {
        let slots = (0..DEPTH).map(|_| Slot::new(gpu.context())).collect::<Result<_>>()?;
        Ok(Self { function: gpu.function::<T>(&kernel)?, kernel, free: slots, busy: VecDeque::new() })
    }

    /// Starts a batch of `inputs` numbers, which `fill` writes. At most [`DEPTH`] are under way.
    ///
    /// # Errors
    /// What `fill` says; or if the driver refuses.
    ///
    /// # Panics
    /// If so many are under way already; or the numbers are no whole rows.
    pub fn start<E: From<crate::Error>>(
        &mut self,
        inputs: usize,
        fill: impl FnOnce(&mut [T]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slot = self.free.pop().expect("a batch is finished before a third is started");
        let started = slot.start(&self.kernel, &self.function, inputs, fill);
        match started {
            Ok(()) => self.busy.push_back(slot),
            Err(_) => self.free.push(slot),
        }
        started
    }

    /// Waits for the oldest batch.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    ///
    /// # Panics
    /// If none is under way.
    pub fn finish(&mut self) -> Result<Rows<'_, T>> {
        let slot = self.busy.pop_front().expect("a batch is under way");
        self.free.insert(0, slot);
        self.free[0].finish(&self.kernel)
    }
}

/// The memory and the stream of a batch.
struct Slot<T: Number> {
    stream: Arc<CudaStream>,
    buffers: Option<Buffers<T>>,
    /// `[1]`, pinned: the first row that the CPU must compute.
    flag: PinnedHostSlice<u32>,
    device_flag: CudaSlice<u32>,
    /// Numbers of the batch that go in.
    inputs: usize,
}

/// Pinned memory of the CPU, and memory of the GPU.
struct Buffers<T> {
    input: PinnedHostSlice<T>,
    output: PinnedHostSlice<T>,
    device_input: CudaSlice<T>,
    device_output: CudaSlice<T>,
}

/// Pinned memory that the CPU reads too, so not write-combined.
fn pinned<T: Number>(context: &Arc<CudaContext>, length: usize) -> Result<PinnedHostSlice<T>> {
    // SAFETY: each number is written before it is read, and any bits are a number.
    Ok(unsafe { context.alloc_pinned_with_flags(length.max(1), 0) }?)
}

impl<T: Number> Slot<T> {
    fn new(context: &Arc<CudaContext>) -> Result<Self> {
        let stream = context.new_stream()?;
        // SAFETY: the number is written before it is read.
        let flag = unsafe { context.alloc_pinned_with_flags(1, 0) }?;
        Ok(Self { device_flag: stream.alloc_zeros(1)?, stream, buffers: None, flag, inputs: 0 })
    }

    fn start<E: From<crate::Error>>(
        &mut self,
        kernel: &Kernel,
        function: &CudaFunction,
        inputs: usize,
        fill: impl FnOnce(&mut [T]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reserve(inputs, kernel.outputs(inputs))?;
        self.inputs = inputs;
        let Some(buffers) = &mut self.buffers else { return Ok(()) };
        fill(&mut buffers.input.as_mut_slice().map_err(crate::Error::Driver)?[..inputs])?;
        Ok(self.enqueue(kernel, function)?)
    }

    /// Copies in, computes, copies out: asynchronously. The pinned memory is not touched until [`Slot::finish`] has waited.
    fn enqueue(&mut self, kernel: &Kernel, function: &CudaFunction) -> Result<()> {
        let Self { stream, flag, device_flag, buffers: Some(buffers), inputs } = self else { return Ok(()) };
        let (inputs, outputs) = (*inputs, kernel.outputs(*inputs));
        if inputs == 0 {
            return Ok(());
        }
        flag.as_mut_slice()?[0] = u32::MAX;
        stream.memcpy_htod(flag.as_slice()?, device_flag)?;
        stream.memcpy_htod(&buffers.input.as_slice()?[..inputs], &mut buffers.device_input.slice_mut(..inputs))?;
        let memory = (&buffers.device_input, &mut buffers.device_output, &mut *device_flag);
        gpu::call(function, kernel, stream, inputs, memory)?;
        stream.memcpy_dtoh(&buffers.device_output.slice(..outputs), &mut buffers.output.as_mut_slice()?[..outputs])?;
        stream.memcpy_dtoh(&*device_flag, flag.as_mut_slice()?)?;
        Ok(())
    }

    /// Waits. From the first row that the GPU flagged, the CPU computes and checks the rows.
    fn finish(&mut self, kernel: &Kernel) -> Result<Rows<'_, T>> {
        self.stream.synchronize()?;
        let outputs = kernel.outputs(self.inputs);
        let Some(buffers) = self.buffers.as_mut().filter(|_| self.inputs > 0) else {
            return Ok(Rows { input: &[], output: &[], refused: None });
        };
        let input = &buffers.input.as_slice()?[..self.inputs];
        let output = &mut buffers.output.as_mut_slice()?[..outputs];
        let flagged = self.flag.as_slice()?[0] as usize;
        let refused = match kernel {
            Kernel::Entropy { width, options } if flagged < outputs => {
                kernels::entropy_rows(&input[flagged * width..], *width, options, &mut output[flagged..])
                    .map_err(|error| RowError { row: flagged + error.row, ..error })
                    .err()
            }
            _ => None,
        };
        Ok(Rows { input, output, refused })
    }

    /// Memory for a batch; that of a larger one before is kept.
    fn reserve(&mut self, inputs: usize, outputs: usize) -> Result<()> {
        let fits = |buffers: &Buffers<T>| buffers.input.len() >= inputs && buffers.output.len() >= outputs;
        if self.buffers.as_ref().is_some_and(fits) {
            return Ok(());
        }
        self.buffers = None;
        let context = self.stream.context();
        self.buffers = Some(Buffers {
            input: pinned(context, inputs)?,
            output: pinned(context, outputs)?,
            device_input: self.stream.alloc_zeros(inputs.max(1))?,
            device_output: self.stream.alloc_zeros(outputs.max(1))?,
        });
        Ok(())
    }
}

impl<T: Number> Drop for Slot<T> {
    /// Pinned memory is freed only once the GPU is done with it.
    fn drop(&mut self) {
        let _ = self.stream.synchronize();
    }
}
