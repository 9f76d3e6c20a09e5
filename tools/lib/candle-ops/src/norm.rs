//! Batch normalization by batch statistics.

use crate::values::{channels_last, check, cpu, gradient, output, row_major, tensor_channels_last};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use kernels::norm::{self, BatchNormOptions, Epilogue, ForwardEpilogue, RunningStatistics};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The output of [`batch_norm`], and the batch statistics.
#[derive(Debug, Clone)]
pub struct Normalized {
    /// As the input: `[rows, channels, …]`
    pub output: Tensor,
    /// `[channels]`; a constant to `backward`.
    pub mean: Tensor,
    /// `[channels]`, unbiased as for running statistics (0 for a single value); a constant to `backward`.
    pub variance: Tensor,
}

/// `(x - mean) / sqrt(variance + eps) · weight + bias` of each channel of `x` `[rows, channels, …]`, with the batch's
/// mean and biased variance; `weight` and `bias` `[channels]`.
///
/// # Errors
/// If the shapes do not match, `eps` is negative or NaN, or a tensor is not f32 on the CPU.
pub fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Normalized> {
    normalize("batch_norm", x, [weight, bias], eps, false)
}

/// As [`batch_norm`], followed by a fused ReLU: one pass over the activations in each direction. The gradient at 0 is 0.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_relu(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Normalized> {
    normalize("batch_norm_relu", x, [weight, bias], eps, true)
}

fn normalize(name: &'static str, x: &Tensor, [weight, bias]: [&Tensor; 2], eps: f64, relu: bool) -> Result<Normalized> {
    check(name, &[x, weight, bias])?;
    let channels = match *x.dims() {
        [_, channels, ..] if x.elem_count() > 0 => channels,
        _ => bail!("{name}: an input of {:?}; expected [rows, channels, …]", x.dims()),
    };
    if weight.dims() != [channels] || bias.dims() != [channels] {
        bail!("{name}: weight {:?} and bias {:?}; expected [{channels}] for {:?}", weight.dims(), bias.dims(), x.dims())
    }
    if eps.is_nan() || eps < 0.0 {
        bail!("{name}: eps is {eps}; expected a number of at least 0")
    }
    // With momentum 1, the kernel's running statistics are those of this batch.
    let options = BatchNormOptions { eps: eps as f32, momentum: 1.0 };
    let plan = Arc::new(Mutex::new(Plan {
        norm: norm::BatchNorm::new(x.elem_count() / channels, channels, options),
        mean: vec![0.0; channels],
        variance: vec![0.0; channels],
    }));
    let output = x.apply_op3(weight, bias, Normalization { name, relu, plan: plan.clone() })?;
    let plan = lock(&plan);
    let statistic = |values: &[f32]| Tensor::from_slice(values, channels, &Device::Cpu);
    Ok(Normalized { output, mean: statistic(&plan.mean)?, variance: statistic(&plan.variance)? })
}

/// The planned layer: the backward pass needs the statistics of the forward pass.
struct Plan {
    norm: norm::BatchNorm,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

struct Normalization {
    name: &'static str,
    relu: bool,
    plan: Arc<Mutex<Plan>>,
}

/// A poisoned lock is ignored: the panic of the kernel that poisoned it has its own message.
fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CustomOp3 for Normalization {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = channels_last(x, x_layout)?;
        let (weight, bias) = (row_major(weight, weight_layout)?, row_major(bias, bias_layout)?);
        let mut z = vec![0.0; x.len()];
        let Plan { norm, mean, variance } = &mut *lock(&self.plan);
        norm.compute_statistics(&x, RunningStatistics { mean, variance });
        norm.forward(&x, &weight, &bias, Epilogue { residual: None, relu: self.relu }, &mut z);
        Ok(output(z, x_layout.dims()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _z: &Tensor,
        grad_output: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut grad_output = tensor_channels_last(grad_output)?;
        let channels = weight.dims1()?;
        let (mut grad_weight, mut grad_bias) = (vec![0.0; channels], vec![0.0; channels]);
        {
            let (storage, layout) = x.storage_and_layout();
            let y = channels_last(cpu(&storage)?, layout)?;
            let epilogue = if self.relu { ForwardEpilogue::Relu } else { ForwardEpilogue::Linear };
            let pass = norm::BackwardPass { y: &y, epilogue, grad_weight: &mut grad_weight, grad_bias: &mut grad_bias };
            lock(&self.plan).norm.backward(pass, &mut grad_output, None);
        }
        let parameter = |values| Tensor::from_vec(values, channels, &Device::Cpu).map(Some);
        Ok((gradient(grad_output, x)?, parameter(grad_weight)?, parameter(grad_bias)?))
    }
}
