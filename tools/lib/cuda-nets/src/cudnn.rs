//! Convolutions of cuDNN: NHWC, cross-correlation, sums in `f32`.

#![allow(unsafe_code, reason = "functions of a C library")]

use crate::{
    Element, Error, Precision, Result,
    library::{Loaded, Wanted},
};
use cudarc::driver::CudaStream;
use std::{
    ffi::{c_int, c_void},
    path::Path,
    ptr,
    sync::Arc,
};

const CUDNN: Wanted = Wanted { name: "cuDNN", search: dylib::CUDNN };

/// The most memory that an algorithm may use besides its arrays.
const WORKSPACE_BYTES: usize = 1 << 30;
/// More than there are algorithms of a kind, with each kind of arithmetic.
const ALGORITHMS: usize = 32;

type Handle = *mut c_void;
type Descriptor = *mut c_void;
/// 0 is success.
type Status = c_int;
type Create = unsafe extern "C" fn(*mut Descriptor) -> Status;
type Destroy = unsafe extern "C" fn(Descriptor) -> Status;
type Six = unsafe extern "C" fn(Descriptor, c_int, c_int, c_int, c_int, c_int, c_int) -> Status;
type SetConvolution =
    unsafe extern "C" fn(Descriptor, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int) -> Status;
type Find = unsafe extern "C" fn(
    Handle,
    Descriptor,
    Descriptor,
    Descriptor,
    Descriptor,
    c_int,
    *mut c_int,
    *mut Performance,
) -> Status;
type Run = unsafe extern "C" fn(
    Handle,
    *const f32,
    Descriptor,
    u64,
    Descriptor,
    u64,
    Descriptor,
    c_int,
    u64,
    usize,
    *const f32,
    Descriptor,
    u64,
) -> Status;

const NHWC: c_int = 1;
const CROSS_CORRELATION: c_int = 1;
const DETERMINISTIC: c_int = 1;
/// `CUDNN_DATA_FLOAT`
const FLOAT: c_int = 0;
/// `CUDNN_FMA_MATH`: no tensor cores.
const FMA: c_int = 3;

/// `cudnnConvolutionFwdAlgoPerf_t`, and those of the other passes, which are alike.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Performance {
    algorithm: c_int,
    status: Status,
    time: f32,
    memory: usize,
    determinism: c_int,
    math: c_int,
    reserved: [c_int; 3],
}

/// What is computed from two of input, weight and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The output.
    Forward,
    /// The input's gradient.
    Input,
    /// The weight's gradient.
    Weight,
}

impl Pass {
    fn find_name(self) -> &'static str {
        match self {
            Self::Forward => "cudnnGetConvolutionForwardAlgorithm_v7",
            Self::Input => "cudnnGetConvolutionBackwardDataAlgorithm_v7",
            Self::Weight => "cudnnGetConvolutionBackwardFilterAlgorithm_v7",
        }
    }

    fn run_name(self) -> &'static str {
        match self {
            Self::Forward => "cudnnConvolutionForward",
            Self::Input => "cudnnConvolutionBackwardData",
            Self::Weight => "cudnnConvolutionBackwardFilter",
        }
    }
}

/// The library, and a handle on one stream. `cudnn_cnn.h` and `cudnn_ops.h` of cuDNN 9 have the functions and numbers.
pub(crate) struct Cudnn {
    handle: Handle,
    functions: Arc<Functions>,
    destroy: Destroy,
}

// SAFETY: a handle may be used by one thread after another.
unsafe impl Send for Cudnn {}

struct Functions {
    tensor: (Create, Destroy, Six),
    filter: (Create, Destroy, Six),
    convolution: (Create, Destroy, SetConvolution),
    set_math: unsafe extern "C" fn(Descriptor, c_int) -> Status,
    /// By pass.
    find: [Find; 3],
    run: [Run; 3],
    _library: Loaded,
}

/// The sizes of a convolution of square windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub rows: usize,
    /// `[channels, height, width]`
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

/// A convolution of some sizes: descriptors and the chosen algorithms.
pub(crate) struct Convolution {
    /// Input, weight, output.
    tensors: [Described; 3],
    convolution: Described,
    /// By pass; None is one that is not needed.
    choices: [Option<Choice>; 3],
    functions: Arc<Functions>,
}

