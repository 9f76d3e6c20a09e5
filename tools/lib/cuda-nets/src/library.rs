//! Shared libraries of NVIDIA's, loaded at run time from where they are found.

#![allow(unsafe_code, reason = "functions of C libraries")]

use crate::{Error, Result};
use dylib::Search;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::path::{Path, PathBuf};

/// What is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// cuBLAS
    pub name: &'static str,
    pub search: Search<'static>,
}

/// A library, and those of its folder that it needs.
pub(crate) struct Loaded {
    library: Library,
    path: PathBuf,
    wanted: Wanted,
    _needed: Vec<Library>,
}

impl Loaded {
    /// Loads the library at `named`, or else the first that is found. Its functions are visible to libraries that are loaded
    /// later: cuDNN finds cuBLAS so.
    ///
    /// # Errors
    /// If there is none, or it cannot be loaded.
    pub fn open(wanted: Wanted, named: Option<&Path>) -> Result<Self> {
        let Wanted { name, search } = wanted;
        let path = match named {
            Some(path) => path.to_owned(),
            None => search.find().map_err(|missing| Error::NoLibrary { name, search, missing })?,
        };
        let load = |path: &Path| {
            // SAFETY: the library is the one that the user named or installed; its initialization has no preconditions.
            unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
        };
        let needed = search.with.iter().filter_map(|with| dylib::beside(&path, with));
        let needed = needed.map(|path| load(&path)).collect::<Result<_, _>>();
        match needed.and_then(|needed| Ok((needed, load(&path)?))) {
            Ok((needed, library)) => Ok(Self { library, path, wanted, _needed: needed }),
            Err(error) => Err(unloadable(wanted, path, &error)),
        }
    }

    /// The function of this name.
    ///
    /// # Errors
    /// If it has none.
    ///
    /// # Safety
    /// `F` is the type that the library's header declares.
    pub unsafe fn function<F: Copy>(&self, name: &str) -> Result<F> {
        // SAFETY: as the caller says.
        let found = unsafe { self.library.get::<F>(name.as_bytes()) };
        found.map(|function| *function).map_err(|error| unloadable(self.wanted, self.path.clone(), &error))
    }
}

fn unloadable(wanted: Wanted, path: PathBuf, error: &libloading::Error) -> Error {
    let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Error::Library { name: wanted.name, path, variable: wanted.search.variable, reason }
}
