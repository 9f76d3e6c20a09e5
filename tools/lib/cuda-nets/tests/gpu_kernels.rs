//! Each kernel of the network on a machine without a GPU, against plain loops in `f64`.

#![allow(unsafe_code, reason = "calls of kernels")]

mod machine;

use cuda_nets::{
    Element, Gpu,
    calls::{self, NormArrays, Shape, Tiling},
};
use cudarc::driver::CudaSlice;
use half::bf16;
use random::Random;

const ELEMENTS: [Element; 2] = [Element::F32, Element::Bf16];
/// Elements after an array, which no kernel may write.
const GUARD: usize = 8;

// SAFETY of all calls in this file: arrays are of `array`, which have the elements that a call's shape says.

/// Values as an array's type keeps them.
fn kept(element: Element, values: &[f32]) -> Vec<f32> {
    let round = |x: f32| match element {
        Element::F32 => x,
        Element::Bf16 => bf16::from_f32(x).to_f32(),
    };
    values.iter().map(|&x| round(x)).collect()
}

/// An array in the GPU's memory, with a guard after it.
struct Array {
    bytes: CudaSlice<u8>,
    element: Element,
    count: usize,
}

fn array(gpu: &Gpu, element: Element, values: &[f32]) -> Array {
    let guarded = values.iter().copied().chain([77.0; GUARD]);
    let bytes: Vec<u8> = match element {
        Element::F32 => guarded.flat_map(f32::to_le_bytes).collect(),
        Element::Bf16 => guarded.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
    };
    Array { bytes: gpu.upload("an array", &bytes).expect("memory"), element, count: values.len() }
}

impl Array {
    fn at(&self, gpu: &Gpu) -> u64 {
        gpu.address(&self.bytes)
    }

    fn read(&self, gpu: &Gpu) -> Vec<f32> {
        let bytes = gpu.stream().clone_dtoh(&self.bytes).expect("copied");
        let mut values: Vec<f32> = match self.element {
            Element::F32 => bytes.chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect(),
            Element::Bf16 => bytes.chunks_exact(2).map(|x| bf16::from_le_bytes([x[0], x[1]]).to_f32()).collect(),
        };
        assert!(values[self.count..].iter().all(|&x| x == 77.0), "a kernel wrote beyond its elements");
        values.truncate(self.count);
        values
    }
}

fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..count).map(|_| random.normal() as f32).collect()
}

/// Within rounding to the type, and `tolerance` in units of the magnitude.
fn near(element: Element, found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let rounding = if element == Element::Bf16 { 2f64.powi(-8) } else { 0.0 };
    for (i, (&x, &y)) in found.iter().zip(expected).enumerate() {
        let allowed = (rounding + tolerance) * y.abs() + tolerance;
        assert!((f64::from(x) - y).abs() <= allowed, "{what}[{i}] is {x}, expected {y}");
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

#[test]
fn bf16_rounds_to_nearest_even() {
    let Some(gpu) = machine::gpu() else { return };
    let odd = [0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1e-42];
    let ties = (0..2000u32).map(|i| f32::from_bits(0x3f80_0000 + i * 0x4000));
    let values: Vec<f32> = odd.into_iter().chain(ties).collect();
    for count in (0..20).chain([values.len()]) {
        let (from, zeros) = (array(&gpu, Element::F32, &values[..count]), vec![0.0; count]);
        let (narrow, back) = (array(&gpu, Element::Bf16, &zeros), array(&gpu, Element::F32, &zeros));
        // SAFETY: as above.
        unsafe {
            let middle = (Element::Bf16, narrow.at(&gpu));
            calls::convert(&gpu, (Element::F32, from.at(&gpu)), middle, count).expect("run");
            calls::convert(&gpu, middle, (Element::F32, back.at(&gpu)), count).expect("run");
        }
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back.read(&gpu)), bits(&kept(Element::Bf16, &values[..count])));
        narrow.read(&gpu);
    }
}