// SAFETY: descriptors are plain memory of the library's.
unsafe impl Send for Convolution {}

#[derive(Debug, Clone, Copy)]
struct Choice {
    algorithm: c_int,
    math: c_int,
    workspace: usize,
}

/// A descriptor, destroyed when it is dropped.
struct Described {
    raw: Descriptor,
    destroy: Destroy,
}

impl Drop for Described {
    fn drop(&mut self) {
        // SAFETY: the descriptor is the library's, which is loaded, and is not used again.
        unsafe { (self.destroy)(self.raw) };
    }
}

impl Cudnn {
    /// The library at `named`, or the first that is found, on a stream.
    ///
    /// # Errors
    /// If it is missing, or refuses.
    pub fn open(named: Option<&Path>, stream: &CudaStream) -> Result<Self> {
        let library = Loaded::open(CUDNN, named)?;
        // SAFETY: the headers declare them with these types.
        let (create, destroy, set_stream) = unsafe {
            (
                library.function::<Create>("cudnnCreate")?,
                library.function::<Destroy>("cudnnDestroy")?,
                library.function::<unsafe extern "C" fn(Handle, *mut c_void) -> Status>("cudnnSetStream")?,
            )
        };
        let functions = Arc::new(Functions::of(library)?);
        let mut handle = ptr::null_mut();
        // SAFETY: it writes the handle.
        check("cudnnCreate", unsafe { create(&mut handle) })?;
        let cudnn = Self { handle, functions, destroy };
        // SAFETY: the handle is the library's, and the stream lives as long as the GPU.
        check("cudnnSetStream", unsafe { set_stream(handle, stream.cu_stream().cast()) })?;
        Ok(cudnn)
    }

    /// A convolution of these sizes, with the fastest deterministic algorithm, as the library estimates it, of each of
    /// `passes`.
    ///
    /// # Errors
    /// If there is none, or the library refuses.
    pub fn convolution(&self, geometry: Geometry, precision: Precision, passes: &[Pass]) -> Result<Convolution> {
        let mut convolution = Functions::describe(&self.functions, geometry, precision)?;
        for &pass in passes {
            convolution.choices[pass as usize] = Some(self.choose(&convolution, pass, precision)?);
        }
        Ok(convolution)
    }

    fn choose(&self, convolution: &Convolution, pass: Pass, precision: Precision) -> Result<Choice> {
        for &math in arithmetic(precision) {
            convolution.set_math(math)?;
            if let Some(choice) = self.find(convolution, pass, precision)? {
                return Ok(choice);
            }
        }
        Err(Error::NoAlgorithm)
    }

    /// The fastest deterministic algorithm with the arithmetic that is set.
    fn find(&self, convolution: &Convolution, pass: Pass, precision: Precision) -> Result<Option<Choice>> {
        let mut found = [Performance::default(); ALGORITHMS];
        let mut count = 0;
        let [first, second, result] = convolution.order(pass);
        // SAFETY: handle and descriptors are the library's; it writes as many results as there is room for.
        let status = unsafe {
            (self.functions.find[pass as usize])(
                self.handle,
                first,
                second,
                convolution.convolution.raw,
                result,
                ALGORITHMS as c_int,
                &mut count,
                found.as_mut_ptr(),
            )
        };
        check(pass.find_name(), status)?;
        let found = &found[..usize::try_from(count).unwrap_or(0).min(ALGORITHMS)];
        let usable = |found: &&Performance| {
            found.status == 0 && found.determinism == DETERMINISTIC && found.memory <= WORKSPACE_BYTES
        };
        let Some(&Performance { algorithm, math, memory, .. }) = found.iter().find(usable) else { return Ok(None) };
        // Without tensor cores the arithmetic stays what was asked for, whatever the library calls it.
        let math = if precision == Precision::F32 { FMA } else { math };
        Ok(Some(Choice { algorithm, math, workspace: memory }))
    }

