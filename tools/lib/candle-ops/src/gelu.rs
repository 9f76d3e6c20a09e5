//! GELU.

use crate::values::{cpu, row_major, takes};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Elements of a task.
const BLOCK: usize = 1 << 14;

/// As [`Tensor::gelu_erf`], `x · Φ(x)`, for any shape; the error is at most about 3e-7 · max(1, |x|).
///
/// Runs candle's own operation for tensors that are not f32 on the CPU.
///
/// # Errors
/// If candle refuses.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if takes(&[x]) { x.apply_op1(Gelu) } else { x.gelu_erf() }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "kernels-gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = row_major(x, layout)?.into_owned();
        y.par_chunks_mut(BLOCK).for_each(kernels::gelu);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad_output: &Tensor) -> Result<Option<Tensor>> {
        let mut found = grad_output.flatten_all()?.to_vec1::<f32>()?;
        let (storage, layout) = x.storage_and_layout();
        let inputs = row_major(cpu(&storage)?, layout)?;
        let blocks = inputs.par_chunks(BLOCK).zip(found.par_chunks_mut(BLOCK));
        blocks.for_each(|(inputs, found)| kernels::gelu_backward(inputs, found));
        Tensor::from_vec(found, x.dims(), &Device::Cpu).map(Some)
    }
}
