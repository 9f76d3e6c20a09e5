//! Max and average pooling.

use crate::values::{channels_last, check, gradient, output, tensor_channels_last};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use kernels::pool::Pool;

/// Max pooling of `x` `[rows, channels, height, width]`: non-overlapping size × size windows, no padding, edge remainder
/// dropped (PyTorch's `MaxPool2d(size)`). The gradient goes to the first maximum of a window, in row order, as in PyTorch;
/// that of candle 0.11's [`Tensor::max_pool2d`] is too small by a factor.
///
/// # Errors
/// If `size` is larger than the image, or `x` is not f32 on the CPU.
pub fn max_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    pool2d("max_pool2d", x, size, Kind::Max)
}

/// Average pooling of `x` `[rows, channels, height, width]`: non-overlapping size × size windows, no padding, edge
/// remainder dropped, with gradient 0 (PyTorch's `AvgPool2d(size)`). candle 0.11's [`Tensor::avg_pool2d`] has a wrong
/// gradient for images with a remainder.
///
/// # Errors
/// If `size` is larger than the image, or `x` is not f32 on the CPU.
pub fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    pool2d("avg_pool2d", x, size, Kind::Average)
}

fn pool2d(name: &'static str, x: &Tensor, size: usize, kind: Kind) -> Result<Tensor> {
    check(name, &[x])?;
    let (rows, channels, height, width) = x.dims4()?;
    if x.elem_count() == 0 || size == 0 || size > height.min(width) {
        bail!("{name}: squares of {size} do not fit the input, {:?}", x.dims())
    }
    let pool = Pool::new(height, width, channels, [size, size]);
    x.apply_op1(Pooling { name, kind, pool, dims: [rows, channels, height / size, width / size] })
}

#[derive(Clone, Copy)]
enum Kind {
    Max,
    Average,
}

/// A planned pooling layer.
struct Pooling {
    name: &'static str,
    kind: Kind,
    pool: Pool,
    /// Dimensions of the output.
    dims: [usize; 4],
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = channels_last(x, layout)?;
        let mut y = vec![0.0; self.dims.iter().product()];
        match self.kind {
            Kind::Max => self.pool.max(&x, &mut y),
            Kind::Average => self.pool.average(&x, &mut y),
        }
        Ok(output(y, &self.dims))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad_output: &Tensor) -> Result<Option<Tensor>> {
        let grad_output = tensor_channels_last(grad_output)?;
        let mut found = vec![0.0; x.elem_count()];
        match self.kind {
            Kind::Max => self.pool.max_backward(&tensor_channels_last(x)?, &grad_output, &mut found, false),
            Kind::Average => self.pool.average_backward(&grad_output, &mut found, false),
        }
        gradient(found, x)
    }
}
