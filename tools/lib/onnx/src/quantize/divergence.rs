//! The range whose quantized distribution is nearest to the values': least Kullback-Leibler divergence.
//!
//! The search of TensorRT's entropy calibrator ("8-bit Inference with TensorRT", GTC 2017), in the form that MXNet gave it and
//! onnxruntime.quantization kept, rounding included: counts stay integers, shares are float32.

use super::histogram::Histogram;

/// Share that empty bins get, so that the divergence is finite.
const SMOOTHING: f64 = 0.0001;

/// The edges around zero, of a symmetric histogram, between which `levels` quantization levels lose the least information.
///
/// Candidates have from `levels` to all bins; with as many bins as levels there is one candidate, the whole range.
pub(super) fn least_divergence(histogram: &Histogram, levels: usize) -> (f32, f32) {
    let (counts, edges) = (histogram.counts(), histogram.edges());
    let bins = counts.len();
    let mut best = (f32::INFINITY, (0.0, 0.0));
    for half in levels / 2..=bins / 2 {
        let (start, end) = (bins / 2 - half, (bins / 2 + half + 1).min(bins));
        let divergence = candidate(counts, start, end, levels);
        if half == levels / 2 || divergence < best.0 {
            best = (divergence, (edges[start], edges[end]));
        }
    }
    best.1
}

/// Divergence of the counts in `start..end`, the rest clipped into the outer two, from their merger into `levels` bins.
fn candidate(counts: &[u64], start: usize, end: usize, levels: usize) -> f32 {
    let inside = &counts[start..end];
    let mut reference = inside.to_vec();
    if let Some(first) = reference.first_mut() {
        *first += counts[..start].iter().sum::<u64>();
    }
    if let Some(last) = reference.last_mut() {
        *last += counts[end..].iter().sum::<u64>();
    }
    let merged = merge_and_expand(inside, &reference, levels);
    match (smoothed(&reference), smoothed(&merged)) {
        (Some(p), Some(q)) => divergence(&p, &q),
        _ => f32::INFINITY,
    }
}

/// Merges `inside` into `levels` bins and spreads each evenly, rounded down, over as many bins as it came from; the divisor
/// counts those that are not empty in `reference`.
fn merge_and_expand(inside: &[u64], reference: &[u64], levels: usize) -> Vec<u64> {
    let width = inside.len() / levels;
    let mut expanded = vec![0; inside.len()];
    for level in 0..levels {
        let bins = level * width..(level + 1) * width;
        let rest = if level + 1 == levels { &inside[bins.end..] } else { &[] };
        let count: u64 = inside[bins.clone()].iter().chain(rest).sum();
        let filled = reference[bins.clone()].iter().filter(|&&count| count != 0).count() as u64;
        if let Some(share) = count.checked_div(filled) {
            expanded[bins].fill(share);
        }
    }
    expanded
}

/// Counts as float32, with [`SMOOTHING`] in place of zeros, taken off the others; None if all are zero.
fn smoothed(counts: &[u64]) -> Option<Vec<f32>> {
    let zeros = counts.iter().filter(|&&count| count == 0).count();
    let others = counts.len() - zeros;
    if others == 0 {
        return None;
    }
    let taken = (SMOOTHING * zeros as f64 / others as f64) as f32;
    let smooth = |&count: &u64| if count == 0 { SMOOTHING as f32 } else { count as f32 - taken };
    Some(counts.iter().map(smooth).collect())
}

/// `Σ p ln(p / q)` of the two, each divided by its sum first.
fn divergence(p: &[f32], q: &[f32]) -> f32 {
    let (p_sum, q_sum) = (pairwise_sum(p), pairwise_sum(q));
    let term = |(&p, &q): (&f32, &f32)| {
        let (p, q) = (p / p_sum, q / q_sum);
        p * libm::log(f64::from(p / q)) as f32
    };
    pairwise_sum(&p.iter().zip(q).map(term).collect::<Vec<_>>())
}

/// The float32 sum in NumPy's order: eight accumulators over runs of 128 values, runs added pairwise.
pub(super) fn pairwise_sum(values: &[f32]) -> f32 {
    if values.len() > 128 {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (runs, rest) = values.as_chunks::<8>();
    let Some((first, runs)) = runs.split_first() else { return rest.iter().sum() };
    let mut lanes = *first;
    for run in runs {
        lanes.iter_mut().zip(run).for_each(|(lane, value)| *lane += value);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn merged_bins_are_spread_over_what_is_not_empty() {
        // Two levels of two bins each, and a remainder of one bin that joins the last level.
        assert_eq!(merge_and_expand(&[4, 0, 3, 4, 1], &[5, 0, 3, 4, 1], 2), [4, 4, 4, 4, 0]);
    }

    #[test]
    fn zeros_get_a_little_of_the_others() {
        let smooth = smoothed(&[0, 10, 0, 20]).unwrap();
        assert_eq!(smooth, [0.0001, 10.0 - 0.0001, 0.0001, 20.0 - 0.0001]);
        assert_eq!(smoothed(&[0, 0]), None);
    }

    #[test]
    fn equal_distributions_have_no_divergence() {
        assert_eq!(divergence(&[1.0, 3.0], &[2.0, 6.0]), 0.0);
        // 1/2 ln(1/2 ÷ 1/4) + 1/2 ln(1/2 ÷ 3/4)
        assert!((divergence(&[1.0, 1.0], &[1.0, 3.0]) - 0.143_841).abs() < 1e-6);
    }

    #[test]
    fn an_outlier_is_clipped() {
        let mut histogram = Histogram::new(2048, -100.0, 100.0).unwrap();
        // A bell around zero, up to ±10 or so, and one value at 100.
        let bell =
            (0..200_000).map(|i| ((i as f32 + 0.5) / 200_000.0 * 2.0 - 1.0) * 5.0).map(|x: f32| x * x * x / 12.5);
        histogram.add(bell.chain([100.0]));
        let (low, high) = least_divergence(&histogram, 128);
        assert!(high > 5.0 && high < 50.0, "{high}");
        assert!((low + high).abs() < 0.2, "{low} {high}");
    }

    #[test]
    fn as_many_bins_as_levels_have_one_candidate() {
        let mut histogram = Histogram::new(128, -3.0, 3.0).unwrap();
        histogram.add([0.1, 3.0, 0.2, -0.1].into_iter());
        assert_eq!(least_divergence(&histogram, 128), (-3.0, 3.0));
    }
}
