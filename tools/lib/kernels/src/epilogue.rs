//! What follows a product while its elements are in registers or in a cache: bias, residual, activation.

use crate::{
    gelu::exp_negative,
    isa::{Isa, dispatch},
    vector::{LANES, Line, Vector},
};

/// An activation function, element by element. NaN stays NaN in all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    /// max(0, x)
    Relu,
    /// x, or slope · x where x is negative.
    LeakyRelu(f32),
    /// min(high, max(low, x)): low, high.
    Clip(f32, f32),
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x · Φ(x), with the normal distribution function Φ.
    Gelu,
    /// x / (1 + exp(-x)), also called SiLU.
    Swish,
    /// min(1, max(0, slope · x + shift)): slope, shift.
    HardSigmoid(f32, f32),
    /// x · min(1, max(0, x / 6 + 1 / 2))
    HardSwish,
}

impl Activation {
    /// The bounds that are the whole function, if it is one of bounds: a product applies them in registers.
    pub(crate) fn bounds(self) -> Option<[f32; 2]> {
        match self {
            Self::Identity => Some([f32::NEG_INFINITY, f32::INFINITY]),
            Self::Relu => Some([0.0, f32::INFINITY]),
            Self::Clip(low, high) => Some([low, high]),
            _ => None,
        }
    }

    /// Replaces each element by the function's value.
    pub fn apply(self, values: &mut [f32]) {
        self.apply_on(Isa::chosen(), values);
    }

    /// As [`Self::apply`], on a given instruction set.
    pub(crate) fn apply_on(self, isa: Isa, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Gelu => crate::gelu::gelu_on(isa, values),
            _ => apply(isa, self, values),
        }
    }
}

dispatch! {
    fn apply(activation: Activation, values: &mut [f32]) => kernel
}

#[inline(always)]
fn kernel(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity | Activation::Gelu => {}
        Activation::Relu => each(values, |x| clamp(x, 0.0, f32::INFINITY)),
        Activation::LeakyRelu(slope) => each(values, |x| if x < 0.0 { slope * x } else { x }),
        Activation::Clip(low, high) => each(values, |x| clamp(x, low, high)),
        Activation::Sigmoid => each(values, sigmoid),
        Activation::Tanh => each(values, tanh),
        Activation::Swish => each(values, |x| x * sigmoid(x)),
        Activation::HardSigmoid(slope, shift) => each(values, |x| clamp(slope * x + shift, 0.0, 1.0)),
        Activation::HardSwish => each(values, |x| x * clamp(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)),
    }
}

#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in values {
        *x = f(*x);
    }
}

/// As [`Vector::clamp`].
#[inline(always)]
pub(crate) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if low > x { low } else { x };
    if high < x { high } else { x }
}

/// Of the exponential of a negative number only: it does not overflow.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let power = exp_negative(-x.abs());
    let quotient = 1.0 / (1.0 + power);
    if x < 0.0 { power * quotient } else { quotient }
}

/// A quotient of polynomials, those of Eigen's `tanh` for f32.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    /// From here on it is 1 in f32.
    const END: f32 = 9.0;
    /// Below, it is x.
    const LINEAR: f32 = 4e-4;
    const ABOVE: [f32; 7] =
        [-2.760_768_5e-16, 2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3];
    const BELOW: [f32; 4] = [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
    let bounded = clamp(x, -END, END);
    let square = bounded * bounded;
    let (mut above, mut below) = (ABOVE[0], BELOW[0]);
    for coefficient in &ABOVE[1..] {
        above = above * square + coefficient;
    }
    for coefficient in &BELOW[1..] {
        below = below * square + coefficient;
    }
    let quotient = clamp(bounded * above / below, -1.0, 1.0);
    if x.abs() < LINEAR { x } else { quotient }
}

/// Bias, residual and activation of a product: `activation(product + bias + residual)`, by columns (output channels).
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// An element of each column, and zeros up to a whole number of lines: [`Epilogue::padded_len`].
    pub bias: &'a [f32],
    /// Of the product's shape and layout, or empty.
    pub residual: &'a [f32],
    /// What is applied at last.
    pub activation: Activation,
}

impl<'a> Epilogue<'a> {
    /// Elements of the bias for so many columns.
    pub fn padded_len(columns: usize) -> usize {
        columns.next_multiple_of(LANES)
    }

    /// Bounds that are applied in registers: of the activation, or none.
    pub(crate) fn bounds(&self) -> [f32; 2] {
        self.activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY])
    }

    /// Applies the activation to elements that were stored, if it was not applied in registers.
    pub(crate) fn finish(&self, isa: Isa, values: &mut [f32]) {
        if self.activation.bounds().is_none() {
            self.activation.apply_on(isa, values);
        }
    }

    /// The epilogue of the elements `range` of the product.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Self {
        let residual = if self.residual.is_empty() { &[] } else { &self.residual[range] };
        Self { residual, ..*self }
    }
}

