//! Histograms of equal bins, bit for bit those of NumPy.

/// Counts of values in equal bins between two edges.
///
/// Edges and bin indices are computed in float32 in the order of `numpy.histogram`, so that a range read off this histogram is the
/// one that onnxruntime.quantization reads off its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// `bins + 1` edges, increasing.
    edges: Vec<f32>,
    /// `bins` counts.
    counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram from `first` to `last`, half a unit wider on both sides where they are equal; None if float32 has not
    /// as many values between them as there are bins.
    pub fn new(bins: usize, first: f32, last: f32) -> Option<Self> {
        let (first, last) = if first == last { (first - 0.5, last + 0.5) } else { (first, last) };
        let step = (last - first) / bins as f32;
        let mut edges: Vec<f32> = (0..=bins).map(|index| index as f32 * step + first).collect();
        *edges.last_mut()? = last;
        (bins > 0 && edges.is_sorted_by(|a, b| a < b)).then(|| Self { edges, counts: vec![0; bins] })
    }

    /// Counts values; those outside the edges are dropped. The last bin includes its right edge, the others do not.
    pub fn add(&mut self, values: impl Iterator<Item = f32>) {
        let bins = self.counts.len();
        let (first, last) = (self.edges[0], self.edges[bins]);
        let width = last - first;
        for value in values.filter(|value| (first..=last).contains(value)) {
            // Rounding can be off by one bin next to an edge.
            let index = (((value - first) / width * bins as f32) as usize).min(bins - 1);
            let index = if value < self.edges[index] {
                index - 1
            } else if index + 1 < bins && value >= self.edges[index + 1] {
                index + 1
            } else {
                index
            };
            self.counts[index] += 1;
        }
    }

    /// The edges; one more than bins.
    pub fn edges(&self) -> &[f32] {
        &self.edges
    }

    /// The counts.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Left edge of the first bin at which the cumulative share reaches `share`; the last edge if none does.
    pub fn quantile(&self, share: f64) -> f32 {
        let total = self.counts.iter().sum::<u64>() as f64;
        let cumulative = self.counts.iter().scan(0.0, |sum, &count| {
            *sum += count as f64 / total;
            Some(*sum)
        });
        self.edges[cumulative.take_while(|&sum| sum < share).count()]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn last_bin_includes_its_right_edge() {
        let mut histogram = Histogram::new(4, 0.0, 2.0).unwrap();
        histogram.add([0.0, 0.4, 0.5, 1.0, 1.99, 2.0, 2.01, -0.01].into_iter());
        assert_eq!(histogram.edges(), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(histogram.counts(), [2, 1, 1, 2]);
    }

    #[test]
    fn edges_of_a_constant_are_half_a_unit_around_it() {
        let histogram = Histogram::new(2, 3.0, 3.0).unwrap();
        assert_eq!(histogram.edges(), [2.5, 3.0, 3.5]);
    }

    #[test]
    fn too_narrow_a_range_has_no_histogram() {
        assert_eq!(Histogram::new(2048, 1.0, 1.0 + f32::EPSILON), None);
        assert_eq!(Histogram::new(0, 0.0, 1.0), None);
    }

    #[test]
    fn quantiles_are_left_edges_of_their_bins() {
        let mut histogram = Histogram::new(4, 0.0, 4.0).unwrap();
        histogram.add([0.5, 0.5, 1.5, 3.5].into_iter());
        assert_eq!([0.1, 0.5, 0.6, 0.75, 0.8, 1.0].map(|share| histogram.quantile(share)), [0., 0., 1., 1., 3., 3.]);
    }
}
