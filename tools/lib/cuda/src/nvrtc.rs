//! NVRTC, the compiler of kernels, loaded at run time from where it is found.
//!
//! It needs no GPU and no driver: what it makes for an architecture is tested without one.

#![allow(unsafe_code, reason = "functions of a C library")]

use crate::{Error, Result};
use libloading::Library;
use std::{
    ffi::{CString, c_char, c_int, c_void},
    fmt,
    path::Path,
    ptr,
};

/// Options of the compiler: each multiplication and addition rounds where the text does not say that it is fused, and nothing
/// is approximate, as on the CPU.
pub const OPTIONS: [&str; 4] = ["--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true"];

/// Longest part of the compiler's log that goes into an error.
const LOG_CHARS: usize = 300;

/// How the name of the library begins that has what kernels may call.
const BUILTINS: &str = "libnvrtc-builtins.so";

type Program = *mut c_void;
/// 0 is success.
type Status = c_int;

/// The compiler. `nvrtc.h` of CUDA 13.0 has the functions.
pub struct Nvrtc {
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    log: Text,
    cubin: Text,
    ptx: Text,
    version: (c_int, c_int),
    /// Architectures that machine code is made for: 75, 80, 90, ascending.
    architectures: Vec<u32>,
    /// The functions are in the first, which uses the second.
    _libraries: (Library, Option<Library>),
}

/// The functions that give the size of a text and the text.
struct Text {
    size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    get: unsafe extern "C" fn(Program, *mut c_char) -> Status,
}

/// What a GPU runs, or its driver compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image(pub Vec<u8>);

/// A compute capability, major and minor: 9.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability(pub u32, pub u32);

/// As NVRTC writes it: `90`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

impl Nvrtc {
    /// Loads the library at `named`, or else the first that is found.
    ///
    /// # Errors
    /// If there is none, or it cannot be loaded.
    pub fn load(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => dylib::NVRTC.find().map_err(|missing| Error::NoNvrtc { missing })?,
        };
        // It opens this one by its name, and not in its own folder, unless it is there already.
        let builtins = dylib::beside(&path, BUILTINS);
        let load = |path: &Path| {
            // SAFETY: the library is the one that the user named or installed; its initialization has no preconditions.
            unsafe { Library::new(path) }
        };
        let builtins = builtins.as_deref().map(load).transpose();
        builtins.and_then(|builtins| Self::of(load(&path)?, builtins)).map_err(|error| {
            let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Error::Nvrtc { path, reason }
        })
    }

    fn of(library: Library, builtins: Option<Library>) -> Result<Self, libloading::Error> {
        /// The function of this name, which has the type of where it goes.
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: `nvrtc.h` declares it with this type.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }?
            };
        }
        let version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status = function!("nvrtcVersion");
        let count: unsafe extern "C" fn(*mut c_int) -> Status = function!("nvrtcGetNumSupportedArchs");
        let architectures: unsafe extern "C" fn(*mut c_int) -> Status = function!("nvrtcGetSupportedArchs");
        let (mut major, mut minor, mut archs) = (0, 0, 0);
        // SAFETY: each writes the numbers that it is given.
        unsafe {
            version(&mut major, &mut minor);
            count(&mut archs);
        }
        let mut supported: Vec<c_int> = vec![0; usize::try_from(archs).unwrap_or(0)];
        // SAFETY: there are as many numbers as the library says that it writes.
        unsafe { architectures(supported.as_mut_ptr()) };
        let mut supported: Vec<u32> = supported.into_iter().filter_map(|arch| u32::try_from(arch).ok()).collect();
        supported.sort_unstable();
        Ok(Self {
            create: function!("nvrtcCreateProgram"),
            destroy: function!("nvrtcDestroyProgram"),
            compile: function!("nvrtcCompileProgram"),
            log: Text { size: function!("nvrtcGetProgramLogSize"), get: function!("nvrtcGetProgramLog") },
            cubin: Text { size: function!("nvrtcGetCUBINSize"), get: function!("nvrtcGetCUBIN") },
            ptx: Text { size: function!("nvrtcGetPTXSize"), get: function!("nvrtcGetPTX") },
            version: (major, minor),
            architectures: supported,
            _libraries: (library, builtins),
        })
    }

    /// The version of CUDA, `13.0`.
    pub fn version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    /// The architecture that a GPU's kernels are compiled for: machine code, `sm_90`, where the compiler knows the GPU;
    /// otherwise the newest virtual one below it, `compute_90`, which the driver compiles.
    pub fn architecture(&self, gpu: Capability) -> String {
        let number = 10 * gpu.0 + gpu.1;
        if self.architectures.contains(&number) {
            return format!("sm_{number}");
        }
        let below = self.architectures.iter().rev().find(|&&known| known < number);
        format!("compute_{}", below.copied().unwrap_or(number))
    }

    /// Compiles a text for an architecture of [`Nvrtc::architecture`], with [`OPTIONS`].
    ///
    /// # Errors
    /// If the compiler refuses.
    pub fn compile(&self, text: &str, architecture: &str) -> Result<Image> {
        let failed = |log: String| Error::Compile { architecture: architecture.to_owned(), log };
        let c_text = CString::new(text).map_err(|_| failed("the text has a NUL".into()))?;
        let program = self.program(&c_text).ok_or_else(|| failed("no memory".into()))?;
        let architecture_option = format!("--gpu-architecture={architecture}");
        let options = OPTIONS.iter().copied().chain([architecture_option.as_str()]);
        let options: Vec<CString> = options.filter_map(|option| CString::new(option).ok()).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program is one of this library's, and the options are so many texts.
        if unsafe { (self.compile)(program.raw, pointers.len() as c_int, pointers.as_ptr()) } != 0 {
            let log = program.text(&self.log).unwrap_or_default();
            return Err(failed(first_error(&String::from_utf8_lossy(&log))));
        }
        let of = if architecture.starts_with("sm_") { &self.cubin } else { &self.ptx };
        program.text(of).map(Image).ok_or_else(|| failed("it gives no code".into()))
    }

    fn program(&self, text: &CString) -> Option<Created<'_>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the text ends with a NUL, and there are no headers.
        let status =
            unsafe { (self.create)(&mut raw, text.as_ptr(), c"kernels.cu".as_ptr(), 0, ptr::null(), ptr::null()) };
        (status == 0).then_some(Created { raw, of: self })
    }
}

