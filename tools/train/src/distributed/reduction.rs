//! The exchange of a step: a reduce-scatter, then an all-gather, of gradients.
//!
//! The trainable parameters are divided into a segment for each rank. Each rank sends every other the partial sums of its
//! batches within that one's segment, adds what it receives for its own in the order of one process, and sends the sum to
//! all. A rank sends and receives `2 (n - 1) / n` times the gradients' bytes, as a ring does, in two messages to each other
//! rank; more only where its batches are no complete block ([`pairwise::blocks`]).
//!
//! Losses and batch statistics, which are small and are added batch by batch, go to every rank.

use super::{Ranks, Request, request::WORDS, share};
use nets::Layout;
use optim::pairwise::{self, PairwiseSum, mean_factor};
use std::ops::Range;

/// Words of a loss in a message.
const LOSS_WORDS: usize = 2;

/// What a rank has computed of a step's batches: those of [`Ranks::share`], in order.
#[derive(Default)]
pub struct Contribution {
    /// Loss of each batch.
    pub losses: Vec<f64>,
    /// Shares in the running statistics, `[batches, statistics]`.
    pub statistics: Vec<f32>,
    /// Gradients, each of all parameters.
    pub gradients: PairwiseSum,
}

impl Contribution {
    /// Forgets the last step's.
    pub fn clear(&mut self) {
        self.losses.clear();
        self.statistics.clear();
        self.gradients.clear();
    }
}

/// The buffers of a step's exchange.
#[derive(Default)]
pub struct Reduction {
    /// By rank. Values are moved, not computed with, so any 32 bits may be in an f32.
    outgoing: Vec<Vec<f32>>,
    incoming: Vec<Vec<f32>>,
    sum: PairwiseSum,
}

/// The lengths of a step's messages, which every rank knows.
struct Plan {
    /// Batches of the step.
    batches: usize,
    ranks: usize,
    /// Values of a batch's statistics.
    statistics: usize,
    /// Trainable parameters.
    parameters: usize,
}

impl Plan {
    fn batches(&self, rank: usize) -> Range<usize> {
        share(self.batches, rank, self.ranks)
    }

    fn segment(&self, rank: usize) -> Range<usize> {
        share(self.parameters, rank, self.ranks)
    }

    /// Values of what `from` sends `to`: its request, of each batch the loss and the statistics, the blocks' gradients.
    fn length(&self, from: usize, to: usize) -> usize {
        let batches = self.batches(from);
        let blocks = pairwise::blocks(batches.clone()).len();
        WORDS + batches.len() * (LOSS_WORDS + self.statistics) + blocks * self.segment(to).len()
    }
}

