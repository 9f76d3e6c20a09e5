//! Running an engine on a GPU.
//!
//! Not run so far: the machines that this was written on have no GPU, or one (SM 90) that TensorRT-RTX has no code for.

use crate::{Error, Library, Log, Result, build::dims, device};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use std::{ffi::c_void, sync::Arc};
use trt_protocol::{TensorInfo, arrays};
use trtx::{CudaEngine, DataType, ExecutionContext, Logger, Runtime};

/// A loaded engine, with its GPU. Fields are dropped in this order: what TensorRT made, before what it was made from.
pub struct Engine {
    context: ExecutionContext<'static>,
    #[cfg(not(feature = "enterprise"))]
    cache: Option<Arc<trtx::RuntimeCache>>,
    _engine: CudaEngine<'static>,
    _runtime: Runtime<'static>,
    stream: Arc<CudaStream>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    log: Log,
}

/// Outputs of a run: their shapes, and the elements of one after the other.
pub type Outputs = (Vec<Vec<i64>>, Vec<u8>);

impl Engine {
    /// Loads a serialized engine on GPU number `device`. `cache` has kernels that an earlier process compiled; None where
    /// none are kept.
    ///
    /// # Errors
    /// When there is no driver or GPU; or the bytes are no engine, or one for another GPU or version.
    pub fn load(_: &Library, log: &Log, bytes: &[u8], device: u32, cache: Option<&[u8]>) -> Result<Self> {
        let stream = device::open(device)?.default_stream();
        let failed = |e: trtx::Error| log.error(&e);
        // A process loads one engine and ends with it: the logger, which all of TensorRT's objects point to, lives as long.
        let logger: &'static Logger = Box::leak(Box::new(log.logger().map_err(failed)?));
        let mut runtime = Runtime::new(logger).map_err(failed)?;
        let mut engine = runtime.deserialize_cuda_engine(bytes).map_err(failed)?;
        let (inputs, outputs) = tensors(&engine, log)?;
        #[cfg(not(feature = "enterprise"))]
        let (context, cache) = with_cache(&mut engine, cache).map_err(failed)?;
        #[cfg(feature = "enterprise")]
        let context = {
            let _ = cache; // TensorRT 11 compiles when it builds
            engine.create_execution_context().map_err(failed)?
        };
        Ok(Self {
            context,
            #[cfg(not(feature = "enterprise"))]
            cache,
            _engine: engine,
            _runtime: runtime,
            stream,
            inputs,
            outputs,
            log: log.clone(),
        })
    }

    /// The inputs, in the order of [`Engine::run`].
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The outputs, in the order of [`Engine::run`].
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Runs the engine on inputs of these shapes, whose elements follow each other in `data`, row-major and little-endian.
    ///
    /// # Errors
    /// When shapes and data do not fit the inputs or each other, or the GPU refuses.
    pub fn run(&mut self, shapes: &[Vec<i64>], data: &[u8]) -> Result<Outputs> {
        let arrays = arrays::split(&self.inputs, shapes, data)?;
        let mut buffers = Vec::new();
        for ((tensor, shape), array) in self.inputs.iter().zip(shapes).zip(arrays) {
            let name = &tensor.name;
            let wrong = || Error::Engine(format!("input {name:?}: shape {shape:?} is outside the engine's profile"));
            self.context.set_input_shape(name, &dims(shape).ok_or_else(wrong)?).map_err(|_| wrong())?;
            // The GPU has no arrays of nothing.
            let array = if array.is_empty() { &[0] } else { array };
            buffers.push(self.stream.clone_htod(array).map_err(device::failed)?);
        }
        let shapes = self.output_shapes()?;
        let mut results = Vec::new();
        for (tensor, shape) in self.outputs.iter().zip(&shapes) {
            let bytes = tensor.byte_length(shape)?;
            results.push((self.stream.alloc_zeros::<u8>(bytes.max(1)).map_err(device::failed)?, bytes));
        }
        self.enqueue(&buffers, &mut results)?;
        let mut data = Vec::new();
        for (buffer, bytes) in &results {
            let mut array = vec![0; buffer.len()];
            self.stream.memcpy_dtoh(buffer, &mut array).map_err(device::failed)?;
            self.stream.synchronize().map_err(device::failed)?;
            data.extend_from_slice(&array[..*bytes]);
        }
        Ok((shapes, data))
    }

    /// Kernels that were compiled for this GPU, for the next process; None where none are kept.
    #[cfg(not(feature = "enterprise"))]
    pub fn cache(&self) -> Option<Vec<u8>> {
        self.cache.as_ref()?.serialize().ok().map(|bytes| bytes.to_vec())
    }

    /// None: TensorRT 11 compiles when it builds.
    #[cfg(feature = "enterprise")]
    pub fn cache(&self) -> Option<Vec<u8>> {
        None
    }

