//! Mean and standard deviation of features, and of the channels of images.

/// How many statistics a row of this shape has: one a channel for an image `[channels, height, width]`, otherwise one an
/// element.
pub fn channels(shape: &[usize]) -> usize {
    match shape {
        [channels, _, _] => *channels,
        shape => shape.iter().product(),
    }
}

/// Mean and variance of one feature over all rows, or of one channel over all pixels of all images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Population variance (divided by n, not n - 1); exactly 0 where all values are equal.
    pub variance: f64,
}

impl Statistics {
    /// Those of each of the [`channels`] of `rows`, each `[shape…]`.
    pub fn of<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, shape: &[usize]) -> Vec<Self> {
        let mut means = Means::new(shape, rows.clone().count());
        rows.clone().for_each(|row| means.add(row));
        let mut variances = means.variances();
        rows.for_each(|row| variances.add(row));
        variances.statistics()
    }

    /// As [`Statistics::of`], for rows of bytes.
    pub fn of_bytes<'a>(rows: impl Iterator<Item = &'a [u8]>, shape: &[usize]) -> Vec<Self> {
        let mut sums = ByteSums::new(shape);
        rows.for_each(|row| sums.add(row));
        sums.statistics()
    }

    /// Whether all values are equal.
    pub fn is_constant(&self) -> bool {
        self.variance == 0.0
    }

    /// Whether all values are 0.
    pub fn is_zero(&self) -> bool {
        self.mean == 0.0 && self.variance == 0.0
    }

    /// Square root of the variance.
    pub fn standard_deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// The rule of `input_scaling=auto` and `target_scaling=auto`: scaling is needed where
    ///
    /// - the root mean square is above 10 or below 0.1, or
    /// - the standard deviation is below |mean| / 20, and not 0.
    ///
    /// False where all values are 0.
    pub fn is_far_from_unit_scale(&self) -> bool {
        let root_mean_square = (self.mean * self.mean + self.variance).sqrt();
        let deviation = self.standard_deviation();
        !self.is_zero()
            && (!(0.1..=10.0).contains(&root_mean_square) || (deviation > 0.0 && deviation < 0.05 * self.mean.abs()))
    }
}

/// The first pass of [`Statistics::of`] over rows that come one after the other, for instance from a file. The order of rows
/// decides the last bits.
#[derive(Debug, Clone)]
pub struct Means {
    /// Elements of one channel of one row.
    plane: usize,
    /// Elements of one channel of all rows.
    count: f64,
    /// `[channels]`
    mean: Vec<f64>,
    /// `[channels]`: minimum and maximum.
    range: Vec<(f32, f32)>,
}

/// The second pass, over the same rows.
#[derive(Debug, Clone)]
pub struct Variances {
    means: Means,
    /// `[channels]`
    variance: Vec<f64>,
}

impl Means {
    /// No rows yet, of `count` in all, each `[shape…]`.
    pub fn new(shape: &[usize], count: usize) -> Self {
        let width = channels(shape);
        let plane = shape.iter().product::<usize>() / width;
        let count = (count * plane).max(1) as f64;
        Self { plane, count, mean: vec![0.0; width], range: vec![(f32::INFINITY, f32::NEG_INFINITY); width] }
    }

    /// Adds one row.
    pub fn add(&mut self, row: &[f32]) {
        let Self { plane, count, mean, range } = self;
        for ((mean, (least, most)), plane) in mean.iter_mut().zip(range).zip(row.chunks_exact(*plane)) {
            *mean += plane.iter().map(|&x| f64::from(x)).sum::<f64>() / *count;
            plane.iter().for_each(|&x| (*least, *most) = (least.min(x), most.max(x)));
        }
    }

    /// The second pass, once all rows are added.
    pub fn variances(self) -> Variances {
        Variances { variance: vec![0.0; self.mean.len()], means: self }
    }
}

impl Variances {
    /// Adds one row.
    pub fn add(&mut self, row: &[f32]) {
        let Means { plane, count, mean, .. } = &self.means;
        for ((variance, mean), plane) in self.variance.iter_mut().zip(mean).zip(row.chunks_exact(*plane)) {
            *variance += plane.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        }
    }

