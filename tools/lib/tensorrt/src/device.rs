//! The GPU.

use crate::{Error, Result};
use cudarc::driver::{CudaContext, DriverError};
use std::sync::Arc;

/// The GPU number `ordinal`.
///
/// # Errors
/// When there is no CUDA driver, no such GPU, or the driver refuses.
pub(crate) fn open(ordinal: u32) -> Result<Arc<CudaContext>> {
    // TensorRT's runtime may return a pointer to nothing where there is no driver: it is asked only after this.
    if !has_driver() {
        return Err(Error::Device(
            "no CUDA driver: libcuda.so.1 is not on this machine; engines run on an NVIDIA GPU".into(),
        ));
    }
    let no_gpu = |e: DriverError| Error::Device(format!("no GPU: the CUDA driver says {e}"));
    let count = CudaContext::device_count().map_err(no_gpu)?;
    match usize::try_from(ordinal) {
        Ok(index) if i64::from(ordinal) < i64::from(count) => CudaContext::new(index).map_err(no_gpu),
        _ => Err(Error::Device(format!("no GPU {ordinal}: there are {count}"))),
    }
}

#[allow(unsafe_code, reason = "a function of a C library")]
fn has_driver() -> bool {
    // SAFETY: loads and unloads the driver's library, which is found as the system finds it.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

/// An error of the driver's.
pub(crate) fn failed(error: DriverError) -> Error {
    Error::Device(format!("the CUDA driver says {error}"))
}
