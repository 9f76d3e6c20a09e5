//! The stand-in for cuDNN beside the real library, as far as that works without a GPU: descriptors, and the sizes of outputs.
//!
//! The library is that of `make cuda`, or of CUDNN_DYLIB_PATH; without it, or without a C++ compiler, the test is skipped with a
//! note.

#![allow(unsafe_code, reason = "functions of C libraries")]

use cuda_nets::source;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::{
    env,
    ffi::{c_int, c_void},
    fs,
    process::Command,
    ptr,
};

type Create = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
type Set = unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int, c_int, c_int, c_int) -> c_int;
type SetConvolution =
    unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int) -> c_int;
type SetMath = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type OutputDim = unsafe extern "C" fn(
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_int,
    *mut c_int,
    *mut c_int,
    *mut c_int,
) -> c_int;

/// `CUDNN_TENSOR_NHWC`
const NHWC: c_int = 1;
/// `CUDNN_CROSS_CORRELATION`
const CROSS_CORRELATION: c_int = 1;
/// `CUDNN_DATA_FLOAT`, `CUDNN_DATA_BFLOAT16`
const TYPES: [c_int; 2] = [0, 9];

/// `[n, c, h, w]` of a tensor, `[k, c, r, s]` of a filter; padding and stride.
#[derive(Debug, Clone, Copy)]
struct Case {
    element: c_int,
    tensor: [c_int; 4],
    filter: [c_int; 4],
    padding: c_int,
    stride: c_int,
}

/// A function of a library.
fn function<F: Copy>(library: &Library, name: &str) -> F {
    // SAFETY: `cudnn_ops.h` and `cudnn_cnn.h` of cuDNN 9 declare the functions with the types that callers name.
    *unsafe { library.get::<F>(name.as_bytes()) }.expect(name)
}

/// Whether the library takes the descriptors of a tensor, a filter, a convolution, and each kind of arithmetic.
fn accepted(library: &Library, case: Case) -> ([*mut c_void; 3], Vec<bool>) {
    let created = ["Tensor", "Filter", "Convolution"].map(|kind| {
        let mut raw = ptr::null_mut();
        // SAFETY: it writes the descriptor, which lives until the process ends.
        let status = unsafe { function::<Create>(library, &format!("cudnnCreate{kind}Descriptor"))(&mut raw) };
        assert_eq!(status, 0, "{kind}");
        raw
    });
    let [tensor, filter, convolution] = created;
    let Case { element, tensor: [n, c, h, w], filter: [k, fc, r, s], padding, stride } = case;
    let set_tensor: Set = function(library, "cudnnSetTensor4dDescriptor");
    let set_filter: Set = function(library, "cudnnSetFilter4dDescriptor");
    let set: SetConvolution = function(library, "cudnnSetConvolution2dDescriptor");
    let set_math: SetMath = function(library, "cudnnSetConvolutionMathType");
    // SAFETY: the descriptors were created by the same library.
    let statuses = unsafe {
        let mut statuses = vec![
            set_tensor(tensor, NHWC, element, n, c, h, w),
            set_filter(filter, element, NHWC, k, fc, r, s),
            set(convolution, padding, padding, stride, stride, 1, 1, CROSS_CORRELATION, TYPES[0]),
        ];
        statuses.extend((0..4).map(|math| set_math(convolution, math)));
        statuses
    };
    (created, statuses.into_iter().map(|status| status == 0).collect())
}

/// The shape of the output, as the library computes it; None if it refuses.
fn output(library: &Library, [tensor, filter, convolution]: [*mut c_void; 3]) -> Option<[c_int; 4]> {
    let dims: OutputDim = function(library, "cudnnGetConvolution2dForwardOutputDim");
    let [mut n, mut c, mut h, mut w] = [0; 4];
    // SAFETY: the descriptors are the library's; it writes the four numbers.
    let status = unsafe { dims(convolution, tensor, filter, &mut n, &mut c, &mut h, &mut w) };
    (status == 0).then_some([n, c, h, w])
}

fn cases() -> Vec<Case> {
    let sizes = [([512, 3, 32, 32], 64, 3), ([1, 24, 31, 31], 64, 3), ([7, 64, 17, 9], 128, 5), ([2, 3, 8, 8], 24, 2)];
    let mut cases = Vec::new();
    for (tensor, k, kernel) in sizes {
        for (element, (padding, stride)) in
            TYPES.into_iter().flat_map(|t| [(0, 1), (1, 1), (2, 2), (0, 3)].map(|p| (t, p)))
        {
            cases.push(Case { element, tensor, filter: [k, tensor[1], kernel, kernel], padding, stride });
        }
    }
    let good = Case { element: 0, tensor: [2, 3, 8, 8], filter: [4, 3, 3, 3], padding: 1, stride: 1 };
    // What no caller should ask for.
    cases.push(Case { tensor: [0, 3, 8, 8], ..good });
    cases.push(Case { tensor: [2, 3, -1, 8], ..good });
    cases.push(Case { filter: [0, 3, 3, 3], ..good });
    cases.push(Case { padding: -1, ..good });
    cases.push(Case { stride: 0, ..good });
    cases
}

/// The stand-in, which other libraries do not see: the real one would call it. None where there is no C++ compiler.
fn stand_in() -> Option<Library> {
    let folder = tempfile::tempdir().expect("a folder");
    let (text, path) = (folder.path().join("machine.cc"), folder.path().join("stand-in.so"));
    fs::write(&text, source::fake_machine()).expect("written");
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-w", "-shared", "-fPIC", "-o"]).arg(&path).arg(&text);
    match command.status() {
        Err(error) => {
            eprintln!("skipped: no C++ compiler {compiler}: {error}");
            None
        }
        Ok(status) => {
            assert!(status.success(), "{compiler}: {status}");
            // SAFETY: the library has no initialization but that of its tables.
            Some(unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.expect("a library"))
        }
    }
}

#[test]
fn the_stand_in_takes_the_descriptors_that_cudnn_takes() {
    let Ok(path) = dylib::CUDNN.find() else {
        eprintln!("skipped: no cuDNN; make cuda installs it");
        return;
    };
    let Some(stand_in) = stand_in() else { return };
    // SAFETY: the library is the one that the user named or installed; its initialization has no preconditions.
    let real = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.expect("cuDNN");
    for case in cases() {
        let (real_raw, real_takes) = accepted(&real, case);
        let (_, takes) = accepted(&stand_in, case);
        assert_eq!(takes, real_takes, "{case:?}");
        if takes.contains(&false) {
            continue;
        }
        // What our sizes are computed by (PyTorch's Conv2d).
        let Case { tensor: [n, _, h, w], filter: [k, _, r, s], padding, stride, .. } = case;
        let side = |size: c_int, kernel: c_int| (size + 2 * padding - kernel) / stride + 1;
        assert_eq!(output(&real, real_raw), Some([n, k, side(h, r), side(w, s)]), "{case:?}");
    }
}
