//! A machine with a GPU, which is none.

use crate::{Folder, Tool};
use std::process::Command;

/// A folder with a library that a C++ compiler made, the driver, NVRTC, cuBLAS and cuDNN in one, and with a cache folder.
pub struct FakeGpu(Folder);

impl FakeGpu {
    /// Compiles `text`, which has the functions of those that the tool needs. None, and a note, where there is no C++ compiler.
    ///
    /// # Panics
    /// If the compiler refuses.
    pub fn compile(text: &str) -> Option<Self> {
        let folder = Folder::new();
        let source = folder.write("driver.cc", text);
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-O2", "-ffp-contract=off", "-w", "-shared", "-fPIC", "-o"]);
        match compiler.arg(folder.join("libcuda.so.1")).arg(source).output() {
            Err(error) => {
                eprintln!("skipped: no C++ compiler c++: {error}");
                None
            }
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(Self(folder))
            }
        }
    }

    /// The tool on a machine with that driver.
    pub fn run(&self, tool: Tool) -> Tool {
        let library = self.0.join("libcuda.so.1");
        tool.env("LD_LIBRARY_PATH", &*self.0)
            .env("NVRTC_DYLIB_PATH", &library)
            .env("CUBLAS_DYLIB_PATH", &library)
            .env("CUDNN_DYLIB_PATH", &library)
            .env("XDG_CACHE_HOME", self.0.join("cache"))
    }

    /// The files of the cache of compiled kernels.
    pub fn cached(&self) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(self.0.join("cache/pipegrad/kernels")).into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    }
}
