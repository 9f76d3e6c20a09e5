//! What can fail, as types. Each displays as one line.

use cudarc::driver::DriverError;
use std::path::PathBuf;

/// Why a GPU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver's library is not on this machine.
    #[error("no NVIDIA driver: libcuda.so.1 was not found; choose the device cpu")]
    NoDriver,
    /// The driver is older than what kernels are compiled with.
    #[error("the NVIDIA driver has CUDA {}, and {} or newer is required; update it, or choose the device cpu", version(*.found), version(*.needed))]
    OldDriver {
        /// 1000 · major + 10 · minor
        found: i32,
        /// 1000 · major + 10 · minor
        needed: i32,
    },
    /// The number of a GPU that is not there.
    #[error("no GPU {number}: {}; choose the device cpu", counted(*.count))]
    NoGpu {
        /// The number, from 0.
        number: u32,
        /// How many there are.
        count: u32,
    },
    /// The driver refuses.
    #[error("the CUDA driver: {}", message(.0))]
    Driver(DriverError),
    /// NVRTC, which compiles the kernels, is in none of the places that are searched, or may not be loaded from there.
    #[error(
        "NVRTC, which compiles kernels, is missing{missing}; install it ({}) or name it with NVRTC_DYLIB_PATH, or choose the device cpu",
        dylib::pip_install(dylib::NVRTC_PACKAGE)
    )]
    NoNvrtc {
        /// What was found, and why it is not loaded.
        missing: dylib::Missing,
    },
    /// NVRTC's library cannot be loaded.
    #[error("NVRTC, which compiles kernels, is missing ({}: {reason}); correct NVRTC_DYLIB_PATH, or choose the device cpu", path.display())]
    Nvrtc {
        /// The library.
        path: PathBuf,
        /// What the system says, in one line.
        reason: String,
    },
    /// NVRTC refuses the kernels.
    #[error("NVRTC does not compile the kernels for {architecture}: {log}")]
    Compile {
        /// `sm_90`
        architecture: String,
        /// The first line of NVRTC's that is an error.
        log: String,
    },
}

/// What this library's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

/// `13.0`
fn version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

fn counted(count: u32) -> String {
    match count {
        0 => "there is none".into(),
        1 => "there is 1, cuda:0".into(),
        _ => format!("there are {count}, cuda:0 to cuda:{}", count - 1),
    }
}

/// What the driver says of an error. Its library is loaded: the error is its own.
fn message(error: &DriverError) -> String {
    let text = |text: Result<&std::ffi::CStr, DriverError>| text.ok().map(|text| text.to_string_lossy().into_owned());
    let name = text(error.error_name()).unwrap_or_else(|| format!("error {}", error.0 as u32));
    match text(error.error_string()) {
        Some(text) => format!("{name}, {text}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let no_gpu = |number, count| Error::NoGpu { number, count }.to_string();
        assert_eq!(no_gpu(0, 0), "no GPU 0: there is none; choose the device cpu");
        assert_eq!(no_gpu(1, 1), "no GPU 1: there is 1, cuda:0; choose the device cpu");
        assert_eq!(no_gpu(7, 4), "no GPU 7: there are 4, cuda:0 to cuda:3; choose the device cpu");
        assert_eq!(
            Error::OldDriver { found: 12040, needed: 13000 }.to_string(),
            "the NVIDIA driver has CUDA 12.4, and 13.0 or newer is required; update it, or choose the device cpu"
        );
    }
}
