//! Mean and standard deviation of each channel's pixels, as shares of 255.

use crate::layout::IMAGE;
use anyhow::{Context, ensure};
use records::Schema;

/// The largest value of a pixel.
const WHITE: f64 = 255.0;

/// Sums over images. They are whole numbers, so that no order of summation changes a bit.
pub struct Statistics {
    row_bytes: usize,
    /// Pixels of one channel of one image.
    plane: usize,
    /// For each channel: the sum of its pixels, and of their squares.
    sums: Vec<(u64, u128)>,
    rows: u64,
}

impl Statistics {
    pub fn new(schema: &Schema) -> anyhow::Result<Self> {
        let image = schema.fields().first().filter(|field| field.name == IMAGE);
        let shape = image.context("rows begin with an image")?.shape.clone();
        ensure!(shape.len() == 3, "an image has channels, height and width");
        Ok(Self { row_bytes: schema.row_bytes(), plane: shape[1] * shape[2], sums: vec![(0, 0); shape[0]], rows: 0 })
    }

    /// Takes packed rows in.
    pub fn add(&mut self, packed: &[u8]) {
        for row in packed.chunks_exact(self.row_bytes) {
            for (plane, (sum, squares)) in row.chunks_exact(self.plane).zip(&mut self.sums) {
                *sum += plane.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
                *squares += u128::from(plane.iter().map(|&pixel| u64::from(pixel) * u64::from(pixel)).sum::<u64>());
            }
            self.rows += 1;
        }
    }

    /// Of each channel.
    pub fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|(sum, _)| *sum as f64 / self.count() / WHITE).collect()
    }

    /// Of each channel; of the images as they are, not an estimate for those that they were drawn from.
    pub fn std(&self) -> Vec<f64> {
        let variance = |&(sum, squares): &(u64, u128)| {
            // n Σx² - (Σx)², exact as long as the sums are.
            let count = u128::from(self.rows) * self.plane as u128;
            (count * squares - u128::from(sum) * u128::from(sum)) as f64 / (self.count() * self.count())
        };
        self.sums.iter().map(|sums| variance(sums).sqrt() / WHITE).collect()
    }

    /// Pixels of a channel.
    fn count(&self) -> f64 {
        self.rows as f64 * self.plane as f64
    }
}
