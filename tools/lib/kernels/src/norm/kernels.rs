//! The passes over pixels. Factors and sums are rows as in [`super::wide`].

use crate::isa::dispatch;

dispatch! {
    /// `z = y · scale + shift + residual`, at least 0 with `relu`; an empty residual is none.
    fn normalize(y: &[f32], scale: &[f32], shift: &[f32], residual: &[f32], relu: bool, z: &mut [f32]) => normalize_kernel
}
dispatch! {
    /// Sets the gradient to 0 where the ReLU gave nothing.
    fn mask(z: &[f32], delta: &mut [f32]) => mask_kernel
}
dispatch! {
    /// Adds up the gradient, and its products with the distances from the mean; with the factors of [`normalize`]
    /// only where a ReLU let the result through.
    fn add_gradients(y: &[f32], delta: &[f32], mean: &[f32], relu: Option<[&[f32]; 2]>, sums: &mut [f32], products: &mut [f32]) => sums_kernel
}
dispatch! {
    /// `out = delta · scale + y · b + c`, with `relu` of the delta where a ReLU let the result through.
    fn propagate(y: &[f32], delta: &[f32], factors: Factors<'_>, relu: bool, out: &mut [f32]) => propagate_kernel
}
dispatch! {
    /// As [`propagate`], in place of `delta`.
    fn propagate_in_place(y: &[f32], delta: &mut [f32], factors: Factors<'_>, relu: bool) => in_place_kernel
}

/// What the backward pass multiplies by: the factors of [`normalize`], and two of its own.
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
fn mask_kernel(z: &[f32], delta: &mut [f32]) {
    for (delta, &z) in delta.iter_mut().zip(z) {
        *delta = if z > 0.0 { *delta } else { 0.0 };
    }
}

/// What a ReLU let through of the gradient: the sum is that of [`normalize`], to the bit.
#[inline(always)]
fn through(y: f32, scale: f32, shift: f32, delta: f32) -> f32 {
    if y * scale + shift > 0.0 { delta } else { 0.0 }
}

#[inline(always)]
fn sums_kernel(
    y: &[f32],
    delta: &[f32],
    mean: &[f32],
    relu: Option<[&[f32]; 2]>,
    sums: &mut [f32],
    products: &mut [f32],
) {
    let width = mean.len();
    for (y, delta) in y.chunks(width).zip(delta.chunks(width)) {
        let sums = sums.iter_mut().zip(&mut *products);
        let elements = y.iter().zip(delta).zip(mean).zip(sums);
        if let Some([scale, shift]) = relu {
            for ((((y, delta), mean), (sum, product)), (&scale, &shift)) in elements.zip(scale.iter().zip(shift)) {
                let delta = through(*y, scale, shift, *delta);
                *sum += delta;
                *product += delta * (y - mean);
            }
        } else {
            for (((y, delta), mean), (sum, product)) in elements {
                *sum += delta;
                *product += delta * (y - mean);
            }
        }
    }
}

#[inline(always)]
fn propagate_kernel(y: &[f32], delta: &[f32], factors: Factors<'_>, relu: bool, out: &mut [f32]) {
    let Factors { scale, shift, b, c } = factors;
    let width = scale.len();
    for ((y, delta), out) in y.chunks(width).zip(delta.chunks(width)).zip(out.chunks_mut(width)) {
        let factors = scale.iter().zip(shift).zip(b).zip(c);
        for (((&y, &delta), out), (((&scale, &shift), b), c)) in y.iter().zip(delta).zip(out).zip(factors) {
            let delta = if relu { through(y, scale, shift, delta) } else { delta };
            *out = delta * scale + (y * b + c);
        }
    }
}

#[inline(always)]
fn in_place_kernel(y: &[f32], delta: &mut [f32], factors: Factors<'_>, relu: bool) {
    let Factors { scale, shift, b, c } = factors;
    let width = scale.len();
    for (y, delta) in y.chunks(width).zip(delta.chunks_mut(width)) {
        let factors = scale.iter().zip(shift).zip(b).zip(c);
        for ((&y, delta), (((&scale, &shift), b), c)) in y.iter().zip(delta).zip(factors) {
            let own = if relu { through(y, scale, shift, *delta) } else { *delta };
            *delta = own * scale + (y * b + c);
        }
    }
}
