//! Loading TensorRT's shared libraries.

use crate::{Error, Result};
use dylib::Search;
use std::{
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The ONNX parser, in the folder of the library.
#[cfg(not(feature = "enterprise"))]
const PARSER: &str = "libtensorrt_onnxparser_rtx.so";
#[cfg(feature = "enterprise")]
const PARSER: &str = "libnvonnxparser.so";

#[cfg(not(feature = "enterprise"))]
const SEARCH: Search<'_> = dylib::TENSORRT_RTX;
#[cfg(feature = "enterprise")]
const SEARCH: Search<'_> =
    Search { variable: "TENSORRT_DYLIB_PATH", package: "tensorrt_libs", prefix: "libnvinfer.so", with: &[PARSER] };

/// Major and minor version of the headers that `trtx` was made from: functions are called by their position in a table.
#[cfg(not(feature = "enterprise"))]
const EXPECTED: (i32, i32) = (1, 7);
#[cfg(feature = "enterprise")]
const EXPECTED: (i32, i32) = (11, 4);

/// The library, loaded; a process can have one.
#[derive(Debug, Clone)]
pub struct Library {
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    major: i32,
    minor: i32,
    patch: i32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The library that this process has loaded.
static LOADED: Mutex<Option<Library>> = Mutex::new(None);

impl Library {
    /// `TensorRT-RTX`, or `TensorRT` with the feature `enterprise`.
    pub const NAME: &'static str = if cfg!(feature = "enterprise") { "TensorRT" } else { "TensorRT-RTX" };

    /// Loads the library at `named`, or else the first that is found (`docs/security.md`), and the ONNX parser beside it. A
    /// later call gives the same library, whatever it names.
    ///
    /// # Errors
    /// When there is none, it may not be loaded from there, or it has another version.
    pub fn load(named: Option<&Path>) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*loaded {
            return Ok(library.clone());
        }
        let path = named.map_or_else(|| SEARCH.find(), |path| Ok(path.to_owned()))?;
        let is_named = named.is_some();
        let unusable = |e: &dyn fmt::Display| Error::Library { path: path.clone(), is_named, reason: e.to_string() };
        let parser = dylib::beside(&path, PARSER).ok_or_else(|| unusable(&format!("no {PARSER} beside it")))?;
        let version = version(&path, is_named)?;
        trtx::dynamically_load_tensorrt(Some(path.clone())).map_err(|e| unusable(&e))?;
        trtx::dynamically_load_tensorrt_onnxparser(Some(parser)).map_err(|e| unusable(&e))?;
        let library = Self { version };
        *loaded = Some(library.clone());
        Ok(library)
    }

    /// `1.7.1`.
    pub fn version(&self) -> String {
        self.version.to_string()
    }
}

/// The version of the library at `path`, if it is the one that this program can call.
fn version(path: &Path, is_named: bool) -> Result<Version> {
    let unusable = |e: libloading::Error| Error::Library { path: path.to_owned(), is_named, reason: e.to_string() };
    let [major, minor, patch] = numbers(path).map_err(unusable)?;
    let version = Version { major, minor, patch };
    if (major, minor) == EXPECTED {
        return Ok(version);
    }
    let (found, expected) = (version.to_string(), format!("{}.{}", EXPECTED.0, EXPECTED.1));
    Err(Error::Version { path: path.into(), is_named, found, expected })
}

#[allow(unsafe_code, reason = "functions of a C library")]
fn numbers(path: &Path) -> std::result::Result<[i32; 3], libloading::Error> {
    // SAFETY: loading runs the library's initializers. The user named it, or nobody else may write it; that it is TensorRT
    // cannot be checked. The functions take no arguments and return an integer (NvInferRuntime.h).
    unsafe {
        let library = libloading::Library::new(path)?;
        let call = |name: &[u8]| -> std::result::Result<i32, libloading::Error> {
            let function: libloading::Symbol<'_, unsafe extern "C" fn() -> i32> = library.get(name)?;
            Ok(function())
        };
        Ok([
            call(b"getInferLibMajorVersion\0")?,
            call(b"getInferLibMinorVersion\0")?,
            call(b"getInferLibPatchVersion\0")?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_refused() {
        let folder = std::env::temp_dir();
        let missing = Library::load(Some(&folder.join("no-such-library.so"))).expect_err("missing").to_string();
        assert!(missing.contains("no-such-library.so: no libtensorrt_onnxparser_rtx.so beside it"), "{missing}");
        assert!(missing.ends_with("; correct trt.library, or leave it out to search for the library"), "{missing}");
        let not_one = version(Path::new("/proc/self/exe"), false).expect_err("a program").to_string();
        assert!(not_one.starts_with("TensorRT's library is missing (/proc/self/exe: "), "{not_one}");
    }
}