#[test]
fn a_transpose_of_each_row() {
    let Some(gpu) = machine::gpu() else { return };
    for (from, to) in [(Element::F32, Element::F32), (Element::F32, Element::Bf16), (Element::Bf16, Element::Bf16)] {
        for [batch, rows, columns] in [[1, 1, 1], [3, 2, 5], [2, 16, 9], [7, 3, 64]] {
            let values = kept(from, &normal(1, batch * rows * columns));
            let start = kept(to, &normal(2, values.len()));
            for accumulate in [false, true] {
                let (x, y) = (array(&gpu, from, &values), array(&gpu, to, &start));
                let (from, to) = ((from, x.at(&gpu)), (to, y.at(&gpu)));
                // SAFETY: as above.
                unsafe { calls::transpose(&gpu, from, to, [batch, rows, columns], accumulate) }.expect("run");
                let expected = (0..values.len()).map(|at| {
                    let (n, j, i) = (at / (rows * columns), at / rows % columns, at % rows);
                    let before = if accumulate { start[at] } else { 0.0 };
                    before + values[(n * rows + i) * columns + j]
                });
                assert_eq!(y.read(&gpu), kept(to.0, &expected.collect::<Vec<_>>()));
            }
        }
    }
}

/// Ties go to the first, NaN is the maximum, and what no window has is left as it is.
#[test]
fn pooling_and_its_gradient() {
    let Some(gpu) = machine::gpu() else { return };
    for element in ELEMENTS {
        for (channels, height, width, size) in [
            (1, 4, 4, [2, 2]),
            (3, 5, 7, [2, 2]),
            (8, 7, 6, [3, 3]),
            (16, 4, 5, [4, 5]),
            (12, 3, 3, [1, 1]),
            (8, 5, 7, [2, 3]),
        ] {
            for max in [true, false] {
                check_pool(&gpu, element, [channels, height, width], size, max);
            }
        }
    }
}

fn check_pool(gpu: &Gpu, element: Element, [channels, height, width]: [usize; 3], size: [usize; 2], max: bool) {
    let [tall, wide] = size;
    let (rows, h, w) = (3, height / tall, width / wide);
    // Few values, so that there are ties.
    let mut values: Vec<f32> = normal(3, rows * height * width * channels).iter().map(|x| x.round()).collect();
    if max {
        values[channels - 1] = f32::NAN;
    }
    let grad_y = kept(element, &normal(4, rows * h * w * channels));
    let start = kept(element, &normal(5, values.len()));
    let (mut y, mut slope) = (vec![0.0f32; grad_y.len()], vec![0.0f32; values.len()]);
    for (out, &dy) in grad_y.iter().enumerate() {
        let (c, ox, oy, n) = (out % channels, out / channels % w, out / (channels * w) % h, out / (channels * w * h));
        let at = |i: usize| ((n * height + oy * tall + i / wide) * width + ox * wide + i % wide) * channels + c;
        let window: Vec<f32> = (0..tall * wide).map(|i| values[at(i)]).collect();
        if max {
            let mut best = 0;
            for (i, x) in window.iter().enumerate() {
                best = if x.is_nan() || *x > window[best] { i } else { best };
            }
            y[out] = window[best];
            slope[at(best)] = dy;
        } else {
            let area = (tall * wide) as f32;
            y[out] = window.iter().sum::<f32>() / area;
            (0..tall * wide).for_each(|i| slope[at(i)] = dy / area);
        }
    }
    let (input, output) = (array(gpu, element, &values), array(gpu, element, &vec![0.0; y.len()]));
    let sizes = (rows, [channels, height, width], size);
    // SAFETY: as above.
    unsafe { calls::pool(gpu, (max, element), sizes, input.at(gpu), output.at(gpu)) }.expect("run");
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&output.read(gpu)), bits(&kept(element, &y)), "{channels} {size:?} {max}");
    for accumulate in [false, true] {
        let (dy, dx) = (array(gpu, element, &grad_y), array(gpu, element, &start));
        let arrays = (input.at(gpu), dy.at(gpu), dx.at(gpu));
        // SAFETY: as above.
        unsafe { calls::pool_backward(gpu, (max, element), sizes, arrays, accumulate) }.expect("run");
        let inside = |at: usize| at / channels % width < w * wide && at / (channels * width) % height < h * tall;
        let expected = (0..values.len()).map(|at| match (inside(at), accumulate) {
            (false, _) => start[at],
            (true, false) => slope[at],
            (true, true) => start[at] + slope[at],
        });
        assert_eq!(dx.read(gpu), kept(element, &expected.collect::<Vec<_>>()), "{channels} {size:?} {max}");
    }
}