    /// The statistics, one a channel, once all rows are added again.
    pub fn statistics(self) -> Vec<Statistics> {
        let all = self.means.mean.into_iter().zip(self.variance).zip(self.means.range);
        all.map(|((mean, variance), (least, most))| match least == most {
            // Rounding leaves a little of a variance that is 0.
            true => Statistics { mean: f64::from(least), variance: 0.0 },
            false => Statistics { mean, variance },
        })
        .collect()
    }
}

/// Sums over rows of bytes. They are integers, so that the result does not depend on the order of rows, in any bit.
#[derive(Debug, Clone)]
pub struct ByteSums {
    /// Elements of one channel of one row.
    plane: usize,
    /// For each channel: the sum of its elements, and of their squares.
    sums: Vec<(u64, u128)>,
    rows: u64,
}

impl ByteSums {
    /// No rows yet, each `[shape…]`.
    pub fn new(shape: &[usize]) -> Self {
        let channels = channels(shape);
        Self { plane: shape.iter().product::<usize>() / channels, sums: vec![(0, 0); channels], rows: 0 }
    }

    /// Adds one row. Bytes beyond its shape (further fields of a packed row) are ignored.
    pub fn add(&mut self, row: &[u8]) {
        for ((sum, squares), plane) in self.sums.iter_mut().zip(row.chunks_exact(self.plane)) {
            *sum += plane.iter().map(|&x| u64::from(x)).sum::<u64>();
            *squares += u128::from(plane.iter().map(|&x| u64::from(x) * u64::from(x)).sum::<u64>());
        }
        self.rows += 1;
    }

    /// The statistics of the rows so far, one a channel.
    pub fn statistics(&self) -> Vec<Statistics> {
        let count = (u128::from(self.rows) * self.plane as u128).max(1);
        let of_sums = |&(sum, squares): &(u64, u128)| {
            let sum = u128::from(sum);
            // n Σx² - (Σx)², exact.
            let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
            Statistics { mean: sum as f64 / count as f64, variance }
        };
        self.sums.iter().map(of_sums).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_from_unit_scale_is_large_small_or_far_from_zero() {
        let far =
            |mean: f64, deviation: f64| Statistics { mean, variance: deviation * deviation }.is_far_from_unit_scale();
        // Probabilities of 8 classes, their entropies, standardized values, a coin.
        for (mean, deviation) in [(0.125, 0.11), (1.72, 0.16), (0.0, 1.0), (0.5, 0.5), (0.0, 0.0), (5.0, 0.0)] {
            assert!(!far(mean, deviation), "{mean} {deviation}");
        }
        for (mean, deviation) in [(500_000.0, 2e5), (0.0, 0.09), (0.0, 10.1), (1.0, 0.04), (-1.0, 0.04), (99.0, 0.0)] {
            assert!(far(mean, deviation), "{mean} {deviation}");
        }
    }

    #[test]
    fn bytes_have_the_statistics_of_the_same_numbers() {
        let bytes: Vec<u8> = (0..6 * 24).map(|i| if i % 24 < 8 { 255 } else { (i * i % 251) as u8 }).collect();
        let reals: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
        for shape in [&[24][..], &[3, 2, 4]] {
            let exact = Statistics::of_bytes(bytes.chunks_exact(24), shape);
            let expected = Statistics::of(reals.chunks_exact(24), shape);
            assert_eq!((exact.len(), exact[0]), (channels(shape), Statistics { mean: 255.0, variance: 0.0 }));
            for (exact, expected) in exact.iter().zip(expected) {
                assert!((exact.mean - expected.mean).abs() < 1e-9 && (exact.variance - expected.variance).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn sums_skip_what_is_behind_the_image() {
        // By hand: channels (1, 3) and (10, 10), then a label.
        let mut sums = ByteSums::new(&[2, 1, 2]);
        sums.add(&[1, 3, 10, 10, 99]);
        let of = |mean, variance| Statistics { mean, variance };
        assert_eq!(sums.statistics(), [of(2.0, 1.0), of(10.0, 0.0)]);
        assert_eq!(ByteSums::new(&[2, 1, 2]).statistics(), [of(0.0, 0.0); 2]);
    }
}
