//! Scales and zero points: `real = scale × (integer − zero point)`.

/// Parameters of a value that is quantized as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    /// Positive.
    pub scale: f32,
    /// The integer of 0.0.
    pub zero_point: i32,
}

impl Affine {
    /// Spreads `range`, extended to include 0, over the integers from `low` to `high`. An empty range has the scale 1.
    pub fn new(range: (f32, f32), low: i32, high: i32) -> Self {
        let (start, end) = (f64::from(range.0.min(0.0)), f64::from(range.1.max(0.0)));
        let scale = (end - start) / f64::from(high - low);
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Self { scale: 1.0, zero_point: 0 };
        }
        let zero_point = (f64::from(low) - start / scale).round_ties_even();
        Self { scale: scale as f32, zero_point: zero_point as i32 }
    }

    /// Spreads the magnitudes up to the range's largest over the integers from 0 to `high`, and negative ones likewise.
    pub fn symmetric(range: (f32, f32), high: i32) -> Self {
        let magnitude = range.0.abs().max(range.1.abs());
        Self { zero_point: 0, ..Self::new((-magnitude, magnitude), -high, high) }
    }
}

/// The integer nearest to `value / scale`, ties to even, saturated to int8 around `zero_point`.
pub(super) fn to_integer(value: f32, affine: Affine, low: i32, high: i32) -> i32 {
    let integer = (value / affine.scale).round_ties_even() + affine.zero_point as f32;
    integer.clamp(low as f32, high as f32) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_spread_over_the_integers() {
        // onnxruntime.quantization.quant_utils.compute_scale_zp of the same ranges.
        let affine = Affine::new((-1.0, 4.1), 0, 255);
        assert_eq!(affine, Affine { scale: 5.1 / 255.0, zero_point: 50 });
        assert_eq!(Affine::new((-1.0, 4.1), -128, 127).zero_point, -78);
        assert_eq!(Affine::symmetric((-1.0, 2.54), 127), Affine { scale: 0.02, zero_point: 0 });
    }

    #[test]
    fn zero_is_in_every_range() {
        assert_eq!(Affine::new((2.0, 5.1), 0, 255), Affine { scale: 0.02, zero_point: 0 });
        assert_eq!(Affine::new((-5.1, -2.0), 0, 255), Affine { scale: 0.02, zero_point: 255 });
    }

    #[test]
    fn an_empty_range_has_the_scale_one() {
        assert_eq!(Affine::new((0.0, 0.0), 0, 255), Affine { scale: 1.0, zero_point: 0 });
        assert_eq!(Affine::symmetric((0.0, 1e-45), 127), Affine { scale: 1.0, zero_point: 0 });
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let affine = Affine::new((f32::MIN, f32::MAX), 0, 255);
        assert!(affine.scale.is_finite() && affine.zero_point == 128);
    }

    #[test]
    fn integers_are_rounded_to_even_and_saturated() {
        let affine = Affine { scale: 2.0, zero_point: 1 };
        assert_eq!([1.0, 3.0, 5.0, 1000.0, -1000.0].map(|x| to_integer(x, affine, -128, 127)), [1, 3, 3, 127, -128]);
    }
}
