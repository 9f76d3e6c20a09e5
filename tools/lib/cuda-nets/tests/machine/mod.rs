//! A machine without a GPU that has a driver, NVRTC, cuBLAS and cuDNN: [`cuda_nets::source::fake_machine`] in this process.

#![allow(unsafe_code, reason = "a library that the test compiles")]

use cuda_nets::{Gpu, Libraries, source};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::{
    env, fs,
    process::Command,
    sync::{Arc, OnceLock},
};
use tempfile::TempDir;

/// A machine: its folder, with a library that is loaded under the driver's name.
struct Machine {
    folder: TempDir,
    _library: Library,
}

/// The GPU of the machine; None, and a note, where there is no C++ compiler.
pub fn gpu() -> Option<Arc<Gpu>> {
    static MACHINE: OnceLock<Option<Machine>> = OnceLock::new();
    let Machine { folder, .. } = MACHINE.get_or_init(compile).as_ref()?;
    let library = Some(folder.path().join("libcuda.so.1"));
    let cache = Some(folder.path().join("cache"));
    let libraries = Libraries { nvrtc: library.clone(), cublas: library.clone(), cudnn: library, cache };
    Some(Gpu::open(0, &libraries).expect("a GPU"))
}

fn compile() -> Option<Machine> {
    let folder = tempfile::tempdir().expect("a folder");
    let (text, path) = (folder.path().join("machine.cc"), folder.path().join("libcuda.so.1"));
    fs::write(&text, source::fake_machine()).expect("written");
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".into());
    let flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror"];
    let mut command = Command::new(&compiler);
    // Loaded once under the driver's name, it is what a search for the driver finds.
    command.args(flags).args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]).arg(&path).arg(&text);
    match command.output() {
        Err(error) => {
            eprintln!("skipped: no C++ compiler {compiler}: {error}");
            None
        }
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // SAFETY: the library has no initialization but that of its tables.
            let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
            Some(Machine { folder, _library: library.expect("a library") })
        }
    }
}
