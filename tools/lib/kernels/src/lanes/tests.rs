//! Each instruction set against plain Rust, operation by operation.

#![allow(unsafe_code, reason = "the first value of a vector is a promise about the processor")]

use super::*;
use crate::{isa::Isa, real::Real};
use proptest::prelude::*;

/// A float of any kind, from its bits.
trait Bits: Real {
    fn from_low_bits(bits: u64) -> Self;
    fn to_low_bits(self) -> u64;
    /// Whether [`Lanes::split`] takes it.
    fn can_be_split(self) -> bool;
}

impl Bits for f64 {
    fn from_low_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }

    fn to_low_bits(self) -> u64 {
        self.to_bits()
    }

    fn can_be_split(self) -> bool {
        (Self::MIN_POSITIVE..Self::MAX / 2.0).contains(&self)
    }
}

impl Bits for f32 {
    fn from_low_bits(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }

    fn to_low_bits(self) -> u64 {
        self.to_bits().into()
    }

    fn can_be_split(self) -> bool {
        (Self::MIN_POSITIVE..Self::MAX / 2.0).contains(&self)
    }
}

/// The bits of every lane; those of NaN differ between instruction sets.
fn bits<V: Lanes<Real: Bits>>(vector: V) -> Vec<u64> {
    let mut line = <V::Real as Vectorized>::Line::default();
    vector.store(line.as_mut());
    let bits = |x: &V::Real| if x.to_f64().is_nan() { u64::MAX } else { x.to_low_bits() };
    line.as_ref().iter().map(bits).collect()
}

/// Everything that [`Lanes`] computes from the values, as bits.
fn observe<V: Lanes<Real: Bits>>(zero: V, values: &[V::Real], stride: usize) -> Vec<Vec<u64>> {
    let lanes = V::Real::LANES;
    let [a, b, c] = [0, 1, 2].map(|i| zero.load(&values[i * lanes..]));
    let mut seen: Vec<Vec<u64>> =
        [a.add(b), a.sub(b), a.mul(b), a.div(b), a.mul_add(b, c), a.or(b), a.at_least_0(), a.if_negative(b, c)]
            .map(bits)
            .into();
    seen.extend((0..lanes).map(|count| bits(zero.load_first(&values[..count]))));
    seen.extend(zero.columns(values, stride).map(bits));
    seen.push([a.any_negative(), a.any_beyond(b), a.any_tiny(b)].map(u64::from).into());
    seen.extend([zero.splat(a.first()), zero.splat(values[1])].map(bits));
    // What is split is 0 or a positive, normal number.
    let splittable = |x: &V::Real| if x.can_be_split() { *x } else { V::Real::ZERO };
    let split = zero.load(&values.iter().map(splittable).collect::<Vec<_>>()).split();
    seen.extend([split.k, split.logarithm, split.f].map(bits));
    seen
}

fn agree<T: Bits>(raw: &[u64], stride: usize) {
    let values: Vec<T> = raw.iter().map(|&bits| T::from_low_bits(bits)).collect();
    // SAFETY: plain Rust runs everywhere.
    let expected = observe(unsafe { Plain::<T>::zero() }, &values, stride);
    #[cfg(target_arch = "x86_64")]
    for isa in Isa::supported() {
        let seen = match isa {
            Isa::Baseline => continue,
            // SAFETY: the processor has the instruction set: it is one of the supported ones.
            Isa::Avx2 => observe(unsafe { T::Avx2::zero() }, &values, stride),
            // SAFETY: as above.
            Isa::Avx512 => observe(unsafe { T::Avx512::zero() }, &values, stride),
        };
        assert_eq!(seen, expected, "{isa}, stride {stride}, {values:?}");
    }
}

/// Bits of floats: any, and those near 1, near 0, and special ones.
fn floats() -> impl Strategy<Value = Vec<u64>> {
    let special =
        [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, f64::MIN_POSITIVE, f64::MAX];
    let special = proptest::sample::select(special.to_vec()).prop_map(f64::to_bits);
    let float = prop_oneof![any::<u64>(), special, (0.0..2.0).prop_map(f64::to_bits)];
    // For `f32` the low halves count.
    let both = (float, any::<bool>()).prop_map(|(bits, narrow)| match narrow {
        true => u64::from((f64::from_bits(bits) as f32).to_bits()) | bits << 32,
        false => bits,
    });
    proptest::collection::vec(both, 15 * 30 + COLUMNS)
}

proptest! {
    #[test]
    fn every_instruction_set_computes_as_plain_rust(raw in floats(), stride in COLUMNS..30) {
        agree::<f64>(&raw, stride);
        agree::<f32>(&raw, stride);
    }
}
