//! The types of activations.

use crate::{Gpu, Result};
use cudarc::driver::CudaSlice;
use serde::{Deserialize, Serialize};

/// What a network is computed in. Parameters, their gradients, batch statistics, sums and the loss are `f32` with each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `f32`, products too.
    #[default]
    F32,
    /// `f32`, whose convolutions and matrix products round their factors to the 10 fraction bits that tensor cores take.
    Tf32,
    /// Activations in `bf16`: half the memory and its traffic, and tensor cores.
    Bf16,
}

impl Precision {
    /// The type of activations.
    pub fn element(self) -> Element {
        match self {
            Self::F32 | Self::Tf32 => Element::F32,
            Self::Bf16 => Element::Bf16,
        }
    }
}

/// The type of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// `f32`
    F32,
    /// `bf16`
    Bf16,
}

impl Element {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// How the names of its kernels end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Activations on a GPU: NHWC, `[rows, height, width, channels]`, or `[rows, features]`.
#[derive(Debug)]
pub struct Activations {
    bytes: CudaSlice<u8>,
    element: Element,
}

impl Activations {
    /// Room for `count` elements of any values.
    ///
    /// # Errors
    /// If the GPU's memory has no room for them.
    pub fn new(gpu: &Gpu, element: Element, count: usize) -> Result<Self> {
        Ok(Self { bytes: gpu.zeros("activations", count * element.size())?, element })
    }

    /// The type of an element.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Elements that there is room for.
    pub fn capacity(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// The memory.
    pub fn bytes(&self) -> &CudaSlice<u8> {
        &self.bytes
    }

    /// The memory.
    pub fn bytes_mut(&mut self) -> &mut CudaSlice<u8> {
        &mut self.bytes
    }
}
