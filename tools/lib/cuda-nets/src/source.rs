//! The text of the kernels, and machines without a GPU that run it.

use cuda::source::{Grid, Program};

/// Threads of a block of the kernels that compute each element by itself.
pub const THREADS: usize = 256;

/// The kernels.
pub fn program() -> Program {
    Program::new(&[
        include_str!("../kernels/types.cuh"),
        include_str!("../kernels/layout.cu"),
        include_str!("../kernels/images.cu"),
        include_str!("../kernels/loss.cu"),
        include_str!("../kernels/optimizer.cu"),
        include_str!("../kernels/activation.cu"),
        include_str!("../kernels/pool.cu"),
        include_str!("../kernels/norm.cu"),
    ])
}

/// A driver, an NVRTC, a cuBLAS and a cuDNN in one library, as C++: they run the kernels of this crate and of `cuda` on the
/// CPU. For tests of what calls them.
pub fn fake_machine() -> String {
    let driver = cuda::source::fake_driver_of(&[cuda::source::program(), program()]);
    [&driver, include_str!("../kernels/fake_cublas.cc"), include_str!("../kernels/fake_cudnn.cc")].join("\n")
}

/// The grid of a kernel whose threads have `per_thread` elements of `count` each.
pub fn grid(count: usize, per_thread: usize) -> Grid {
    Grid::new(count.div_ceil(per_thread * THREADS), THREADS, 0)
}
