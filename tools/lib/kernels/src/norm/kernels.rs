//! The loops over pixels. Coefficients and sums are rows as in [`super::wide`].

use crate::isa::dispatch;

dispatch! {
    /// `z = y · scale + shift + residual`, then the ReLU with `relu`. An empty residual means none.
    fn normalize(y: &[f32], scale: &[f32], shift: &[f32], residual: &[f32], relu: bool, z: &mut [f32]) => normalize_kernel
}
dispatch! {
    /// Sets `grad_output` to 0 where z is not positive.
    fn mask(z: &[f32], grad_output: &mut [f32]) => mask_kernel
}
dispatch! {
    /// Adds `grad_output` to `sums` and `grad_output · (y - mean)` to `products`. With scale and shift in `relu`, only
    /// where the ReLU of [`normalize`] passed its input.
    fn add_gradients(y: &[f32], grad_output: &[f32], mean: &[f32], relu: Option<[&[f32]; 2]>, sums: &mut [f32], products: &mut [f32]) => sums_kernel
}
dispatch! {
    /// `out = grad_output · scale + y · b + c`, with `relu` of `grad_output` masked by the ReLU.
    fn propagate(y: &[f32], grad_output: &[f32], factors: Factors<'_>, relu: bool, out: &mut [f32]) => propagate_kernel
}
dispatch! {
    /// As [`propagate`], in place of `grad_output`.
    fn propagate_in_place(y: &[f32], grad_output: &mut [f32], factors: Factors<'_>, relu: bool) => in_place_kernel
}

/// The coefficients of [`propagate`]: those of [`normalize`], then `b` and `c`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors<'a> {
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    pub b: &'a [f32],
    pub c: &'a [f32],
}

#[inline(always)]
fn normalize_kernel(y: &[f32], scale: &[f32], shift: &[f32], residual: &[f32], relu: bool, z: &mut [f32]) {
    // Not f32::max, which drops NaN.
    let relu = |x: f32| if relu && x < 0.0 { 0.0 } else { x };
    let width = scale.len();
    if residual.is_empty() {
        for (y, z) in y.chunks(width).zip(z.chunks_mut(width)) {
            for (((y, z), a), b) in y.iter().zip(z).zip(scale).zip(shift) {
                *z = relu(y * a + b);
            }
        }
    } else {
        for ((y, z), r) in y.chunks(width).zip(z.chunks_mut(width)).zip(residual.chunks(width)) {
            for ((((y, z), r), a), b) in y.iter().zip(z).zip(r).zip(scale).zip(shift) {
                *z = relu(y * a + b + r);
            }
        }
    }
}

#[inline(always)]
fn mask_kernel(z: &[f32], grad_output: &mut [f32]) {
    for (grad_output, &z) in grad_output.iter_mut().zip(z) {
        *grad_output = if z > 0.0 { *grad_output } else { 0.0 };
    }
}

/// `grad_output` masked by the ReLU, whose input is recomputed with the bits of [`normalize`].
#[inline(always)]
fn through(y: f32, scale: f32, shift: f32, grad_output: f32) -> f32 {
    if y * scale + shift > 0.0 { grad_output } else { 0.0 }
}

#[inline(always)]
fn sums_kernel(
    y: &[f32],
    grad_output: &[f32],
    mean: &[f32],
    relu: Option<[&[f32]; 2]>,
    sums: &mut [f32],
    products: &mut [f32],
) {
    let width = mean.len();
    for (y, grad_output) in y.chunks(width).zip(grad_output.chunks(width)) {
        let sums = sums.iter_mut().zip(&mut *products);
        let elements = y.iter().zip(grad_output).zip(mean).zip(sums);
        if let Some([scale, shift]) = relu {
            for ((((y, grad_output), mean), (sum, product)), (&scale, &shift)) in elements.zip(scale.iter().zip(shift))
            {
                let grad_output = through(*y, scale, shift, *grad_output);
                *sum += grad_output;
                *product += grad_output * (y - mean);
            }
        } else {
            for (((y, grad_output), mean), (sum, product)) in elements {
                *sum += grad_output;
                *product += grad_output * (y - mean);
            }
        }
    }
}

#[inline(always)]
fn propagate_kernel(y: &[f32], grad_output: &[f32], factors: Factors<'_>, relu: bool, out: &mut [f32]) {
    let Factors { scale, shift, b, c } = factors;
    let width = scale.len();
    for ((y, grad_output), out) in y.chunks(width).zip(grad_output.chunks(width)).zip(out.chunks_mut(width)) {
        let factors = scale.iter().zip(shift).zip(b).zip(c);
        for (((&y, &grad_output), out), (((&scale, &shift), b), c)) in y.iter().zip(grad_output).zip(out).zip(factors) {
            let grad_output = if relu { through(y, scale, shift, grad_output) } else { grad_output };
            *out = grad_output * scale + (y * b + c);
        }
    }
}

#[inline(always)]
fn in_place_kernel(y: &[f32], grad_output: &mut [f32], factors: Factors<'_>, relu: bool) {
    let Factors { scale, shift, b, c } = factors;
    let width = scale.len();
    for (y, grad_output) in y.chunks(width).zip(grad_output.chunks_mut(width)) {
        let factors = scale.iter().zip(shift).zip(b).zip(c);
        for ((&y, grad_output), (((&scale, &shift), b), c)) in y.iter().zip(grad_output).zip(factors) {
            let own = if relu { through(y, scale, shift, *grad_output) } else { *grad_output };
            *grad_output = own * scale + (y * b + c);
        }
    }
}
