//! ReLU and leaky ReLU, in place.

use crate::{
    isa::Isa,
    lanes::{Lanes, Vectorized, dispatch_lanes},
    real::Real,
};
use rayon::prelude::*;

/// Elements of a task; up to so many run on the calling thread.
const PARALLEL_ELEMENTS: usize = 1 << 18;

/// `x = max(0, x) + slope · min(0, x)` for every element.
///
/// NaN stays NaN, as in NumPy and PyTorch. With a slope of 0 a negative x becomes +0; -0 stays -0, as in PyTorch's
/// `leaky_relu`.
pub fn leaky_relu<T: Real>(values: &mut [T], slope: f64) {
    leaky_relu_on(Isa::chosen(), values, slope);
}

/// As [`leaky_relu`], for a given instruction set: for tests and benchmarks.
pub fn leaky_relu_on<T: Real>(isa: Isa, values: &mut [T], slope: f64) {
    let slope = T::from_f64(slope);
    if values.len() <= PARALLEL_ELEMENTS {
        relu_block(isa, values, slope);
    } else {
        values.par_chunks_mut(PARALLEL_ELEMENTS).for_each(|values| relu_block(isa, values, slope));
    }
}

dispatch_lanes! {
    /// A task.
    fn relu_block<T>(values: &mut [T], slope: T) -> () => kernel
}

#[inline(always)]
fn kernel<V: Lanes<Real: Real>>(zero: V, values: &mut [V::Real], slope: V::Real) {
    // Not 0 · x, which is -0, and NaN for an infinite x.
    if slope == V::Real::ZERO { each::<V, false>(zero, values, slope) } else { each::<V, true>(zero, values, slope) }
}

#[inline(always)]
fn each<V: Lanes<Real: Real>, const LEAKY: bool>(zero: V, values: &mut [V::Real], slope: V::Real) {
    let slope = zero.splat(slope);
    let mut lines = values.chunks_exact_mut(V::Real::LANES);
    for line in lines.by_ref() {
        relu::<V, LEAKY>(zero.load(line), slope).store(line);
    }
    let rest = lines.into_remainder();
    let mut line = <V::Real as Vectorized>::Line::default();
    relu::<V, LEAKY>(zero.load_first(rest), slope).store(line.as_mut());
    rest.copy_from_slice(&line.as_ref()[..rest.len()]);
}

/// Without a choice between x and something else: the compiler makes of that a masked store of the negative elements, which
/// takes ten times as long in AVX2.
#[inline(always)]
fn relu<V: Lanes<Real: Real>, const LEAKY: bool>(x: V, slope: V) -> V {
    if LEAKY { x.mul(x.if_negative(slope, x.splat(V::Real::ONE))) } else { x.at_least_0() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_definition_on_every_instruction_set(values in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO | proptest::num::f32::QUIET_NAN, 0..100), slope in -2f32..2.0) {
            for isa in Isa::supported() {
                let mut ours = values.clone();
                relu_block(isa, &mut ours, slope);
                for (ours, x) in ours.iter().zip(&values) {
                    let expected = x.max(0.0) + slope * x.min(0.0);
                    prop_assert!(*ours == expected || x.is_nan() && ours.is_nan(), "{x}: {ours} {expected}");
                }
            }
        }
    }

    #[test]
    fn edges() {
        let mut values = [-1.0f64, -0.0, 0.0, 2.0, f64::NEG_INFINITY, f64::INFINITY, f64::NAN];
        let mut leaky = values;
        leaky_relu(&mut values, 0.0);
        let zeros: Vec<u64> = values[..3].iter().map(|x| x.to_bits()).collect();
        assert_eq!(zeros, [0, (-0.0f64).to_bits(), 0]);
        assert_eq!(values[3..6], [2.0, 0.0, f64::INFINITY]);
        assert!(values[6].is_nan());
        leaky_relu(&mut leaky, 0.5);
        assert_eq!(leaky[..6], [-0.5, 0.0, 0.0, 2.0, f64::NEG_INFINITY, f64::INFINITY]);
    }

    #[test]
    fn threads_do_not_matter() {
        let values: Vec<f32> = (0..1_000_000).map(|i| (i % 7) as f32 - 3.0).collect();
        let mut ours = values.clone();
        leaky_relu(&mut ours, 0.25);
        assert!(ours.iter().zip(&values).all(|(y, x)| *y == if *x < 0.0 { x * 0.25 } else { *x }));
    }
}
