//! The driver.

use crate::{Error, Result};
use cudarc::driver::{CudaContext, sys};
use std::sync::Arc;

/// The oldest driver, 1000 · major + 10 · minor: that of the NVRTC whose kernels it loads.
const DRIVER: i32 = 13000;

/// How many GPUs there are.
///
/// # Errors
/// If there is no driver, it is too old, or it refuses.
pub fn count() -> Result<u32> {
    if !has_library() {
        return Err(Error::NoDriver);
    }
    let found = version();
    if found < DRIVER {
        return Err(Error::OldDriver { found, needed: DRIVER });
    }
    match CudaContext::device_count() {
        Ok(count) => Ok(u32::try_from(count).unwrap_or(0)),
        Err(error) if error.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is a GPU of this number.
///
/// # Errors
/// As [`count`], and if there is none of this number.
pub(crate) fn check(number: u32) -> Result<()> {
    let count = count()?;
    if number < count { Ok(()) } else { Err(Error::NoGpu { number, count }) }
}

/// The primary context of GPU number `number`.
///
/// # Errors
/// If there is no driver, it is too old, there is no such GPU, or the driver refuses.
pub fn open(number: u32) -> Result<Arc<CudaContext>> {
    check(number)?;
    Ok(CudaContext::new(number as usize)?)
}

/// Whether the driver's library is there. Without it cudarc panics.
#[allow(unsafe_code, reason = "a function of a C library")]
fn has_library() -> bool {
    // SAFETY: loads and unloads the driver's library, which is found as the system finds it.
    unsafe { sys::is_culib_present() }
}

/// The driver's version of CUDA; 0 if it does not say. Every driver has this function, an old one not all others.
#[allow(unsafe_code, reason = "a function of a C library")]
fn version() -> i32 {
    let mut version = 0;
    // SAFETY: the library is there; the function writes the one number that it is given.
    let result = unsafe { sys::cuDriverGetVersion(&mut version) };
    if result == sys::CUresult::CUDA_SUCCESS { version } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_is_told_so() {
        match count() {
            Err(Error::NoDriver) => {
                let error = open(0).expect_err("no driver").to_string();
                assert_eq!(error, "no NVIDIA driver: libcuda.so.1 was not found; choose the device cpu");
                assert_eq!(crate::Device::Auto.ordinal().expect("the CPU"), None);
                let error = crate::Device::Cuda(0).open(None).err().map(|error| error.to_string());
                assert_eq!(
                    error.as_deref(),
                    Some("no NVIDIA driver: libcuda.so.1 was not found; choose the device cpu")
                );
            }
            Ok(count) => assert!(matches!(check(count), Err(Error::NoGpu { .. }))),
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
}