/// A program, destroyed when it is dropped.
struct Created<'a> {
    raw: Program,
    of: &'a Nvrtc,
}

impl Created<'_> {
    /// A text of the program's, with the NUL that PTX and a log end with.
    fn text(&self, functions: &Text) -> Option<Vec<u8>> {
        let mut size = 0;
        // SAFETY: the program is one of this library's; the function writes the size.
        if unsafe { (functions.size)(self.raw, &mut size) } != 0 || size == 0 {
            return None;
        }
        let mut text = vec![0u8; size];
        // SAFETY: the text has the size that the library says.
        (unsafe { (functions.get)(self.raw, text.as_mut_ptr().cast()) } == 0).then_some(text)
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        // SAFETY: the program is one of this library's, and is not used again.
        unsafe { (self.of.destroy)(&mut self.raw) };
    }
}

/// The first line of a log that is an error, shortened.
fn first_error(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("error")).or_else(|| log.lines().next());
    line.unwrap_or("it does not say why").trim_matches(['\0', ' ']).chars().take(LOG_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_becomes_one_line() {
        let log =
            "kernels.cu(3): warning: a\nkernels.cu(4): error: identifier \"x\" is undefined\n\n1 error detected\n\0";
        assert_eq!(first_error(log), "kernels.cu(4): error: identifier \"x\" is undefined");
        assert_eq!(first_error(""), "it does not say why");
    }

    #[test]
    fn a_library_that_is_none_is_an_error() {
        let error = Nvrtc::load(Some("/none/libnvrtc.so.13".as_ref())).err().expect("no library").to_string();
        assert!(error.starts_with("NVRTC, which compiles kernels, is missing (/none/libnvrtc.so.13: "), "{error}");
        assert!(!error.contains('\n') && error.ends_with("choose the device cpu"), "{error}");
    }
}
