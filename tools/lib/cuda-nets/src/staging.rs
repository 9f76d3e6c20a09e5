//! Small arrays that go to the GPU with every step, through pinned memory, so that the copy does not wait for earlier work.

#![allow(unsafe_code, reason = "memory that the GPU copies from")]

use crate::{Gpu, Result};
use cudarc::driver::{CudaEvent, CudaSlice, DeviceRepr, PinnedHostSlice, ValidAsZeroBits};
use std::{iter, sync::Arc};

/// Copies under way at a time: while the GPU computes a batch, the next is drawn and uploaded.
const DEPTH: usize = 2;

/// An array on the GPU that is overwritten from the host.
pub(crate) struct Staged<T> {
    gpu: Arc<Gpu>,
    /// What it is, for errors: `targets`.
    what: &'static str,
    device: Option<CudaSlice<T>>,
    /// The one that is used next is the first.
    slots: Vec<Slot<T>>,
}

/// Pinned memory, and the end of the copy from it.
struct Slot<T> {
    memory: PinnedHostSlice<T>,
    copied: CudaEvent,
}

impl<T: DeviceRepr + ValidAsZeroBits + Copy> Staged<T> {
    pub fn new(gpu: &Arc<Gpu>, what: &'static str) -> Self {
        Self { gpu: gpu.clone(), what, device: None, slots: Vec::new() }
    }

    /// Overwrites the first elements of the array with `values`, in the order of the stream's work. Returns where they are; an
    /// empty array has an address too.
    pub fn upload(&mut self, values: &[T]) -> Result<u64> {
        self.reserve(values.len())?;
        let Some(device) = &mut self.device else { return Ok(0) };
        if !values.is_empty() {
            self.slots.rotate_left(1);
            if let Some(slot) = self.slots.last_mut() {
                slot.copied.synchronize()?;
                slot.memory.as_mut_slice()?[..values.len()].copy_from_slice(values);
                // The copy is as long as the pinned memory that it reads, of which the first values are of now.
                self.gpu.stream().memcpy_htod(&slot.memory.as_slice()?[..values.len()], device)?;
                slot.copied.record(self.gpu.stream())?;
            }
        }
        Ok(self.gpu.address(device))
    }

    /// Where the array is; 0 before the first upload.
    pub fn address(&self) -> u64 {
        self.device.as_ref().map_or(0, |device| self.gpu.address(device))
    }

    /// Room for `count` elements.
    fn reserve(&mut self, count: usize) -> Result<()> {
        if self.device.as_ref().is_some_and(|device| device.len() >= count) {
            return Ok(());
        }
        self.wait();
        (self.slots, self.device) = (Vec::new(), None);
        self.device = Some(self.gpu.zeros(self.what, count.max(1))?);
        self.slots = iter::repeat_with(|| Slot::new(&self.gpu, count.max(1))).take(DEPTH).collect::<Result<_>>()?;
        Ok(())
    }
}

impl<T> Staged<T> {
    /// Waits for the copies.
    fn wait(&self) {
        for slot in &self.slots {
            // An error of the device is also that of the next call.
            let _ = slot.copied.synchronize();
        }
    }
}

impl<T> Drop for Staged<T> {
    /// Pinned memory is freed only once nothing is copied from it.
    fn drop(&mut self) {
        self.wait();
    }
}

impl<T: DeviceRepr> Slot<T> {
    fn new(gpu: &Gpu, count: usize) -> Result<Self> {
        // SAFETY: each element is written before it is read.
        let memory = unsafe { gpu.context().alloc_pinned_with_flags(count, 0) }?;
        Ok(Self { memory, copied: gpu.stream().record_event(None)? })
    }
}