    /// Starts a pass: from `first` and `second`, which are input and weight, weight and the output's gradient, or input and the
    /// output's gradient, to `result`. The workspace is at `workspace`.
    ///
    /// # Errors
    /// If the library refuses.
    ///
    /// # Panics
    /// If the pass is none of the convolution's.
    ///
    /// # Safety
    /// The arrays are in buffers of the GPU's, aligned to 16 bytes, and as long as the sizes say; `result` overlaps no other;
    /// the workspace has [`Convolution::workspace`] bytes.
    pub unsafe fn run(
        &self,
        convolution: &Convolution,
        pass: Pass,
        [first, second, result]: [u64; 3],
        workspace: u64,
        accumulate: bool,
    ) -> Result<()> {
        let Choice { algorithm, math, workspace: bytes } =
            convolution.choices[pass as usize].expect("a pass of the plan");
        convolution.set_math(math)?;
        let (one, beta) = (1.0f32, if accumulate { 1.0f32 } else { 0.0 });
        let [first_shape, second_shape, result_shape] = convolution.order(pass);
        // SAFETY: as the caller says; the factors are on the host, and read before the call returns.
        let status = unsafe {
            (self.functions.run[pass as usize])(
                self.handle,
                &one,
                first_shape,
                first,
                second_shape,
                second,
                convolution.convolution.raw,
                algorithm,
                workspace,
                bytes,
                &beta,
                result_shape,
                result,
            )
        };
        check(pass.run_name(), status)
    }
}

impl Drop for Cudnn {
    fn drop(&mut self) {
        // SAFETY: the handle is not used again.
        unsafe { (self.destroy)(self.handle) };
    }
}

impl Convolution {
    /// Bytes of workspace that its passes need.
    pub fn workspace(&self) -> usize {
        self.choices.iter().flatten().map(|choice| choice.workspace).max().unwrap_or(0)
    }

    /// The descriptors of a pass's operands and result.
    fn order(&self, pass: Pass) -> [Descriptor; 3] {
        let [x, w, y] = [0, 1, 2].map(|i| self.tensors[i].raw);
        match pass {
            Pass::Forward => [x, w, y],
            Pass::Input => [w, y, x],
            Pass::Weight => [x, y, w],
        }
    }

    fn set_math(&self, math: c_int) -> Result<()> {
        // SAFETY: the descriptor is the library's.
        check("cudnnSetConvolutionMathType", unsafe { (self.functions.set_math)(self.convolution.raw, math) })
    }
}

impl Functions {
    /// The descriptors of a convolution without its algorithms. It needs no GPU.
    fn describe(self: &Arc<Self>, geometry: Geometry, precision: Precision) -> Result<Convolution> {
        let data_type = data_type(precision.element());
        let Geometry { rows, input: [c, h, w], output: [k, oh, ow], kernel, stride, padding } = geometry;
        let size = |size: usize| c_int::try_from(size).map_err(|_| Error::TooLarge { size });
        let tensor = |n: usize, c: usize, h: usize, w: usize| {
            let (n, c, h, w) = (size(n)?, size(c)?, size(h)?, size(w)?);
            let (create, destroy, set) = self.tensor;
            described("cudnnSetTensor4dDescriptor", create, destroy, |raw| {
                // SAFETY: the descriptor was created.
                unsafe { set(raw, NHWC, data_type, n, c, h, w) }
            })
        };
        let filter = || {
            let (k, c, kernel) = (size(k)?, size(c)?, size(kernel)?);
            let (create, destroy, set) = self.filter;
            described("cudnnSetFilter4dDescriptor", create, destroy, |raw| {
                // SAFETY: the descriptor was created.
                unsafe { set(raw, data_type, NHWC, k, c, kernel, kernel) }
            })
        };
        let (stride, padding) = (size(stride)?, size(padding)?);
        let (create, destroy, set) = self.convolution;
        let convolution = described("cudnnSetConvolution2dDescriptor", create, destroy, |raw| {
            // SAFETY: the descriptor was created.
            unsafe { set(raw, padding, padding, stride, stride, 1, 1, CROSS_CORRELATION, FLOAT) }
        })?;
        let tensors = [tensor(rows, c, h, w)?, filter()?, tensor(rows, k, oh, ow)?];
        Ok(Convolution { tensors, convolution, choices: [None; 3], functions: Arc::clone(self) })
    }