/// The function of a number in activation.cu, and its derivative.
fn activation(number: u32, z: f64) -> (f64, f64) {
    let phi = 0.5 * (1.0 + libm::erf(z / 2f64.sqrt()));
    let sigmoid = 1.0 / (1.0 + (-z).exp());
    match number {
        0 => (z, 1.0),
        1 => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
        2 => (z.tanh(), 1.0 - z.tanh().powi(2)),
        3 => (sigmoid, sigmoid * (1.0 - sigmoid)),
        _ => (z * phi, phi + z * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()),
    }
}

#[test]
fn activations_and_their_gradients() {
    let Some(gpu) = machine::gpu() else { return };
    for element in ELEMENTS {
        for count in [1, 3, 4, 7, 8, 9, 1000] {
            let shape = Shape { rows: count, channels: 1, element };
            let mut x = kept(element, &normal(6, count));
            x[0] = -60.0;
            x[count / 2] = 0.0;
            let (grad_y, start) = (kept(element, &normal(7, count)), kept(element, &normal(8, count)));
            for number in 1..5 {
                let (input, dy) = (array(&gpu, element, &x), array(&gpu, element, &grad_y));
                let (y, dx) = (array(&gpu, element, &start), array(&gpu, element, &start));
                // SAFETY: as above.
                unsafe {
                    calls::activation(&gpu, shape, input.at(&gpu), number, y.at(&gpu)).expect("run");
                    let arrays = (input.at(&gpu), dy.at(&gpu), dx.at(&gpu));
                    calls::activation_backward(&gpu, shape, arrays, number, true).expect("run");
                }
                let expected: Vec<f64> = x.iter().map(|&x| activation(number, f64::from(x)).0).collect();
                near(element, &y.read(&gpu), &expected, 1e-6, "an activation");
                let slope = |i: usize| f64::from(grad_y[i]) * activation(number, f64::from(x[i])).1;
                let expected: Vec<f64> = (0..count).map(|i| f64::from(start[i]) + slope(i)).collect();
                near(element, &dx.read(&gpu), &expected, 1e-6, "its gradient");
            }
            let (a, b, y) = (array(&gpu, element, &x), array(&gpu, element, &grad_y), array(&gpu, element, &start));
            // SAFETY: as above.
            unsafe {
                calls::add(&gpu, shape, a.at(&gpu), b.at(&gpu), y.at(&gpu)).expect("run");
                calls::scale(&gpu, shape, a.at(&gpu), 0.5, true, b.at(&gpu)).expect("run");
            }
            let sum = |factor: f32| x.iter().zip(&grad_y).map(|(a, b)| factor * a + b).collect::<Vec<_>>();
            assert_eq!(y.read(&gpu), kept(element, &sum(1.0)));
            assert_eq!(b.read(&gpu), kept(element, &sum(0.5)));
        }
    }
}

/// Statistics of columns in `f64`: mean and sum of squared deviations.
fn statistics(x: &[f32], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = (x.len() / channels) as f64;
    let column = |c: usize| x.iter().skip(c).step_by(channels).map(|&x| f64::from(x));
    let means: Vec<f64> = (0..channels).map(|c| column(c).sum::<f64>() / rows).collect();
    let squares = (0..channels).map(|c| column(c).map(|x| (x - means[c]).powi(2)).sum()).collect();
    (means, squares)
}

/// Rows from one to more than a block has, channels of every division; a mean that is large beside the deviation.
#[test]
fn batch_statistics_lose_nothing() {
    let Some(gpu) = machine::gpu() else { return };
    for element in ELEMENTS {
        for channels in [1, 3, 8, 10, 24, 64, 264, 520] {
            for rows in [1, 2, 31, 65, 3000 / channels, 40_000 / channels] {
                let shape = Shape { rows: rows.max(1), channels, element };
                let x: Vec<f32> = normal(9, shape.count()).iter().map(|x| 100.0 + 0.5 * x).collect();
                check_statistics(&gpu, shape, &kept(element, &x));
            }
        }
    }
}