impl Reduction {
    /// Adds the contributions of all ranks to a step of `batches` batches: overwrites the trainable part of `gradients`
    /// with their mean, and returns losses and statistics of all batches, in order.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn reduce(
        &mut self,
        ranks: &mut Ranks,
        batches: usize,
        own: &Contribution,
        layout: &Layout,
        gradients: &mut [f32],
    ) -> anyhow::Result<(Vec<f64>, Vec<f32>)> {
        let parameters = layout.trainable();
        let statistics = layout.frozen_start() - parameters;
        let plan = Plan { batches, ranks: ranks.size(), statistics, parameters };
        self.write(ranks, &plan, own);
        self.exchange(ranks, &plan)?;
        let sums = self.read(ranks, &plan, own, gradients);
        gather_segments(ranks, &plan, &mut gradients[..parameters])?;
        Ok(sums)
    }

    /// Fills `outgoing`.
    fn write(&mut self, ranks: &Ranks, plan: &Plan, own: &Contribution) {
        self.outgoing.resize_with(plan.ranks, Vec::new);
        for (to, message) in self.outgoing.iter_mut().enumerate() {
            message.clear();
            if to == ranks.rank() {
                continue;
            }
            message.extend(ranks.own.to_words().map(f32::from_bits));
            message.extend(own.losses.iter().flat_map(|loss| words(*loss)));
            message.extend(&own.statistics);
            own.gradients.partial_sums().for_each(|sum| message.extend(&sum[plan.segment(to)]));
        }
    }

    /// Fills `incoming` from the other ranks' messages.
    fn exchange(&mut self, ranks: &mut Ranks, plan: &Plan) -> anyhow::Result<()> {
        let rank = ranks.rank();
        self.incoming.resize_with(plan.ranks, Vec::new);
        for (from, message) in self.incoming.iter_mut().enumerate() {
            message.resize(if from == rank { 0 } else { plan.length(from, rank) }, 0.0);
        }
        let outgoing: Vec<&[u8]> = self.outgoing.iter().map(|message| bytemuck::cast_slice(message)).collect();
        let mut incoming: Vec<&mut [u8]> =
            self.incoming.iter_mut().map(|message| bytemuck::cast_slice_mut(message)).collect();
        ranks.run(|ranks| ranks.exchange(&outgoing, &mut incoming))
    }

    /// Adds up this rank's segment of `gradients`; returns losses and statistics of all batches.
    fn read(
        &mut self,
        ranks: &mut Ranks,
        plan: &Plan,
        own: &Contribution,
        gradients: &mut [f32],
    ) -> (Vec<f64>, Vec<f32>) {
        let segment = plan.segment(ranks.rank());
        let (mut losses, mut statistics) = (Vec::with_capacity(plan.batches), Vec::new());
        let mut requests = Vec::with_capacity(plan.ranks);
        for (from, message) in self.incoming.iter().enumerate() {
            let batches = plan.batches(from);
            let blocks = pairwise::blocks(batches.clone());
            let mut push = |block, sum: &[f32]| {
                let mut values = self.sum.buffer(segment.len());
                values.copy_from_slice(sum);
                self.sum.push(block, values);
            };
            if from == ranks.rank() {
                requests.push(ranks.own.to_words());
                losses.extend(&own.losses);
                statistics.extend(&own.statistics);
                blocks.into_iter().zip(own.gradients.partial_sums()).for_each(|(block, sum)| {
                    push(block, &sum[segment.clone()]);
                });
                continue;
            }
            let (request, message) = message.split_at(WORDS);
            let (own_losses, message) = message.split_at(batches.len() * LOSS_WORDS);
            let (own_statistics, sums) = message.split_at(batches.len() * plan.statistics);
            requests.push([request[0].to_bits(), request[1].to_bits()]);
            losses.extend(own_losses.chunks_exact(LOSS_WORDS).map(|pair| loss([pair[0], pair[1]])));
            statistics.extend(own_statistics);
            let segments = (0..blocks.len()).map(|i| &sums[i * segment.len()..(i + 1) * segment.len()]);
            blocks.into_iter().zip(segments).for_each(|(block, sum)| push(block, sum));
        }
        ranks.agreed = Request::merge(requests.into_iter());
        if let Some(sum) = self.sum.finish() {
            let scale = mean_factor(plan.batches);
            gradients[segment].iter_mut().zip(&sum).for_each(|(gradient, sum)| *gradient = sum * scale);
            self.sum.recycle(sum);
        }
        (losses, statistics)
    }
}

/// Sends this rank's segment of `gradients` to all, and receives theirs.
fn gather_segments(ranks: &mut Ranks, plan: &Plan, mut gradients: &mut [f32]) -> anyhow::Result<()> {
    let rank = ranks.rank();
    let mut own: &[f32] = &[];
    let mut incoming: Vec<&mut [u8]> = Vec::with_capacity(plan.ranks);
    for from in 0..plan.ranks {
        let (segment, rest) = gradients.split_at_mut(plan.segment(from).len());
        gradients = rest;
        if from == rank {
            own = segment;
            incoming.push(&mut []);
        } else {
            incoming.push(bytemuck::cast_slice_mut(segment));
        }
    }
    let outgoing = vec![bytemuck::cast_slice(own); plan.ranks];
    ranks.run(|ranks| ranks.exchange(&outgoing, &mut incoming))
}

/// A loss as the words of a message, and back.
fn words(loss: f64) -> [f32; LOSS_WORDS] {
    let bits = loss.to_bits();
    [f32::from_bits(bits as u32), f32::from_bits((bits >> 32) as u32)]
}

fn loss([low, high]: [f32; LOSS_WORDS]) -> f64 {
    f64::from_bits(u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_keep_their_bits_as_words() {
        for x in [0.1, -0.0, 1e300, f64::NAN, f64::INFINITY, f64::from_bits(0x7ff0_dead_beef_0001)] {
            assert_eq!(loss(words(x)).to_bits(), x.to_bits());
        }
    }
}
