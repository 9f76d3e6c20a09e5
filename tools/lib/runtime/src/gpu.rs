//! The GPU that a model runs on, in ONNX Runtime's CUDA provider.
//!
//! Not run on a GPU so far (`docs/gpu.md`); the errors are tested.

#![allow(unsafe_code, reason = "loading libraries of CUDA for ONNX Runtime's provider")]

use crate::{Backend, Error, Options, Result, library};
use cuda::Device;
#[cfg(unix)]
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use ort::ep::{CUDA, ExecutionProvider};
#[cfg(unix)]
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The number of the GPU; None is the CPU. `auto` is the first GPU where there is one, the library has a provider for it,
/// and the backend may be ONNX Runtime.
///
/// # Errors
/// If a GPU is named, and there is no driver, no such GPU or no provider, or only the native backend is asked for.
pub(crate) fn chosen(options: &Options<'_>) -> Result<Option<u32>> {
    let (native, device) = (options.backend == Backend::Native, options.device);
    let gpu = match device {
        Device::Cpu => return Ok(None),
        Device::Auto if native => return Ok(None),
        Device::Cuda(_) if native => return Err(Error::NativeOnGpu { device, setting: options.setting("device") }),
        _ => device.ordinal(),
    };
    let gpu = gpu.map_err(|problem| Error::Device { device, setting: options.setting("device"), problem })?;
    match (gpu, device) {
        (Some(_), Device::Auto) => Ok(gpu.filter(|_| provider(options).is_ok())),
        (Some(_), _) => provider(options).map(|()| gpu),
        (None, _) => Ok(None),
    }
}

/// Loads ONNX Runtime's library, and those of CUDA that its provider needs.
///
/// # Errors
/// If the library is missing, or has no provider for GPUs.
fn provider(options: &Options<'_>) -> Result<()> {
    let path = library::path(options.library, &options.setting("onnxruntime"))?;
    if !CUDA::is_available().unwrap_or(false) {
        return Err(Error::NoProvider { path, device: options.device, setting: options.setting("device") });
    }
    #[cfg(unix)]
    preload(&path);
    Ok(())
}

#[cfg(unix)]
/// Libraries of CUDA and cuDNN that the provider needs, each after those that it needs.
const NEEDED: [&str; 8] = [
    "libcudart.so.",
    "libnvJitLink.so.",
    "libnvrtc.so.",
    "libcublasLt.so.",
    "libcublas.so.",
    "libcurand.so.",
    "libcufft.so.",
    "libcudnn.so.",
];

#[cfg(unix)]
/// Loads the libraries that PyPI's packages put beside ONNX Runtime's, where the system's loader does not look. What is not
/// there is the system's.
fn preload(onnxruntime: &Path) {
    // site-packages/onnxruntime/capi/libonnxruntime.so
    let Some(packages) = onnxruntime.ancestors().nth(3) else { return };
    let folders: Vec<PathBuf> = fs::read_dir(packages.join("nvidia"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("lib"))
        .collect();
    for name in NEEDED {
        let found = folders.iter().find_map(|folder| dylib::beside(&folder.join(name), name));
        // SAFETY: the library is of the same environment as ONNX Runtime's, which would load it by its name.
        if let Some(library) = found.and_then(|path| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.ok())
        {
            // The provider uses it until the process ends.
            std::mem::forget(library);
        }
    }
}
