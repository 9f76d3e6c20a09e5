//! A GPU with this crate's kernels, and calls of them.

#![allow(unsafe_code, reason = "calls of kernels, whose callers say why their arguments are right")]

use crate::{Error, Result, cublas::Cublas, cudnn::Cudnn, source};
use cuda::{Cache, source::Grid};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, PushKernelArg, ValidAsZeroBits,
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Where libraries are. None searches for one.
#[derive(Debug, Clone, Default)]
pub struct Libraries {
    /// NVRTC.
    pub nvrtc: Option<PathBuf>,
    /// cuBLAS.
    pub cublas: Option<PathBuf>,
    /// cuDNN.
    pub cudnn: Option<PathBuf>,
    /// The folder of compiled kernels. None is the user's.
    pub cache: Option<PathBuf>,
}

/// A GPU, a stream that all work is done on in order, and the kernels.
pub struct Gpu {
    // First, as their handles end before the context does.
    cublas: Mutex<Cublas>,
    cudnn: Mutex<Cudnn>,
    /// By name.
    kernels: HashMap<String, CudaFunction>,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

/// An argument of a kernel, of the type that its text has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument {
    /// A pointer, or `unsigned long long`.
    U64(u64),
    /// `unsigned`
    U32(u32),
    /// `float`
    F32(f32),
    /// `double`
    F64(f64),
}

impl Gpu {
    /// GPU number `number`.
    ///
    /// # Errors
    /// If there is no driver or no such GPU, or a library is missing, or the kernels cannot be compiled or loaded.
    pub fn open(number: u32, libraries: &Libraries) -> Result<Arc<Self>> {
        let context = cuda::open(number)?;
        // SAFETY: all work of this context's, and the end of its memory, is on the one stream.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        // Before the kernels: the message of a missing library names the compiler's package too.
        let cublas = Mutex::new(Cublas::open(libraries.cublas.as_deref(), &stream)?);
        let cudnn = Mutex::new(Cudnn::open(libraries.cudnn.as_deref(), &stream)?);
        let program = source::program();
        let cache = libraries.cache.as_deref().map_or_else(Cache::of_user, Cache::in_folder);
        let module = cuda::load(&context, &program, libraries.nvrtc.as_deref(), &cache)?;
        let kernel = |name: &str| Ok((name.to_owned(), module.load_function(name)?));
        let kernels = program.kernels().into_iter().map(kernel).collect::<Result<_>>()?;
        Ok(Arc::new(Self { context, stream, kernels, cublas, cudnn }))
    }

    /// cuBLAS, for calls of this thread.
    pub(crate) fn cublas(&self) -> Result<MutexGuard<'_, Cublas>> {
        self.context.bind_to_thread()?;
        Ok(self.cublas.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// cuDNN, for calls of this thread.
    pub(crate) fn cudnn(&self) -> Result<MutexGuard<'_, Cudnn>> {
        self.context.bind_to_thread()?;
        Ok(self.cudnn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies to the GPU; `what` names the memory in an error.
    ///
    /// # Errors
    /// If the GPU's memory has no room.
    pub fn upload<T: DeviceRepr>(&self, what: &'static str, values: &[T]) -> Result<CudaSlice<T>> {
        let failed = |error| Error::of_allocation(error, what, size_of_val(values));
        self.stream.clone_htod(values).map_err(failed)
    }

    /// Zeros on the GPU, at least one; `what` names the memory in an error.
    ///
    /// # Errors
    /// If the GPU's memory has no room.
    pub fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, what: &'static str, count: usize) -> Result<CudaSlice<T>> {
        let failed = |error| Error::of_allocation(error, what, count.saturating_mul(size_of::<T>()));
        self.stream.alloc_zeros(count.max(1)).map_err(failed)
    }

    /// The first `count` elements of a buffer. Waits for the GPU.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    pub fn download<T: DeviceRepr + Clone>(&self, from: &CudaSlice<T>, count: usize) -> Result<Vec<T>> {
        let values = self.stream.clone_dtoh(&from.slice(..count))?;
        self.stream.synchronize()?;
        Ok(values)
    }

    /// The driver's context.
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// The stream that all work is done on.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Where a buffer begins in the GPU's memory.
    pub fn address<T>(&self, buffer: &CudaSlice<T>) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    /// Overwrites `bytes` bytes with 0.
    ///
    /// # Errors
    /// If the driver refuses.
    ///
    /// # Safety
    /// They are in a buffer that lives until the stream is done with it.
    pub(crate) unsafe fn fill_zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.context.bind_to_thread()?;
        // SAFETY: as the caller says.
        unsafe { cudarc::driver::result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) }?;
        Ok(())
    }

    /// Starts a kernel. An empty grid is no call.
    ///
    /// # Errors
    /// If the driver refuses.
    ///
    /// # Panics
    /// If there is no kernel of this name.
    ///
    /// # Safety
    /// The arguments are those of the kernel's text, and the memory that it reads and writes for this grid is that of
    /// buffers which live until the stream is done with it.
    pub unsafe fn launch(&self, name: &str, grid: Grid, arguments: &[Argument]) -> Result<()> {
        if grid.blocks == 0 {
            return Ok(());
        }
        let kernel = self.kernels.get(name).unwrap_or_else(|| panic!("no kernel {name}"));
        let mut call = self.stream.launch_builder(kernel);
        for argument in arguments {
            match argument {
                Argument::U64(x) => call.arg(x),
                Argument::U32(x) => call.arg(x),
                Argument::F32(x) => call.arg(x),
                Argument::F64(x) => call.arg(x),
            };
        }
        // SAFETY: as the caller says.
        unsafe { call.launch(grid.into()) }?;
        Ok(())
    }
}

macro_rules! arguments {
    ($($variant:ident $type:ty),*) => {
        $(impl From<$type> for Argument {
            fn from(x: $type) -> Self {
                Self::$variant(x)
            }
        })*
    };
}

arguments!(U64 u64, U32 u32, F32 f32, F64 f64);