fn check_statistics(gpu: &Gpu, shape: Shape, x: &[f32]) {
    let Shape { rows, channels, element } = shape;
    let input = array(gpu, element, x);
    let partials = array(gpu, Element::F32, &vec![f32::NAN; Tiling::capacity(channels)]);
    let found = array(gpu, Element::F32, &vec![f32::NAN; 2 * channels]);
    let (mean, variance) = (vec![1.0; channels], vec![2.0; channels]);
    let running = (array(gpu, Element::F32, &mean), array(gpu, Element::F32, &variance));
    let (momentum, eps) = (0.25, 1e-3);
    // SAFETY: as above.
    unsafe {
        let arrays = (input.at(gpu), partials.at(gpu), found.at(gpu));
        let running = (running.0.at(gpu), running.1.at(gpu));
        calls::statistics(gpu, shape, arrays, (momentum, eps), running).expect("run");
    }
    partials.read(gpu);
    let (means, squares) = statistics(x, channels);
    let rstd = squares.iter().map(|square| 1.0 / (square / rows as f64 + f64::from(eps)).sqrt());
    let expected: Vec<f64> = means.iter().copied().chain(rstd).collect();
    near(Element::F32, &found.read(gpu), &expected, 2e-6, &format!("statistics of {rows} × {channels}"));
    let expected: Vec<f64> = means.iter().map(|mean| 0.75 + 0.25 * mean).collect();
    near(Element::F32, &running.0.read(gpu), &expected, 1e-6, "running mean");
    let unbiased = squares.iter().map(|square| square / (rows as f64 - 1.0).max(1.0));
    let expected: Vec<f64> = unbiased.map(|variance| 1.5 + 0.25 * variance).collect();
    near(Element::F32, &running.1.read(gpu), &expected, 2e-6, "running variance");
}

#[test]
fn norms_and_their_gradients() {
    let Some(gpu) = machine::gpu() else { return };
    for element in ELEMENTS {
        for (rows, channels) in [(1, 3), (70, 8), (33, 10), (2500, 16), (300, 264)] {
            for number in 0..5 {
                for residual in [false, true] {
                    check_norm(&gpu, Shape { rows, channels, element }, number, residual);
                }
            }
        }
    }
}

fn check_norm(gpu: &Gpu, shape: Shape, number: u32, has_residual: bool) {
    let Shape { rows, channels, element } = shape;
    let values = |seed: u64| kept(element, &normal(seed, shape.count()));
    let (x, residual, grad_y, start) = (values(10), values(11), values(12), values(13));
    let parameters = normal(14, 4 * channels);
    let (statistics, affine) = parameters.split_at(2 * channels);
    let [x_array, other, dy, y, dx, dr] =
        [&x, &residual, &grad_y, &start, &start, &start].map(|x| array(gpu, element, x));
    let flat = |values: &[f32]| array(gpu, Element::F32, values);
    let (statistics_array, scale, shift) = (flat(statistics), flat(&affine[..channels]), flat(&affine[channels..]));
    let (partials, sums) = (flat(&vec![f32::NAN; Tiling::capacity(channels)]), flat(&vec![0.0; 2 * channels]));
    let arrays = NormArrays {
        x: x_array.at(gpu),
        residual: if has_residual { other.at(gpu) } else { 0 },
        statistics: statistics_array.at(gpu),
        scale: scale.at(gpu),
        shift: shift.at(gpu),
    };
    let grads = (flat(&vec![0.0; channels]), flat(&vec![0.0; channels]));
    // SAFETY: as above.
    unsafe {
        calls::norm(gpu, shape, arrays, number, y.at(gpu)).expect("run");
        let results = (sums.at(gpu), grads.0.at(gpu), grads.1.at(gpu));
        calls::norm_sums(gpu, shape, arrays, (dy.at(gpu), number), partials.at(gpu), results).expect("run");
        let targets = ((dx.at(gpu), true), (dr.at(gpu), false));
        calls::norm_backward(gpu, shape, arrays, (dy.at(gpu), sums.at(gpu), number), targets).expect("run");
    }
    // In f64: the normalized x, the output, and the gradient before the activation.
    let (mut normal, mut output, mut slope) = (vec![], vec![], vec![]);
    let wide_of = |values: &[f32], i: usize| f64::from(values[i]);
    for i in 0..shape.count() {
        let c = i % channels;
        normal.push((wide_of(&x, i) - wide_of(statistics, c)) * wide_of(statistics, channels + c));
        let other = if has_residual { wide_of(&residual, i) } else { 0.0 };
        let (value, derivative) =
            activation(number, normal[i] * wide_of(affine, c) + wide_of(affine, channels + c) + other);
        output.push(value);
        slope.push(wide_of(&grad_y, i) * derivative);
    }
    let column = |values: &[f64], c: usize| values.iter().skip(c).step_by(channels).sum::<f64>();
    let products: Vec<f64> = slope.iter().zip(&normal).map(|(a, b)| a * b).collect();
    let sum: Vec<f64> = (0..channels).map(|c| column(&slope, c)).collect();
    let product: Vec<f64> = (0..channels).map(|c| column(&products, c)).collect();
    let what = format!("{rows} × {channels}, activation {number}");
    near(element, &y.read(gpu), &output, 2e-5, &what);
    near(Element::F32, &grads.1.read(gpu), &sum, 2e-4, &what);
    near(Element::F32, &grads.0.read(gpu), &product, 2e-4, &what);
    near(element, &dr.read(gpu), &slope, 2e-5, &what);
    let n = rows as f64;
    let expected = (0..shape.count()).map(|i| {
        let c = i % channels;
        let factor = wide_of(affine, c) * wide_of(statistics, channels + c);
        wide_of(&start, i) + factor * (slope[i] - sum[c] / n - normal[i] * product[c] / n)
    });
    near(element, &dx.read(gpu), &expected.collect::<Vec<_>>(), 1e-4, &what);
}

