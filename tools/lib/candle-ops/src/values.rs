//! Conversion between candle tensors and the slices of kernels.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, backend::BackendStorage, bail};
use kernels::layout::{nchw_to_nhwc, nhwc_to_nchw};
use std::borrow::Cow;

/// Whether the kernels support all of these tensors: f32 on the CPU.
pub(crate) fn takes(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32 && tensor.device().is_cpu())
}

/// An error unless [`takes`].
pub(crate) fn check(name: &str, tensors: &[&Tensor]) -> Result<()> {
    if let Some(tensor) = tensors.iter().find(|tensor| !takes(&[tensor])) {
        bail!("{name}: takes f32 on the CPU, and gets {} on {:?}", tensor.dtype().as_str(), tensor.device().location())
    }
    Ok(())
}

/// The storage of a tensor on the CPU.
pub(crate) fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => bail!("a kernel of the CPU gets a tensor of another device"),
    }
}

/// The elements in row-major order, borrowed if they are stored so.
pub(crate) fn row_major<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Cow<'a, [f32]>> {
    let all = storage.as_slice::<f32>()?;
    Ok(match layout.contiguous_offsets() {
        Some((start, end)) => Cow::Borrowed(&all[start..end]),
        None => {
            let mut copy = CpuStorage::F32(vec![0.0; layout.shape().elem_count()]);
            storage.copy_strided_src(&mut copy, 0, layout)?;
            match copy {
                CpuStorage::F32(values) => Cow::Owned(values),
                _ => bail!("candle gives another type for f32"),
            }
        }
    })
}

/// The elements of `[rows, channels, …]` as `[rows, …, channels]`, borrowed if they are stored so.
pub(crate) fn channels_last<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Cow<'a, [f32]>> {
    let dims: Vec<usize> = [0].into_iter().chain(2..layout.dims().len()).chain([1]).collect();
    if let Some((start, end)) = layout.permute(&dims)?.contiguous_offsets() {
        return Ok(Cow::Borrowed(&storage.as_slice::<f32>()?[start..end]));
    }
    let from = row_major(storage, layout)?;
    let mut to = vec![0.0; from.len()];
    nchw_to_nhwc(&from, &mut to, layout.dims()[1], pixels(layout.dims()));
    Ok(Cow::Owned(to))
}

/// As [`channels_last`], of a tensor.
pub(crate) fn tensor_channels_last(tensor: &Tensor) -> Result<Vec<f32>> {
    let (storage, layout) = tensor.storage_and_layout();
    Ok(channels_last(cpu(&storage)?, layout)?.into_owned())
}

/// The elements of `[rows, …, channels]` as row-major `dims`, `[rows, channels, …]`.
pub(crate) fn channels_second(from: Vec<f32>, dims: &[usize]) -> Vec<f32> {
    if dims[1] == 1 || pixels(dims) == 1 {
        return from;
    }
    let mut to = vec![0.0; from.len()];
    nhwc_to_nchw(&from, &mut to, dims[1], pixels(dims));
    to
}

/// As [`channels_second`], for the output of a forward pass.
pub(crate) fn output(from: Vec<f32>, dims: &[usize]) -> (CpuStorage, Shape) {
    (CpuStorage::F32(channels_second(from, dims)), dims.into())
}

/// As [`channels_second`], for the gradient of `like`.
pub(crate) fn gradient(from: Vec<f32>, like: &Tensor) -> Result<Option<Tensor>> {
    Tensor::from_vec(channels_second(from, like.dims()), like.dims(), &Device::Cpu).map(Some)
}

/// Pixels of an image of `[rows, channels, …]`.
fn pixels(dims: &[usize]) -> usize {
    dims[2..].iter().product()
}