    fn output_shapes(&self) -> Result<Vec<Vec<i64>>> {
        let shape = |tensor: &TensorInfo| {
            let name = &tensor.name;
            let dims = self.context.tensor_shape(name).map_err(|e| self.log.error(&e))?;
            let shape = usize::try_from(dims.nbDims).ok().and_then(|rank| dims.d.get(..rank));
            match shape {
                Some(shape) if shape.iter().all(|dim| *dim >= 0) => Ok(shape.to_vec()),
                _ => Err(Error::Engine(format!(
                    "output {name:?}: its shape depends on the data, which is not supported"
                ))),
            }
        };
        self.outputs.iter().map(shape).collect()
    }

    #[allow(unsafe_code, reason = "functions of TensorRT that take addresses on the GPU")]
    fn enqueue(&mut self, inputs: &[CudaSlice<u8>], outputs: &mut [(CudaSlice<u8>, usize)]) -> Result<()> {
        let stream = self.stream.clone();
        for (tensor, buffer) in self.inputs.iter().zip(inputs) {
            let (address, _read) = buffer.device_ptr(&stream);
            // SAFETY: `buffer` is on the GPU, has the bytes of the input's shape, and outlives the run, which `run` waits for.
            unsafe { self.context.set_input_tensor_address(&tensor.name, address as *const c_void) }
                .map_err(|e| self.log.error(&e))?;
        }
        for (tensor, (buffer, _)) in self.outputs.iter().zip(outputs) {
            let (address, _write) = buffer.device_ptr_mut(&stream);
            // SAFETY: as above, for the shape that TensorRT gives the output.
            unsafe { self.context.set_output_tensor_address(&tensor.name, address as *mut c_void) }
                .map_err(|e| self.log.error(&e))?;
        }
        // SAFETY: all inputs and outputs have addresses, and the stream is of the context that the engine was loaded in.
        unsafe { self.context.enqueue_v3(stream.cu_stream().cast()) }.map_err(|e| self.log.error(&e))
    }
}

#[cfg(not(feature = "enterprise"))]
type Cached = (ExecutionContext<'static>, Option<Arc<trtx::RuntimeCache>>);

/// A context, with a cache of compiled kernels if one is kept. Kernels of another GPU or version count as none.
#[cfg(not(feature = "enterprise"))]
fn with_cache(engine: &mut CudaEngine<'static>, kernels: Option<&[u8]>) -> trtx::Result<Cached> {
    let Some(kernels) = kernels else { return Ok((engine.create_execution_context()?, None)) };
    let mut config = engine.create_runtime_config()?;
    let cache = Arc::new(config.create_runtime_cache()?);
    if !kernels.is_empty() {
        // What does not fit is compiled anew.
        let _ = cache.deserialize(kernels);
    }
    config.set_runtime_cache(cache.clone())?;
    let context = engine.create_execution_context_with_config(std::rc::Rc::new(config))?;
    Ok((context, Some(cache)))
}

/// Inputs and outputs.
fn tensors(engine: &CudaEngine<'_>, log: &Log) -> Result<(Vec<TensorInfo>, Vec<TensorInfo>)> {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    let failed = |e: trtx::Error| log.error(&e);
    for index in 0..engine.nb_io_tensors().map_err(failed)? {
        let name = engine.io_tensor_name(index).map_err(failed)?;
        if engine.is_shape_inference_io(&name).map_err(failed)? {
            return Err(Error::Engine(format!("{name:?} is a shape as a tensor, which is not supported")));
        }
        let dtype = engine.tensor_data_type(&name).map_err(failed)?;
        let dtype = type_name(&dtype)
            .ok_or_else(|| Error::Engine(format!("{name:?} has elements of type {dtype:?}, which is not supported")))?;
        let shape = engine.tensor_shape(&name).map_err(failed)?;
        let is_input = matches!(engine.tensor_io_mode(&name).map_err(failed)?, trtx::TensorIOMode::kINPUT);
        let tensor = TensorInfo { name, dtype: dtype.into(), shape };
        if is_input { inputs.push(tensor) } else { outputs.push(tensor) }
    }
    Ok((inputs, outputs))
}

/// The name of a type; None for one with elements of less than a byte.
fn type_name(dtype: &DataType) -> Option<&'static str> {
    Some(match dtype {
        DataType::kFLOAT => "float32",
        DataType::kHALF => "float16",
        DataType::kBF16 => "bfloat16",
        DataType::kINT8 => "int8",
        DataType::kUINT8 => "uint8",
        DataType::kBOOL => "bool",
        DataType::kINT32 => "int32",
        DataType::kINT64 => "int64",
        _ => return None,
    })
}