/// How a convolution stores a pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store<'a> {
    /// Over what is there.
    Replace,
    /// Adds to it.
    Accumulate,
    /// Over what is there, after the epilogue; its residual is that of the block.
    Fused(Epilogue<'a>),
}

impl<'a> Store<'a> {
    /// Adds, or replaces.
    pub fn adding(accumulate: bool) -> Self {
        if accumulate { Self::Accumulate } else { Self::Replace }
    }

    /// With the bias of `channels` repeated for each of a group of pixels, in `bias`.
    pub fn repeated(self, channels: usize, group: usize, bias: &'a mut Line) -> Self {
        match self {
            Self::Fused(epilogue) if group > 1 => {
                for pixel in bias.chunks_exact_mut(channels).take(group) {
                    pixel.copy_from_slice(&epilogue.bias[..channels]);
                }
                Self::Fused(Epilogue { bias, ..epilogue })
            }
            other => other,
        }
    }

    /// Pairs consecutive blocks of the target with how each is stored.
    pub fn pair<'b>(self, blocks: impl Iterator<Item = &'b mut [f32]>) -> impl Iterator<Item = (&'b mut [f32], Self)> {
        let mut end = 0;
        blocks.map(move |block| {
            let range = end..end + block.len();
            end = range.end;
            let store = match self {
                Self::Fused(epilogue) => Self::Fused(epilogue.part(range)),
                other => other,
            };
            (block, store)
        })
    }

    /// What is left to do in a block that was stored.
    pub fn finish(&self, isa: Isa, block: &mut [f32]) {
        if let Self::Fused(epilogue) = self {
            epilogue.finish(isa, block);
        }
    }

    /// What is stored of a product, a line from `channel`; `old` and `residual` read the same line of the block and of its residual.
    #[inline(always)]
    pub fn value<V: Vector>(
        &self,
        zero: V,
        product: V,
        old: impl FnOnce() -> V,
        residual: impl FnOnce() -> V,
        channel: usize,
    ) -> V {
        match self {
            Self::Replace => product,
            Self::Accumulate => product.add(old()),
            Self::Fused(epilogue) => {
                let bias = epilogue.bias[channel..].first_chunk::<LANES>();
                let mut sum = product.add(bias.map_or(zero, |line: &Line| zero.load(line)));
                if !epilogue.residual.is_empty() {
                    sum = sum.add(residual());
                }
                let [low, high] = epilogue.bounds();
                sum.clamp(zero.splat(low), zero.splat(high))
            }
        }
    }

    /// The residual of the block, or an empty slice.
    #[inline(always)]
    pub fn residual(&self) -> &'a [f32] {
        match self {
            Self::Fused(epilogue) => epilogue.residual,
            _ => &[],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const ALL: [Activation; 10] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Clip(-0.5, 6.0),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Swish,
        Activation::HardSigmoid(0.2, 0.5),
        Activation::HardSwish,
    ];

    /// The definition, in f64.
    pub fn reference(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            Activation::LeakyRelu(slope) => {
                if x < 0.0 {
                    f64::from(slope) * x
                } else {
                    x
                }
            }
            Activation::Clip(low, high) => x.clamp(low.into(), high.into()),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Activation::Swish => x / (1.0 + (-x).exp()),
            Activation::HardSigmoid(slope, shift) => (f64::from(slope) * x + f64::from(shift)).clamp(0.0, 1.0),
            Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        }
    }

    #[test]
    fn agree_with_the_definition_and_give_the_same_bits_on_every_instruction_set() {
        let inputs: Vec<f32> =
            (-120_000..=120_000).map(|i| i as f32 * 1e-4).chain([0.0, 1e-30, -1e-30, 80.0, -80.0]).collect();
        for activation in ALL {
            let mut first: Option<Vec<u32>> = None;
            for isa in Isa::supported() {
                let mut values = inputs.clone();
                activation.apply_on(isa, &mut values);
                for (&x, &y) in inputs.iter().zip(&values) {
                    let expected = reference(activation, x.into());
                    let bound = 4e-7 * f64::from(x.abs()).max(1.0);
                    assert!(
                        (f64::from(y) - expected).abs() <= bound,
                        "{activation:?}, {isa}: {x} gives {y}, expected {expected}"
                    );
                }
                let bits: Vec<u32> = values.iter().map(|y| y.to_bits()).collect();
                assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{activation:?}: {isa} gives other bits");
            }
        }
    }

    #[test]
    fn not_a_number_stays_so() {
        for activation in ALL {
            let mut values = [f32::NAN; 17];
            activation.apply(&mut values);
            assert!(values.iter().all(|x| x.is_nan()), "{activation:?}");
        }
    }
}
