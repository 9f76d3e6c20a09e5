//! A GPU with the kernels, and calls of them.

#![allow(unsafe_code, reason = "calls of kernels, whose arguments are checked here")]

use crate::{
    Result,
    cache::Cache,
    driver,
    nvrtc::{Capability, Nvrtc},
    source::{self, Program},
};
use cudarc::{
    driver::{
        CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DeviceRepr, PushKernelArg, ValidAsZeroBits,
    },
    nvrtc::Ptx,
};
use kernels::{EntropyOptions, Real, RowChecks};
use std::{path::Path, sync::Arc};

/// A GPU, and the kernels compiled for it.
#[derive(Clone)]
pub struct Gpu {
    context: Arc<CudaContext>,
    module: Arc<CudaModule>,
}

/// `f32` or `f64`, on both sides.
pub trait Number: Real + DeviceRepr + ValidAsZeroBits {}

impl Number for f32 {}
impl Number for f64 {}

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// The entropy of each row of `width` elements: [`kernels::entropy_rows`].
    Entropy {
        /// Elements of a row, from 1 to [`source::MAX_ROWS`].
        width: usize,
        /// Base, normalization and tolerance.
        options: EntropyOptions,
    },
    /// [`kernels::leaky_relu`] of each element, with this slope.
    Relu {
        /// Factor on negative elements.
        slope: f64,
    },
}

impl Kernel {
    /// Numbers that come out where `inputs` go in.
    ///
    /// # Panics
    /// If they are no whole rows, or more than [`source::MAX_ROWS`].
    pub fn outputs(&self, inputs: usize) -> usize {
        match self {
            Self::Relu { .. } => inputs,
            Self::Entropy { width, .. } => {
                let rows = inputs / width;
                assert!(inputs.is_multiple_of(*width), "{inputs} numbers for rows of {width}");
                assert!(rows.max(*width) <= source::MAX_ROWS, "{rows} rows of {width}");
                rows
            }
        }
    }
}

impl Gpu {
    /// GPU number `number`, with the kernels of the cache, or else those that NVRTC compiles: the library at `nvrtc`, or the
    /// first that is found.
    ///
    /// # Errors
    /// If there is no driver or no such GPU, or the kernels cannot be compiled or loaded.
    pub fn open(number: u32, nvrtc: Option<&Path>) -> Result<Self> {
        let context = driver::open(number)?;
        let module = load(&context, &source::program(), nvrtc, &Cache::of_user())?;
        Ok(Self { context, module })
    }

    /// Its name, `NVIDIA H200`.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn name(&self) -> Result<String> {
        Ok(self.context.name()?)
    }

    /// The driver's context.
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// The function of a kernel for numbers of type `T`.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn function<T: Number>(&self, kernel: &Kernel) -> Result<CudaFunction> {
        let size = size_of::<T>();
        let name = match kernel {
            Kernel::Entropy { width, options } => source::entropy_name(*width, size, options.normalize),
            Kernel::Relu { .. } => source::relu_name(size),
        };
        Ok(self.module.load_function(&name)?)
    }
}

/// A program's kernels on a GPU: those of `cache`, or else those that NVRTC compiles, the library at `nvrtc`, or the first that
/// is found.
///
/// # Errors
/// If the kernels cannot be compiled or loaded.
pub fn load(
    context: &Arc<CudaContext>,
    program: &Program,
    nvrtc: Option<&Path>,
    cache: &Cache,
) -> Result<Arc<CudaModule>> {
    let (text, capability) = (program.cuda(), capability(context)?);
    let image = cache.get(&text, capability, || {
        let nvrtc = Nvrtc::load(nvrtc)?;
        nvrtc.compile(&text, &nvrtc.architecture(capability))
    })?;
    Ok(context.load_module(Ptx::from_binary(image.0))?)
}

fn capability(context: &CudaContext) -> Result<Capability> {
    let (major, minor) = context.compute_capability()?;
    Ok(Capability(major.unsigned_abs(), minor.unsigned_abs()))
}

/// Calls `function`, the kernel's for `T`, on `stream`, for the first `inputs` numbers of `input`. `flag` gets the first row
/// that the CPU must compute, if that is below what it has.
///
/// # Errors
/// If the driver refuses.
///
/// # Panics
/// If the buffers are too short, or as [`Kernel::outputs`].
pub fn call<T: Number>(
    function: &CudaFunction,
    kernel: &Kernel,
    stream: &Arc<CudaStream>,
    inputs: usize,
    (input, output, flag): (&CudaSlice<T>, &mut CudaSlice<T>, &mut CudaSlice<u32>),
) -> Result<()> {
    let outputs = kernel.outputs(inputs);
    assert!(input.len() >= inputs && output.len() >= outputs && !flag.is_empty(), "buffers of the call");
    if inputs == 0 {
        return Ok(());
    }
    let mut call = stream.launch_builder(function);
    match kernel {
        Kernel::Entropy { width, options } => {
            let (rows, width_number) = (outputs as u32, *width as u32);
            let RowChecks { tolerance, tiny, divisor } = RowChecks::<T>::new(*width, options);
            call.arg(input).arg(&rows).arg(&width_number).arg(&tolerance).arg(&tiny).arg(&divisor);
            call.arg(output).arg(flag);
            // SAFETY: the arguments are those of the kernels in entropy.cu, in their order. They read `rows · width` elements
            // of `input`, and write `rows` of `output` and one of `flag`.
            unsafe { call.launch(source::entropy_grid(outputs, *width, size_of::<T>()).into()) }?;
        }
        Kernel::Relu { slope } => {
            let (count, slope) = (inputs as u64, T::from_f64(*slope));
            call.arg(input).arg(&count).arg(&slope).arg(output);
            // SAFETY: the arguments are those of the kernels in relu.cu, which read and write `count` elements.
            unsafe { call.launch(source::relu_grid(inputs, size_of::<T>()).into()) }?;
        }
    }
    Ok(())
}
