//! Finding a shared library that a Python package brings, and refusing one that another user could have put there.
//!
//! In the pipe: `runtime` finds ONNX Runtime here, `tensorrt` TensorRT, `cuda` NVRTC, and `cuda-nets` cuBLAS and cuDNN;
//! `pipegrad doctor` tells where they are. Nothing is loaded here; `docs/security.md` has the rules.
//!
//! ```
//! let search = dylib::Search { variable: "NO_SUCH_PATH", package: "no_such_package", prefix: "libnosuch.", with: &[] };
//! assert!(search.find().is_err_and(|missing| missing.refused.is_empty()));
//! ```

mod trust;

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

/// Entries that mark a project's root. A `.venv` above it is not searched.
const ROOT_MARKS: [&str; 3] = [".git", ".dvc", "dvc.yaml"];

/// Where a library may be.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Environment variable that names it.
    pub variable: &'a str,
    /// Its folder in the `site-packages` of a virtual environment.
    pub package: &'a str,
    /// How its file name begins; of several, the last in the order of bytes is taken.
    pub prefix: &'a str,
    /// How the file names of libraries begin that must be in the same folder, see [`beside`].
    pub with: &'a [&'a str],
}

/// ONNX Runtime, of PyPI's `onnxruntime`, which has only its versioned name.
pub const ONNX_RUNTIME: Search<'_> =
    Search { variable: "ORT_DYLIB_PATH", package: "onnxruntime/capi", prefix: "libonnxruntime.", with: &[] };

/// TensorRT-RTX, of PyPI's `tensorrt-rtx-cu13-libs`, with its ONNX parser.
pub const TENSORRT_RTX: Search<'_> = Search {
    variable: "TENSORRT_DYLIB_PATH",
    package: "tensorrt_rtx_libs",
    prefix: "libtensorrt_rtx.so",
    with: &["libtensorrt_onnxparser_rtx.so"],
};

/// The version of it that the tools are built for, as pip takes it.
pub const TENSORRT_RTX_PACKAGE: &str = "tensorrt-rtx-cu13-libs==1.7.1.116";

/// NVRTC, which compiles kernels for a GPU, of PyPI's `nvidia-cuda-nvrtc`, with what it compiles them against.
pub const NVRTC: Search<'_> = Search {
    variable: "NVRTC_DYLIB_PATH",
    package: "nvidia/cu13/lib",
    prefix: "libnvrtc.so",
    with: &["libnvrtc-builtins.so"],
};

/// The versions of it that the tools are built for, as pip takes them.
pub const NVRTC_PACKAGE: &str = "'nvidia-cuda-nvrtc==13.0.*'";

/// cuBLAS, which multiplies matrices on a GPU, of PyPI's `nvidia-cublas`, with what it needs.
pub const CUBLAS: Search<'_> = Search {
    variable: "CUBLAS_DYLIB_PATH",
    package: "nvidia/cu13/lib",
    prefix: "libcublas.so",
    with: &["libcublasLt.so"],
};

/// cuDNN, which computes convolutions on a GPU, of PyPI's `nvidia-cudnn-cu13`. It opens its parts, which are beside it, itself.
pub const CUDNN: Search<'_> =
    Search { variable: "CUDNN_DYLIB_PATH", package: "nvidia/cudnn/lib", prefix: "libcudnn.so", with: &[] };

/// All that training on a GPU loads, as pip takes it: who lacks one of them mostly lacks them all.
pub const TRAINING_PACKAGES: &str = "'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-cudnn-cu13==9.*'";

/// A library that is in none of the places that are searched, or may not be loaded from there. Displays as the end of a
/// message: nothing, or in parentheses what was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Missing {
    /// The libraries that were found and not accepted: path and reason.
    pub refused: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.as_slice() {
            [] => Ok(()),
            refused => write!(f, " (one that was found is not loaded: {})", refused.join("; ")),
        }
    }
}

/// Whether a virtual environment of Python is active.
pub fn in_venv() -> bool {
    env::var_os("VIRTUAL_ENV").is_some_and(|path| !path.is_empty())
}

/// The command that installs packages of Python where libraries are searched: into the virtual environment that is active,
/// otherwise into a new one, `.venv`.
pub fn pip_install(packages: &str) -> String {
    let venv = if in_venv() { "" } else { "python3 -m venv .venv && .venv/bin/" };
    format!("{venv}pip install {packages}")
}

