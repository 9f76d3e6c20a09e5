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
    /// Adds up the gradient, and its products with the distances from the mean.
    fn add_gradients(y: &[f32], delta: &[f32], mean: &[f32], sums: &mut [f32], products: &mut [f32]) => sums_kernel
}
dispatch! {
    /// `out = delta · a + y · b + c`
    fn propagate(y: &[f32], delta: &[f32], a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) => propagate_kernel
}
dispatch! {
    /// `delta = delta · a + y · b + c`
    fn propagate_in_place(y: &[f32], delta: &mut [f32], a: &[f32], b: &[f32], c: &[f32]) => in_place_kernel
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

#[inline(always)]
fn sums_kernel(y: &[f32], delta: &[f32], mean: &[f32], sums: &mut [f32], products: &mut [f32]) {
    let width = mean.len();
    for (y, delta) in y.chunks(width).zip(delta.chunks(width)) {
        for ((((y, delta), mean), sum), product) in y.iter().zip(delta).zip(mean).zip(&mut *sums).zip(&mut *products) {
            *sum += delta;
            *product += delta * (y - mean);
        }
    }
}

#[inline(always)]
fn propagate_kernel(y: &[f32], delta: &[f32], a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
    let width = a.len();
    for ((y, delta), out) in y.chunks(width).zip(delta.chunks(width)).zip(out.chunks_mut(width)) {
        for (((((y, delta), out), a), b), c) in y.iter().zip(delta).zip(out).zip(a).zip(b).zip(c) {
            *out = delta * a + (y * b + c);
        }
    }
}

#[inline(always)]
fn in_place_kernel(y: &[f32], delta: &mut [f32], a: &[f32], b: &[f32], c: &[f32]) {
    let width = a.len();
    for (y, delta) in y.chunks(width).zip(delta.chunks_mut(width)) {
        for ((((y, delta), a), b), c) in y.iter().zip(delta).zip(a).zip(b).zip(c) {
            *delta = *delta * a + (y * b + c);
        }
    }
}
