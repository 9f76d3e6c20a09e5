//! Convolutions.

use crate::values::{channels_last, cpu, gradient, output, row_major, takes};
use candle_core::{CpuStorage, CustomOp2, Device, Error, Layout, Result, Shape, Tensor, bail};
use kernels::{
    Operand,
    conv::{Conv, ConvShape},
};

/// As [`Tensor::conv2d`]: `x` `[rows, inputs, height, width]` and `weight` `[outputs, inputs / groups, kernel, kernel]`
/// to `[rows, outputs, height', width']`.
///
/// Runs candle's own operation where the kernels do not support the arguments: see [the crate](crate).
///
/// # Errors
/// If the shapes are not a valid convolution, or candle refuses.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    padding: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
) -> Result<Tensor> {
    let (images, channels, height, width) = x.dims4()?;
    let (outputs, inputs, kernel, kernel_width) = weight.dims4()?;
    if [x.elem_count(), weight.elem_count(), stride, dilation, groups].contains(&0) {
        bail!(
            "conv2d: a size of 0: input {:?}, weight {:?}, stride {stride}, dilation {dilation}, groups {groups}",
            x.dims(),
            weight.dims()
        )
    }
    if inputs.checked_mul(groups) != Some(channels) || outputs % groups != 0 {
        bail!("conv2d: weight {:?} in {groups} groups on an input of {channels} channels", weight.dims())
    }
    if !fits(height, kernel, padding, dilation) || !fits(width, kernel_width, padding, dilation) {
        bail!(
            "conv2d: a kernel of {kernel} × {kernel_width} with dilation {dilation} on an input of \
            {height} × {width} with padding {padding}"
        )
    }
    let plain = dilation == 1 && groups == 1 && kernel == kernel_width && padding < kernel;
    if !plain || !takes(&[x, weight]) {
        return x.conv2d(weight, padding, stride, dilation, groups);
    }
    let shape = ConvShape { images, height, width, inputs, outputs, kernel, stride, padding };
    let conv = Conv::new(shape).map_err(|problem| Error::msg(format!("conv2d: {problem}")))?;
    x.apply_op2(weight, Convolution(conv))
}

/// Whether a dilated kernel fits a padded side, without overflow.
fn fits(side: usize, kernel: usize, padding: usize, dilation: usize) -> bool {
    let padded = padding.checked_mul(2).and_then(|both| both.checked_add(side));
    let span = (kernel - 1).checked_mul(dilation);
    matches!((padded, span), (Some(padded), Some(span)) if span < padded)
}

/// A planned convolution.
struct Convolution(Conv);

impl Convolution {
    fn workspace(&self) -> Vec<f32> {
        vec![0.0; self.0.workspace_len(rayon::current_num_threads())]
    }

    /// `grad_input` from `grad_output`, both NHWC.
    fn grad_input(&self, weight: &Tensor, grad_output: &[f32]) -> Result<Vec<f32>> {
        let (storage, layout) = weight.storage_and_layout();
        let mut packed = vec![0.0; self.0.packed_backward_len()];
        self.0.pack_backward(&row_major(cpu(&storage)?, layout)?, &mut packed);
        let mut found = vec![0.0; self.0.shape().input_len()];
        self.0.backward_input(grad_output, &packed, &mut found, false, &mut self.workspace());
        Ok(found)
    }

    /// `grad_weight` from `grad_output`, NHWC.
    fn grad_weight(&self, x: &Tensor, grad_output: &[f32]) -> Result<Vec<f32>> {
        let (storage, layout) = x.storage_and_layout();
        let mut found = vec![0.0; self.0.shape().weights_len()];
        self.0.backward_weights(
            &channels_last(cpu(&storage)?, layout)?,
            grad_output,
            &mut found,
            &mut self.workspace(),
        );
        Ok(found)
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "kernels-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = self.0.shape();
        let mut packed = vec![0.0; self.0.packed_forward_len()];
        self.0.pack_forward(&row_major(weight, weight_layout)?, &mut packed);
        let mut y = vec![0.0; shape.output_len()];
        self.0.forward(Operand::Plain(&channels_last(x, x_layout)?), &packed, &mut y, &mut self.workspace());
        Ok(output(y, &[shape.images, shape.outputs, shape.out_height(), shape.out_width()]))
    }

    // candle panics if a tensor that depends on a variable gets no gradient; other gradients are optional.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad_output: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (storage, layout) = grad_output.storage_and_layout();
        let grad_output = channels_last(cpu(&storage)?, layout)?;
        let grad_x = if x.track_op() { gradient(self.grad_input(weight, &grad_output)?, x)? } else { None };
        let grad_weight = if weight.track_op() {
            Some(Tensor::from_vec(self.grad_weight(x, &grad_output)?, weight.dims(), &Device::Cpu)?)
        } else {
            None
        };
        Ok((grad_x, grad_weight))
    }
}
