//! Gradient clipping.

/// Added to the norm, which may be 0, before it divides: PyTorch's.
pub const CLIP_EPS: f64 = 1e-6;

/// The Euclidean norm of all gradients together, summed in f64.
pub fn grad_norm(gradients: &[f32]) -> f64 {
    gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt()
}

/// Scales gradients down to norm `max_norm` where their norm is above it, as PyTorch's `clip_grad_norm_` (Pascanu et
/// al., "On the difficulty of training recurrent neural networks", 2013). Returns the norm before clipping.
pub fn clip_grad_norm(gradients: &mut [f32], max_norm: f64) -> f64 {
    let norm = grad_norm(gradients);
    let scale = (max_norm / (norm + CLIP_EPS)) as f32;
    if scale < 1.0 {
        gradients.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}

/// Clamps each gradient to ±`max_value`, as PyTorch's `clip_grad_value_`.
pub fn clip_grad_value(gradients: &mut [f32], max_value: f64) {
    let limit = max_value as f32;
    gradients.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
}
