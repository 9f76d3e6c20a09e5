//! Matrix products of cuBLAS.

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
};

const CUBLAS: Wanted = Wanted { name: "cuBLAS", search: dylib::CUBLAS };

type Handle = *mut c_void;
/// 0 is success.
type Status = c_int;
type Gemm = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const f32,
    u64,
    c_int,
    c_int,
    u64,
    c_int,
    c_int,
    *const f32,
    u64,
    c_int,
    c_int,
    c_int,
    c_int,
) -> Status;

/// The library, and a handle on one stream. `cublas_api.h` of CUDA 13.0 has the functions and numbers.
pub(crate) struct Cublas {
    handle: Handle,
    gemm: Gemm,
    destroy: unsafe extern "C" fn(Handle) -> Status,
    _library: Loaded,
}

// SAFETY: a handle may be used by one thread after another.
unsafe impl Send for Cublas {}

/// A row-major matrix in the GPU's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix {
    /// Where it begins.
    pub address: u64,
    pub element: Element,
    /// Its transpose is a factor.
    pub transposed: bool,
}

/// `c = a · b + accumulate · c`, where `a` is `[rows, depth]`, `b` is `[depth, columns]` (after transposing) and `c` is
/// `[rows, columns]`, contiguous.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
    pub a: Matrix,
    pub b: Matrix,
    pub c: Matrix,
    /// Adds to what is there; otherwise overwrites it.
    pub accumulate: bool,
}

impl Cublas {
    /// The library at `named`, or the first that is found, on a stream.
    ///
    /// # Errors
    /// If it is missing, or refuses.
    pub fn open(named: Option<&Path>, stream: &CudaStream) -> Result<Self> {
        let library = Loaded::open(CUBLAS, named)?;
        // SAFETY: the header declares them with these types.
        let (create, set_stream, destroy, gemm) = unsafe {
            (
                library.function::<unsafe extern "C" fn(*mut Handle) -> Status>("cublasCreate_v2")?,
                library.function::<unsafe extern "C" fn(Handle, *mut c_void) -> Status>("cublasSetStream_v2")?,
                library.function("cublasDestroy_v2")?,
                library.function("cublasGemmEx")?,
            )
        };
        let mut handle = ptr::null_mut();
        // SAFETY: it writes the handle.
        check("cublasCreate", unsafe { create(&mut handle) })?;
        let cublas = Self { handle, gemm, destroy, _library: library };
        // SAFETY: the handle is the library's, and the stream lives as long as the GPU.
        check("cublasSetStream", unsafe { set_stream(handle, stream.cu_stream().cast()) })?;
        Ok(cublas)
    }

    /// Starts a product.
    ///
    /// # Errors
    /// If a size is 2³¹ or more, or the library refuses.
    ///
    /// # Safety
    /// The matrices are in buffers of the GPU's, and `c` overlaps neither factor.
    pub unsafe fn product(&self, product: Product, precision: Precision) -> Result<()> {
        let Product { rows, depth, columns, a, b, c, accumulate } = product;
        let number = |size: usize| c_int::try_from(size).map_err(|_| Error::TooLarge { size });
        let (m, n, k) = (number(columns)?, number(rows)?, number(depth)?);
        // Column-major, the library sees the transposes: cᵀ = bᵀ · aᵀ.
        let (lda, ldb) = (if b.transposed { k } else { m }, if a.transposed { n } else { k });
        let (one, beta) = (1.0f32, if accumulate { 1.0f32 } else { 0.0 });
        // SAFETY: as the caller says; the factors are on the host, and read before the call returns.
        let status = unsafe {
            (self.gemm)(
                self.handle,
                c_int::from(b.transposed),
                c_int::from(a.transposed),
                m,
                n,
                k,
                &one,
                b.address,
                data_type(b.element),
                lda,
                a.address,
                data_type(a.element),
                ldb,
                &beta,
                c.address,
                data_type(c.element),
                m,
                compute_type(precision, a.element),
                DEFAULT_ALGORITHM,
            )
        };
        check("cublasGemmEx", status)
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle is not used again.
        unsafe { (self.destroy)(self.handle) };
    }
}

/// `CUBLAS_GEMM_DEFAULT`
const DEFAULT_ALGORITHM: c_int = -1;

/// `CUDA_R_32F`, `CUDA_R_16BF`
fn data_type(element: Element) -> c_int {
    match element {
        Element::F32 => 0,
        Element::Bf16 => 14,
    }
}

/// `CUBLAS_COMPUTE_32F`, `CUBLAS_COMPUTE_32F_PEDANTIC`, `CUBLAS_COMPUTE_32F_FAST_TF32`
fn compute_type(precision: Precision, factors: Element) -> c_int {
    match (factors, precision) {
        (Element::Bf16, _) => 68,
        (Element::F32, Precision::Tf32) => 77,
        (Element::F32, _) => 69,
    }
}

fn check(function: &'static str, status: Status) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Error::Refused { library: "cuBLAS", function, status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NVIDIA's library, where it is installed. `make cuda` installs it.
    #[test]
    fn the_library_has_the_functions() {
        match Loaded::open(CUBLAS, None) {
            Err(error) => eprintln!("skipped: {error}"),
            Ok(library) => {
                for name in ["cublasCreate_v2", "cublasDestroy_v2", "cublasSetStream_v2", "cublasGemmEx"] {
                    // SAFETY: it is not called.
                    unsafe { library.function::<unsafe extern "C" fn()>(name) }.expect(name);
                }
            }
        }
    }
}
