//! Shared libraries, which tools load when they need them. Here they are found, as the tools find them, and not loaded.

use super::Check;
use dylib::{Missing, ONNX_RUNTIME, Search, TENSORRT_RTX};
use std::path::{Path, PathBuf};

/// The oldest minor version of ONNX Runtime 1 that tools load.
const ONNX_RUNTIME_MINOR: u32 = 24;

pub fn onnx_runtime() -> Check {
    const NAME: &str = "onnxruntime";
    let install =
        |package: &str| format!("{}, or name the library with {}", dylib::pip_install(package), ONNX_RUNTIME.variable);
    let path = match found(&ONNX_RUNTIME) {
        Ok(path) => path,
        Err(NotFound::Nowhere(missing)) => {
            let about = format!("not found{missing}, only models with operators that the tools do not have need it");
            return Check::missing(NAME, about, install(NAME));
        }
        Err(NotFound::Named(path)) => return named_in_vain(NAME, &ONNX_RUNTIME, path),
    };
    let version = version(&path);
    let minor = version.as_ref().and_then(|version| version.strip_prefix("1.")?.split('.').next()?.parse::<u32>().ok());
    let check = match minor {
        Some(minor) if minor < ONNX_RUNTIME_MINOR => {
            let about = format!("expected 1.{ONNX_RUNTIME_MINOR} or newer");
            Check::wrong(NAME, about, install(&format!("'onnxruntime>=1.{ONNX_RUNTIME_MINOR}'")))
        }
        _ => Check::ok(NAME),
    };
    Check { version, ..check }.at(path)
}

pub fn tensorrt() -> Check {
    const NAME: &str = "tensorrt";
    match found(&TENSORRT_RTX) {
        Ok(path) => Check { version: version(&path), ..Check::ok(NAME) }.at(path),
        Err(NotFound::Named(path)) => named_in_vain(NAME, &TENSORRT_RTX, path),
        Err(NotFound::Nowhere(missing)) => {
            let install = dylib::pip_install(dylib::TENSORRT_RTX_PACKAGE);
            Check::missing(NAME, format!("not found{missing}, only trt-build needs it"), install)
        }
    }
}

enum NotFound {
    Nowhere(Missing),
    /// The variable names what is no file.
    Named(PathBuf),
}

fn found(search: &Search<'_>) -> Result<PathBuf, NotFound> {
    let path = search.find().map_err(NotFound::Nowhere)?;
    if path.is_file() { Ok(path) } else { Err(NotFound::Named(path)) }
}

fn named_in_vain(name: &str, search: &Search<'_>, path: PathBuf) -> Check {
    let variable = search.variable;
    Check::wrong(name, format!("{variable} names it, and it is no file"), format!("correct {variable}, or unset it"))
        .at(path)
}

/// The version in the name of a library, `libx.so.1.2` or `libx.1.2.dylib`.
fn version(path: &Path) -> Option<String> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name()?.to_string_lossy().into_owned();
    let version = match name.split_once(".so.") {
        Some((_, version)) => version,
        None => name.strip_suffix(".dylib")?.split_once('.')?.1,
    };
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_in_the_name() {
        let version = |name: &str| version(Path::new(name));
        assert_eq!(version("/x/libonnxruntime.so.1.31.1").as_deref(), Some("1.31.1"));
        assert_eq!(version("libonnxruntime.1.31.1.dylib").as_deref(), Some("1.31.1"));
        assert_eq!(version("libonnxruntime.so"), None);
        assert_eq!(version("onnxruntime.dll"), None);
    }
}
