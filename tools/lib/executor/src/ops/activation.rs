//! Activations: functions of single elements.

use super::{
    Call, Operator, Outcome,
    arithmetic::{unary, zip},
    number, real,
};
use crate::element::{Number, Real};
use ndarray::ArrayD;
use onnx::{Node, Problem};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

/// Coefficient of x³ in the approximation of GELU by tanh (Hendrycks and Gimpel).
const GELU_CUBIC: f64 = 0.044_715;
/// Slope and offset of HardSwish's gate.
const HARD_SWISH: (f64, f64) = (1.0 / 6.0, 0.5);
/// Defaults of Selu (Klambauer et al.), as the specification has them in float32.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

/// A function of each element and of the attribute `alpha`.
macro_rules! with_alpha {
    ($call:expr, $default:expr, $function:ident) => {{
        let alpha = $call.node.float("alpha", $default)?;
        real!($call, $call.input(0)?, T => unary::<T>($call, &|x| $function(x, T::from_f64(alpha.into()))))
    }};
}

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Relu" => |call| number!(call, call.input(0)?, T => unary::<T>(call, &relu)),
        "LeakyRelu" => |call| with_alpha!(call, 0.01, leaky_relu),
        "Elu" => |call| with_alpha!(call, 1.0, elu),
        "Celu" => |call| with_alpha!(call, 1.0, celu),
        "ThresholdedRelu" => |call| with_alpha!(call, 1.0, thresholded_relu),
        "Swish" => |call| with_alpha!(call, 1.0, swish),
        "Selu" => selu,
        "PRelu" => |call| number!(call, call.input(0)?, T => prelu::<T>(call)),
        "Clip" => clip,
        "Softplus" => |call| real!(call, call.input(0)?, T => unary::<T>(call, &softplus)),
        "Softsign" => |call| real!(call, call.input(0)?, T => unary::<T>(call, &|x| x.div(T::ONE.add(x.abs())))),
        "Sigmoid" => |call| real!(call, call.input(0)?, T => unary::<T>(call, &sigmoid)),
        "Tanh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::tanh)),
        "HardSigmoid" => hard_sigmoid,
        "HardSwish" => |call| real!(call, call.input(0)?, T => unary::<T>(call, &|x| x.mul(hard(x, HARD_SWISH)))),
        "Mish" => |call| real!(call, call.input(0)?, T => unary::<T>(call, &|x| x.mul(Real::tanh(softplus(x))))),
        "Gelu" => match node.string("approximate") {
            Ok(None | Some("none")) => |call| real!(call, call.input(0)?, T => unary::<T>(call, &gelu)),
            Ok(Some("tanh")) => |call| real!(call, call.input(0)?, T => unary::<T>(call, &gelu_tanh)),
            _ => return None,
        },
        _ => return None,
    })
}

/// NaN and -0 stay.
fn relu<T: Number>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

fn leaky_relu<T: Number>(x: T, slope: T) -> T {
    if x < T::ZERO { x.mul(slope) } else { x }
}

fn elu<T: Real>(x: T, alpha: T) -> T {
    if x < T::ZERO { alpha.mul(x.exp_m1()) } else { x }
}

fn celu<T: Real>(x: T, alpha: T) -> T {
    if x < T::ZERO { alpha.mul(x.div(alpha).exp_m1()) } else { x }
}

fn thresholded_relu<T: Real>(x: T, threshold: T) -> T {
    if x > threshold { x } else { T::ZERO }
}

fn swish<T: Real>(x: T, alpha: T) -> T {
    x.mul(sigmoid(alpha.mul(x)))
}

fn selu(call: &Call<'_>) -> Outcome {
    let (alpha, gamma) = (call.node.float("alpha", SELU_ALPHA)?, call.node.float("gamma", SELU_GAMMA)?);
    real!(call, call.input(0)?, T => unary::<T>(call, &|x| {
        T::from_f64(gamma.into()).mul(elu(x, T::from_f64(alpha.into())))
    }))
}

/// The slope broadcasts to the input, whose shape the output has.
fn prelu<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let (x, slope) = (call.numbers::<T>(0)?, call.numbers::<T>(1)?);
    let slope = slope.view();
    zip(call, &x.view(), &call.broadcast(&slope, x.shape())?, &leaky_relu)
}

/// Bounds are attributes until operator set 11; the upper one wins where they cross.
fn clip(call: &Call<'_>) -> Outcome {
    fn with<T: Number>(call: &Call<'_>, low: Option<f32>, high: Option<f32>) -> Result<ArrayD<T>, Problem> {
        let attribute = |bound: Option<f32>| bound.map(|bound| T::from_f64(bound.into()));
        let low = call.scalar::<T>(1)?.or(attribute(low)).unwrap_or(T::LOWEST);
        let high = call.scalar::<T>(2)?.or(attribute(high)).unwrap_or(T::HIGHEST);
        unary::<T>(call, &|x| if x.is_nan() { x } else { x.max_or_nan(low).min_or_nan(high) })
    }
    let bound = |name| call.node.attribute(name).map(|_| call.node.float(name, 0.0)).transpose();
    let (low, high) = (bound("min")?, bound("max")?);
    number!(call, call.input(0)?, T => with::<T>(call, low, high))
}

/// ln(1 + eˣ), which does not overflow.
fn softplus<T: Real>(x: T) -> T {
    relu(x).add(x.abs().neg().exp().ln_1p())
}

fn sigmoid<T: Real>(x: T) -> T {
    T::ONE.div(T::ONE.add(x.neg().exp()))
}

/// A line that is bounded to 0 … 1.
fn hard<T: Real>(x: T, (slope, offset): (f64, f64)) -> T {
    let line = T::from_f64(slope).mul(x).add(T::from_f64(offset));
    if line.is_nan() { line } else { line.max_or_nan(T::ZERO).min_or_nan(T::ONE) }
}

fn hard_sigmoid(call: &Call<'_>) -> Outcome {
    let (alpha, beta) = (call.node.float("alpha", 0.2)?, call.node.float("beta", 0.5)?);
    real!(call, call.input(0)?, T => unary::<T>(call, &|x| hard(x, (alpha.into(), beta.into()))))
}

fn half<T: Real>() -> T {
    T::from_f64(0.5)
}

fn gelu<T: Real>(x: T) -> T {
    half::<T>().mul(x).mul(T::ONE.add(x.mul(T::from_f64(FRAC_1_SQRT_2)).erf()))
}

fn gelu_tanh<T: Real>(x: T) -> T {
    let inner = T::from_f64(FRAC_2_PI.sqrt()).mul(x.add(T::from_f64(GELU_CUBIC).mul(x).mul(x).mul(x)));
    half::<T>().mul(x).mul(T::ONE.add(inner.tanh()))
}
