//! The weight of a whitening convolution.

use crate::{eigen, layer::Whiten};

/// Most values of a patch, all channels together: the time for the eigenvectors is cubic in it.
pub const MAX_PATCH: usize = 256;

/// The weight `[2 · patch, channels, kernel, kernel]`, `patch = channels · kernel²`, for scaled images `[n, channels,
/// height, width]` (`shape` leaves `n` out): the eigenvectors of the patches' covariance, each divided by
/// `√(eigenvalue + eps)`, in descending order of eigenvalues; then their negatives.
pub fn weights(images: &[f32], shape: [usize; 3], whiten: &Whiten) -> Vec<f32> {
    let [channels, ..] = shape;
    let patch = channels * whiten.kernel * whiten.kernel;
    let pairs = eigen::symmetric(&covariance(images, shape, whiten.kernel), patch);
    let scaled = pairs.iter().flat_map(|(value, vector)| {
        // Rounding may make an eigenvalue of 0 negative. Without eps, a direction without variance gets the weight 0.
        let variance = value.max(0.0) + whiten.eps;
        let scale = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
        vector.iter().map(move |x| (x * scale) as f32)
    });
    let mut weights: Vec<f32> = scaled.collect();
    weights.extend_from_within(..);
    weights[patch * patch..].iter_mut().for_each(|x| *x = -*x);
    weights
}

/// The covariance `[patch, patch]` of all patches of the images, stride 1.
fn covariance(images: &[f32], [channels, height, width]: [usize; 3], kernel: usize) -> Vec<f64> {
    let size = channels * kernel * kernel;
    let (mut sums, mut products) = (vec![0f64; size], vec![0f64; size * size]);
    let (mut patch, mut count) = (vec![0f64; size], 0f64);
    for image in images.chunks_exact(channels * height * width) {
        for y in 0..=height - kernel {
            for x in 0..=width - kernel {
                for (row, values) in patch.chunks_exact_mut(kernel).enumerate() {
                    let (channel, dy) = (row / kernel, row % kernel);
                    let start = (channel * height + y + dy) * width + x;
                    values.iter_mut().zip(&image[start..]).for_each(|(value, &pixel)| *value = f64::from(pixel));
                }
                for (i, &value) in patch.iter().enumerate() {
                    sums[i] += value;
                    products[i * size..][..=i].iter_mut().zip(&patch).for_each(|(sum, other)| *sum += value * other);
                }
                count += 1.0;
            }
        }
    }
    let mut covariance = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            let value = products[i * size + j] / count - sums[i] / count * (sums[j] / count);
            (covariance[i * size + j], covariance[j * size + i]) = (value, value);
        }
    }
    covariance
}