    fn of(library: Loaded) -> Result<Self> {
        /// The function of this name, which has the type of where it goes.
        macro_rules! function {
            ($name:expr) => {
                // SAFETY: the headers declare it with this type.
                unsafe { library.function($name) }?
            };
        }
        Ok(Self {
            tensor: (
                function!("cudnnCreateTensorDescriptor"),
                function!("cudnnDestroyTensorDescriptor"),
                function!("cudnnSetTensor4dDescriptor"),
            ),
            filter: (
                function!("cudnnCreateFilterDescriptor"),
                function!("cudnnDestroyFilterDescriptor"),
                function!("cudnnSetFilter4dDescriptor"),
            ),
            convolution: (
                function!("cudnnCreateConvolutionDescriptor"),
                function!("cudnnDestroyConvolutionDescriptor"),
                function!("cudnnSetConvolution2dDescriptor"),
            ),
            set_math: function!("cudnnSetConvolutionMathType"),
            find: [
                function!(Pass::Forward.find_name()),
                function!(Pass::Input.find_name()),
                function!(Pass::Weight.find_name()),
            ],
            run: [
                function!(Pass::Forward.run_name()),
                function!(Pass::Input.run_name()),
                function!(Pass::Weight.run_name()),
            ],
            _library: library,
        })
    }
}

/// A descriptor that `set` was called on.
fn described(
    function: &'static str,
    create: Create,
    destroy: Destroy,
    set: impl FnOnce(Descriptor) -> Status,
) -> Result<Described> {
    let mut raw = ptr::null_mut();
    // SAFETY: it writes the descriptor.
    check(function, unsafe { create(&mut raw) })?;
    let described = Described { raw, destroy };
    check(function, set(raw))?;
    Ok(described)
}

/// `CUDNN_DATA_FLOAT`, `CUDNN_DATA_BFLOAT16`
fn data_type(element: Element) -> c_int {
    match element {
        Element::F32 => FLOAT,
        Element::Bf16 => 9,
    }
}

/// What the library may choose from, first to last: `CUDNN_FMA_MATH`, `CUDNN_DEFAULT_MATH` (which takes TF32),
/// `CUDNN_TENSOR_OP_MATH`.
fn arithmetic(precision: Precision) -> &'static [c_int] {
    match precision {
        Precision::F32 => &[FMA],
        Precision::Tf32 => &[0, FMA],
        Precision::Bf16 => &[1, 0, FMA],
    }
}

fn check(function: &'static str, status: Status) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Error::Refused { library: "cuDNN", function, status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Dimensions = unsafe extern "C" fn(
        Descriptor,
        Descriptor,
        Descriptor,
        *mut c_int,
        *mut c_int,
        *mut c_int,
        *mut c_int,
    ) -> Status;

    /// NVIDIA's library, where it is installed: its descriptors need no GPU. `make cuda` installs it.
    #[test]
    fn the_library_has_the_functions_and_the_same_sizes() {
        let library = match Loaded::open(CUDNN, None) {
            Ok(library) => library,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        // SAFETY: the header declares it with this type.
        let dimensions: Dimensions = unsafe { library.function("cudnnGetConvolution2dForwardOutputDim") }.expect("it");
        let functions = Arc::new(Functions::of(library).expect("functions"));
        let geometry = |[size, kernel, stride, padding]: [usize; 4]| {
            let output = (size + 2 * padding - kernel) / stride + 1;
            let (input, output) = ([16, size, size], [24, output, output]);
            Geometry { rows: 8, input, output, kernel, stride, padding }
        };
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            for geometry in [[32, 3, 1, 1], [32, 3, 2, 1], [31, 2, 1, 0], [9, 1, 2, 0], [14, 5, 3, 2]].map(geometry) {
                let found = functions.describe(geometry, precision).expect("descriptors");
                for &math in arithmetic(precision) {
                    found.set_math(math).expect("arithmetic");
                }
                let [x, w, _] = found.order(Pass::Forward);
                let mut sizes = [0; 4];
                let [n, k, h, v] = &mut sizes;
                // SAFETY: the descriptors are the library's; it writes four numbers.
                let status = unsafe { dimensions(found.convolution.raw, x, w, n, k, h, v) };
                assert_eq!(status, 0);
                let [_, height, width] = geometry.output;
                assert_eq!(sizes, [8, 24, height as c_int, width as c_int], "{geometry:?}");
            }
        }
    }
}