impl Search<'_> {
    /// The first library in: the environment variable; the active virtual environment; then, where only the user may
    /// write it, the folder of this program, the environment that it is installed in (`bin/` beside `lib/`), its project's
    /// `.venv` and that of the working folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self) -> Result<PathBuf, Missing> {
        self.find_from(env::current_dir().ok().as_deref())
    }

    /// As [`Search::find`], for programs whose working folder is `folder`, an absolute path.
    ///
    /// # Errors
    /// When there is none.
    pub fn find_from(&self, folder: Option<&Path>) -> Result<PathBuf, Missing> {
        let named = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(path) = named(self.variable) {
            return Ok(path);
        }
        if let Some(path) = named("VIRTUAL_ENV").and_then(|venv| self.in_venv(&venv)) {
            return Ok(path);
        }
        let program = env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
        let by_program = program.iter().filter_map(|folder| Some((folder.clone(), self.in_folder(folder.clone())?)));
        let around = program.iter().filter_map(|folder| self.around(folder));
        let starts = program.iter().cloned().chain(folder.map(Path::to_owned));
        let projects = starts.flat_map(|start| project(&start));
        let in_projects = projects.filter_map(|folder| Some((folder.clone(), self.in_venv(&folder.join(".venv"))?)));
        let mut refused: Vec<String> = Vec::new();
        for (folder, library) in by_program.chain(around).chain(in_projects) {
            let others = self.with.iter().filter_map(|with| beside(&library, with));
            let mut all = std::iter::once(library.clone()).chain(others);
            match all.find_map(|library| trust::refusal(&folder, &library)) {
                None => return Ok(library),
                Some(why) if refused.contains(&why) => {}
                Some(why) => refused.push(why),
            }
        }
        Err(Missing { refused })
    }

    /// The library in a virtual environment.
    fn in_venv(&self, venv: &Path) -> Option<PathBuf> {
        let pythons = names(venv.join("lib"), "python3");
        pythons.into_iter().find_map(|python| self.in_folder(python.join("site-packages").join(self.package)))
    }

    /// The environment whose `bin` is `programs`, and the library in it.
    fn around(&self, programs: &Path) -> Option<(PathBuf, PathBuf)> {
        let venv = programs.parent().filter(|_| programs.ends_with("bin"))?;
        Some((venv.to_owned(), self.in_venv(venv)?))
    }

    fn in_folder(&self, folder: PathBuf) -> Option<PathBuf> {
        let library = names(folder, self.prefix).pop()?;
        self.with.iter().all(|with| beside(&library, with).is_some()).then_some(library)
    }
}

/// The library in the folder of `library` whose file name begins with `prefix`; of several, the last.
pub fn beside(library: &Path, prefix: &str) -> Option<PathBuf> {
    let folder = library.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    names(folder.to_owned(), prefix).pop()
}

/// The folders from `start` up to the root of its project; up to the file system's root where there is no project.
fn project(start: &Path) -> Vec<PathBuf> {
    let is_root = |folder: &Path| ROOT_MARKS.iter().any(|mark| folder.join(mark).exists());
    let root = start.ancestors().position(is_root).unwrap_or(usize::MAX - 1);
    start.ancestors().take(root + 1).map(Path::to_owned).collect()
}

/// The paths in a folder whose names begin with `prefix`, sorted.
fn names(folder: PathBuf, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_ends_at_its_root() {
        let here = tempfile::tempdir().expect("a folder");
        let deep = here.path().join("a/b/c");
        fs::create_dir_all(&deep).expect("folders");
        fs::write(here.path().join("a/dvc.yaml"), "").expect("written");
        fs::create_dir(here.path().join(".git")).expect("a folder");
        assert_eq!(project(&deep), [deep.clone(), here.path().join("a/b"), here.path().join("a")]);
    }

    #[test]
    fn the_last_version_in_a_virtual_environment_is_taken() {
        let search = Search { variable: "NONE", package: "maths/capi", prefix: "libmaths.so", with: &[] };
        let venv = tempfile::tempdir().expect("a folder");
        assert_eq!(search.in_venv(venv.path()), None);
        let folder = venv.path().join("lib/python3.11/site-packages/maths/capi");
        fs::create_dir_all(&folder).expect("folders");
        for name in ["libmaths.so.1", "libmaths.so.2", "libother.so.3"] {
            fs::write(folder.join(name), "").expect("written");
        }
        assert_eq!(search.in_venv(venv.path()), Some(folder.join("libmaths.so.2")));
        let found = search.around(&venv.path().join("bin"));
        assert_eq!(found, Some((venv.path().to_owned(), folder.join("libmaths.so.2"))));
        assert_eq!(search.around(&venv.path().join("lib")), None);
        assert!(Search { with: &["libother."], ..search }.in_venv(venv.path()).is_some());
        assert_eq!(Search { with: &["libthird."], ..search }.in_venv(venv.path()), None);
    }

    #[test]
    fn what_was_refused_is_told() {
        let message =
            |refused: &[&str]| Missing { refused: refused.iter().map(ToString::to_string).collect() }.to_string();
        assert_eq!(message(&[]), "");
        assert_eq!(message(&["a is b", "c is d"]), " (one that was found is not loaded: a is b; c is d)");
    }
}
