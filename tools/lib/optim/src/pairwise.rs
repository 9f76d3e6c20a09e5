//! Pairwise summation of the gradients of a step's batches.
//!
//! The batches are the leaves of a binary tree: a block of 2ᵏ batches that begins at a multiple of 2ᵏ is the sum of its two
//! halves, and the blocks that are left over at the end are added from the right, the smallest first. The order depends on
//! the number of batches alone, so that blocks may be summed anywhere; and the rounding error grows with its logarithm
//! (Higham, "The accuracy of floating point summation", 1993).

use std::ops::Range;

/// Values that are summed element by element.
pub trait Summand {
    /// Adds `other`, which is as long.
    fn add(&mut self, other: &Self);
}

impl Summand for Vec<f32> {
    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
    }
}

/// Partial sums of consecutive batches, with the buffers that they are in.
#[derive(Debug)]
pub struct PairwiseSum<B = Vec<f32>> {
    /// In order; no two neighbours are the halves of a block.
    blocks: Vec<Block<B>>,
    free: Vec<B>,
}

/// The sum over a block of batches.
#[derive(Debug)]
struct Block<B> {
    batches: Range<usize>,
    values: B,
}

impl<B> Default for PairwiseSum<B> {
    fn default() -> Self {
        Self { blocks: Vec::new(), free: Vec::new() }
    }
}

/// Whether two neighbouring blocks are the halves of one.
fn are_halves(left: &Range<usize>, right: &Range<usize>) -> bool {
    left.len() == right.len() && left.start.is_multiple_of(2 * left.len())
}

/// Factor from the sum over a step's batches to their mean.
pub fn mean_factor(batches: usize) -> f32 {
    1.0 / batches as f32
}

/// The blocks that `batches` are summed to where no others are known.
pub fn blocks(batches: Range<usize>) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for batch in batches {
        let mut block = batch..batch + 1;
        while let Some(left) = blocks.pop_if(|left| are_halves(left, &block)) {
            block = left.start..block.end;
        }
        blocks.push(block);
    }
    blocks
}

impl PairwiseSum {
    /// A buffer of `len` values, of any content.
    pub fn buffer(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.free().unwrap_or_default();
        buffer.resize(len, 0.0);
        buffer
    }
}

impl<B: Summand> PairwiseSum<B> {
    /// A buffer that is no longer needed, of any content, if there is one.
    pub fn free(&mut self) -> Option<B> {
        self.free.pop()
    }

    /// Takes a buffer that is no longer needed.
    pub fn recycle(&mut self, buffer: B) {
        self.free.push(buffer);
    }

    /// Adds the sum `values` over `batches`, which follow those added before.
    pub fn push(&mut self, batches: Range<usize>, values: B) {
        let mut block = Block { batches, values };
        while let Some(left) = self.blocks.pop_if(|left| are_halves(&left.batches, &block.batches)) {
            block = self.sum(left, block);
        }
        self.blocks.push(block);
    }

    /// The partial sums of what was added, in the order of [`blocks`].
    pub fn partial_sums(&self) -> impl Iterator<Item = &B> {
        self.blocks.iter().map(|block| &block.values)
    }

    /// Forgets what was added.
    pub fn clear(&mut self) {
        self.free.extend(self.blocks.drain(..).map(|block| block.values));
    }

    /// The sum of all that was added; None of nothing.
    pub fn finish(&mut self) -> Option<B> {
        let mut sum = self.blocks.pop()?;
        while let Some(left) = self.blocks.pop() {
            sum = self.sum(left, sum);
        }
        Some(sum.values)
    }

    fn sum(&mut self, mut left: Block<B>, right: Block<B>) -> Block<B> {
        left.values.add(&right.values);
        left.batches.end = right.batches.end;
        self.free.push(right.values);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: halves at the largest power of two below the length.
    fn reference(values: &[f32]) -> f32 {
        match values {
            [one] => *one,
            _ => {
                let middle = values.len().next_power_of_two() / 2;
                reference(&values[..middle]) + reference(&values[middle..])
            }
        }
    }

    #[test]
    fn any_division_into_ranks_gives_the_same_bits() {
        // Not exact in f32, of both signs and several magnitudes.
        let values: Vec<f32> = (0..70).map(|i| ((i * 37 % 23) as f32 - 11.3) * 1.7f32.powi(i % 9)).collect();
        let mut sum = PairwiseSum::<Vec<f32>>::default();
        for count in 1..=values.len() {
            let expected = reference(&values[..count]).to_bits();
            for ranks in 1..=count.min(9) {
                let bound = |rank: usize| rank * count / ranks;
                for rank in 0..ranks {
                    let batches = bound(rank)..bound(rank + 1);
                    let mut own = PairwiseSum::<Vec<f32>>::default();
                    batches.clone().for_each(|i| own.push(i..i + 1, vec![values[i]]));
                    let blocks = blocks(batches);
                    assert_eq!(own.partial_sums().count(), blocks.len());
                    blocks.into_iter().zip(own.partial_sums()).for_each(|(block, part)| sum.push(block, part.clone()));
                }
                let total = sum.finish().expect("values were added");
                assert_eq!(total[0].to_bits(), expected, "{count} values, {ranks} ranks");
            }
        }
    }
}
