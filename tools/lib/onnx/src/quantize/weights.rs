//! Weights as int8, and biases as int32 on the scale that an integer kernel accumulates in.

use super::affine::{Affine, to_integer};
use crate::{DataType, Problem, Tensor};

/// Share by which a scale is raised beyond what a bias needs to fit int32, against rounding.
const BIAS_MARGIN: f64 = 1.0001;

/// Scales of a weight, symmetric: one, or one a channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WeightScales {
    /// Axis of the channels; None for one scale.
    pub axis: Option<usize>,
    /// As many as there are channels, or one.
    pub scales: Vec<f32>,
}

/// Elements of a tensor, each with the index of its channel.
fn by_channel<'a>(values: &'a [f32], dims: &[usize], axis: Option<usize>) -> impl Iterator<Item = (usize, f32)> + 'a {
    let channels = axis.map_or(1, |axis| dims[axis]).max(1);
    let inner = axis.map_or(usize::MAX, |axis| dims[axis + 1..].iter().product::<usize>().max(1));
    values.iter().enumerate().map(move |(index, &value)| (index / inner % channels, value))
}

impl WeightScales {
    /// Scales that map the largest magnitude, of the tensor or of each channel, to `high`.
    ///
    /// # Errors
    /// When an element is NaN or infinite.
    pub fn new(name: &str, values: &[f32], dims: &[usize], axis: Option<usize>, high: i32) -> Result<Self, Problem> {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Problem::tensor(name, format!("{value} among the weights")));
        }
        let mut magnitudes = vec![0f32; axis.map_or(1, |axis| dims[axis])];
        for (channel, value) in by_channel(values, dims, axis) {
            magnitudes[channel] = magnitudes[channel].max(value.abs());
        }
        let scale = |magnitude: f32| Affine::symmetric((-magnitude, magnitude), high).scale;
        Ok(Self { axis, scales: magnitudes.into_iter().map(scale).collect() })
    }

    /// Raises scales until each bias, in units of `input_scale` × its channel's scale, fits int32.
    pub fn fit_bias(&mut self, bias: &[f32], input_scale: f32) {
        let levels = f64::from(i32::MAX) * 2.0;
        let largest = bias.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (channel, scale) in self.scales.iter_mut().enumerate() {
            // The reference's arithmetic is float32 for a channel, float64 for a tensor.
            let least = match self.axis {
                Some(_) => f64::from(BIAS_MARGIN as f32 * (2.0 * bias[channel].abs())) / levels,
                None => BIAS_MARGIN * (2.0 * f64::from(largest)) / levels,
            };
            let candidate = f64::from(input_scale) * f64::from(*scale);
            if candidate > 0.0 && candidate < least {
                *scale = (f64::from(*scale) * (least / candidate)) as f32;
            }
        }
    }

    /// The weight as int8.
    pub fn quantize(&self, values: &[f32], dims: &[usize]) -> Tensor {
        let integer = |(channel, value): (usize, f32)| {
            let affine = Affine { scale: self.scales[channel], zero_point: 0 };
            to_integer(value, affine, -128, 127) as i8 as u8
        };
        let bytes = by_channel(values, dims, self.axis).map(integer).collect();
        Tensor::new(DataType::Int8, dims, bytes).expect("one byte an element")
    }

    /// The bias as int32, and its scales: `input_scale` × those of the weight.
    pub fn quantize_bias(&self, bias: &[f32], input_scale: f32) -> (Tensor, Vec<f32>) {
        let scales: Vec<f32> = self.scales.iter().map(|scale| input_scale * scale).collect();
        let integer = |(index, &value): (usize, &f32)| {
            let scale = scales[if scales.len() > 1 { index } else { 0 }];
            let integer = (f64::from(value) / f64::from(scale)).round_ties_even();
            integer as i32 // Saturates.
        };
        let bytes = bias.iter().enumerate().map(integer).flat_map(i32::to_le_bytes).collect();
        let tensor = Tensor::new(DataType::Int32, &[bias.len()], bytes).expect("four bytes an element");
        (tensor, scales)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// `[2, 3]`
    const VALUES: [f32; 6] = [1.27, -0.5, 0.0, 2.54, 0.01, -5.08];

    #[test]
    fn channels_are_counted_along_their_axis() {
        let scales = |axis, high| WeightScales::new("w", &VALUES, &[2, 3], axis, high).unwrap().scales;
        assert_eq!(scales(None, 127), [0.04]);
        assert_eq!(scales(Some(0), 127), [0.01, 0.04]);
        assert_eq!(scales(Some(1), 127), [0.02, 0.5 / 127.0, 0.04]);
        assert_eq!(scales(Some(0), 64), [1.27 / 64.0, 5.08 / 64.0], "7 bits");
    }

    #[test]
    fn weights_are_rounded_by_their_channels_scale() {
        let scales = WeightScales::new("w", &VALUES, &[2, 3], Some(0), 127).unwrap();
        let bytes: Vec<i8> = scales.quantize(&VALUES, &[2, 3]).bytes().iter().map(|&b| b as i8).collect();
        assert_eq!(bytes, [127, -50, 0, 64, 0, -127]);
    }

    #[test]
    fn an_empty_channel_has_the_scale_one() {
        let scales = WeightScales::new("w", &[0.0, 0.0, 1.27, 0.0], &[2, 2], Some(0), 127).unwrap();
        assert_eq!(scales.scales, [1.0, 0.01]);
        assert!(WeightScales::new("w", &[0.0, f32::NAN], &[2], None, 127).is_err());
        assert!(WeightScales::new("w", &[], &[0, 2], Some(0), 127).unwrap().scales.is_empty());
    }

    #[test]
    fn a_bias_that_fits_changes_nothing() {
        let mut scales = WeightScales { axis: Some(0), scales: vec![0.01, 0.04] };
        scales.fit_bias(&[100.0, -3.0], 0.02);
        assert_eq!(scales.scales, [0.01, 0.04]);
        let (bias, scales) = scales.quantize_bias(&[100.0, -3.0], 0.02);
        assert_eq!(scales, [0.02 * 0.01, 0.02 * 0.04]);
        assert_eq!(bias.to_i64().unwrap(), [500_000, -3750]);
    }

    #[test]
    fn a_bias_beyond_int32_raises_its_channels_scale() {
        // 5 / (1e-5 × 1e-5) = 5e10 > 2^31; the second channel's bias fits.
        let mut scales = WeightScales { axis: Some(0), scales: vec![1e-5, 1e-5] };
        scales.fit_bias(&[-5.0, 0.1], 1e-5);
        let expected = 1.0001 * 10.0 / (2.0 * 2_147_483_647.0) / 1e-5;
        assert!((f64::from(scales.scales[0]) / expected - 1.0).abs() < 1e-6, "{:?}", scales.scales);
        assert_eq!(scales.scales[1], 1e-5);
        let (bias, _) = scales.quantize_bias(&[-5.0, 0.1], 1e-5);
        let integer = bias.to_i64().unwrap()[0];
        assert!(integer > i64::from(i32::MIN) && integer < -2_147_000_000, "{integer}");
    }

    #[test]
    fn one_scale_is_raised_for_the_largest_bias() {
        let mut scales = WeightScales { axis: None, scales: vec![1e-5] };
        scales.fit_bias(&[0.1, -5.0, 1.0], 1e-5);
        let (bias, scales) = scales.quantize_bias(&[0.1, -5.0, 1.0], 1e-5);
        assert_eq!(scales.len(), 1);
        let integers = bias.to_i64().unwrap();
        assert!(integers[1] < -2_147_000_000 && (integers[1] + integers[2] * 5).abs() < 5, "{integers:?}");
    }
}
