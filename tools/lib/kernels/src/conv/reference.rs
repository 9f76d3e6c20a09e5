//! The definition, in f64.

use super::shape::ConvShape;

/// Calls `f(output, input, weight)` with the indices of each product of a layer.
pub(super) fn products(s: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (s.out_height(), s.out_width());
    for (n, oy, ox) in (0..s.images * oh * ow).map(|i| (i / (oh * ow), i / ow % oh, i % ow)) {
        for (ky, kx) in (0..s.kernel * s.kernel).map(|i| (i / s.kernel, i % s.kernel)) {
            let (y, x) = ((oy * s.stride + ky).wrapping_sub(s.padding), (ox * s.stride + kx).wrapping_sub(s.padding));
            if y >= s.height || x >= s.width {
                continue;
            }
            for (o, c) in (0..s.outputs * s.inputs).map(|i| (i / s.inputs, i % s.inputs)) {
                f(
                    ((n * oh + oy) * ow + ox) * s.outputs + o,
                    ((n * s.height + y) * s.width + x) * s.inputs + c,
                    ((o * s.inputs + c) * s.kernel + ky) * s.kernel + kx,
                );
            }
        }
    }
}

/// What a layer should compute, beside the sum of the magnitudes of what it sums: the scale of rounding.
pub(super) fn sums(len: usize, run: impl FnOnce(&mut dyn FnMut(usize, f32, f32))) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]; len];
    run(&mut |i, a, b| {
        let product = f64::from(a) * f64::from(b);
        out[i][0] += product;
        out[i][1] += product.abs();
    });
    out
}
