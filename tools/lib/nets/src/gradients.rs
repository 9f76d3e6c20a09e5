//! What may happen to gradients before a step.

/// The Euclidean norm of all gradients together.
pub fn norm(gradients: &[f32]) -> f64 {
    gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt()
}

/// Scales gradients down where their norm is above `max_norm`; returns the norm that they had
/// (Pascanu et al., "On the difficulty of training recurrent neural networks", 2013).
pub fn clip_norm(gradients: &mut [f32], max_norm: f64) -> f64 {
    // As PyTorch has it: a gradient of norm 0 must not divide by 0.
    const GUARD: f64 = 1e-6;
    let norm = norm(gradients);
    let scale = (max_norm / (norm + GUARD)) as f32;
    if scale < 1.0 {
        gradients.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}

/// Limits each gradient to ±`max_value`.
pub fn clip_value(gradients: &mut [f32], max_value: f64) {
    let limit = max_value as f32;
    gradients.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
}