/// Input and residual may be one array.
#[test]
fn a_norm_whose_input_is_its_residual() {
    let Some(gpu) = machine::gpu() else { return };
    let shape = Shape { rows: 5, channels: 4, element: Element::F32 };
    let ones = array(&gpu, Element::F32, &[1.0; 20]);
    let (grad_y, dx) = (array(&gpu, Element::F32, &normal(1, 20)), array(&gpu, Element::F32, &[7.0; 20]));
    let arrays = NormArrays {
        x: ones.at(&gpu),
        residual: ones.at(&gpu),
        statistics: ones.at(&gpu),
        scale: ones.at(&gpu),
        shift: ones.at(&gpu),
    };
    let sums = array(&gpu, Element::F32, &[0.0; 8]);
    // SAFETY: as above.
    unsafe {
        let gradient = (grad_y.at(&gpu), sums.at(&gpu), 0);
        calls::norm_backward(&gpu, shape, arrays, gradient, ((dx.at(&gpu), false), (dx.at(&gpu), true))).expect("run");
    }
    let expected: Vec<f32> = grad_y.read(&gpu).iter().map(|x| x + x).collect();
    assert_eq!(dx.read(&gpu), expected);
}

#[test]
fn biases_and_their_gradients() {
    let Some(gpu) = machine::gpu() else { return };
    for element in ELEMENTS {
        for (rows, channels) in [(1, 1), (50, 3), (9, 24), (5000, 10), (700, 72)] {
            let shape = Shape { rows, channels, element };
            let (x, bias) = (kept(element, &normal(15, shape.count())), normal(16, channels));
            let (y, bias_array) = (array(&gpu, element, &x), array(&gpu, Element::F32, &bias));
            let partials = array(&gpu, Element::F32, &vec![f32::NAN; Tiling::capacity(channels)]);
            let gradient = array(&gpu, Element::F32, &vec![f32::NAN; channels]);
            // SAFETY: as above.
            unsafe {
                calls::bias_gradient(&gpu, shape, y.at(&gpu), partials.at(&gpu), gradient.at(&gpu)).expect("run");
                calls::add_bias(&gpu, shape, y.at(&gpu), bias_array.at(&gpu)).expect("run");
            }
            let sums: Vec<f64> = (0..channels).map(|c| wide(&x).iter().skip(c).step_by(channels).sum()).collect();
            near(Element::F32, &gradient.read(&gpu), &sums, 1e-4, "a bias's gradient");
            let expected: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + bias[i % channels]).collect();
            assert_eq!(y.read(&gpu), kept(element, &expected));
        }
    }
}
