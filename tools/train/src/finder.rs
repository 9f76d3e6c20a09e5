//! Looking for a learning rate: a short run in which it rises from step to step (Smith, "Cyclical
//! learning rates for training neural networks", 2017). The suggestion is Lightning's: where the
//! smoothed loss falls most steeply.

use crate::{
    data::{Data, stream},
    feed::Feed,
    network::Network,
    settings::Settings,
    step::Learner,
};
use kernels::random::Random;

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.98;
/// The search ends where the smoothed loss is this many times the lowest.
const TOO_HIGH: f64 = 4.0;
/// Steps at the beginning and the end that suggest nothing.
const SKIPPED: (usize, usize) = (10, 1);
/// Fewer steps suggest nothing: the steepest of those between, each of which has two neighbours.
pub const LEAST_STEPS: usize = SKIPPED.0 + SKIPPED.1 + 3;

/// What was tried.
pub struct Curve {
    /// Learning rate and smoothed loss of each step.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// Tries the learning rates that the settings name.
    pub fn measure(settings: &Settings, data: &Data, network: &Network) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let mut learner = Learner::new(settings, network, network.start(trainer.seed, data))?;
        let feed = Feed::new(data.train(), network, network.augmentation(settings, data)?);
        feed.check_weight(trainer.loss(), "training")?;
        network.check_batches(feed.count, trainer.batch_size, trainer.finder.steps)?;
        let order = Random::new(trainer.seed, stream::ORDER).permutation(feed.count);
        let mut batches = order.chunks(trainer.batch_size).cycle();
        let finder = trainer.finder;
        let (mut points, mut average, mut lowest) = (Vec::new(), 0.0, f64::INFINITY);
        for step in 0..finder.steps {
            let share = step as f64 / (finder.steps - 1) as f64;
            let learning_rate = finder.min * (finder.max / finder.min).powf(share);
            let Some(batch) = batches.next() else { break };
            let stepped = learner.step(settings, &feed, 1, &[batch], learning_rate)?;
            if !stepped.finite {
                break;
            }
            average = SMOOTHING * average + (1.0 - SMOOTHING) * stepped.loss();
            let smooth = average / (1.0 - SMOOTHING.powi(step as i32 + 1));
            if step > 1 && smooth > TOO_HIGH * lowest {
                break;
            }
            lowest = lowest.min(smooth);
            points.push((learning_rate, smooth));
        }
        Ok(Self { points })
    }

    /// The learning rate at the steepest descent; none where too little was measured.
    pub fn suggestion(&self) -> Option<f64> {
        let (begin, end) = SKIPPED;
        let points = self.points.get(begin..self.points.len().checked_sub(end)?)?;
        // As numpy.gradient: half the difference of both neighbours.
        let slope = |i: usize| (points[i + 1].1 - points[i - 1].1) / 2.0;
        let steepest = (1..points.len().checked_sub(1)?).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
        Some(points[steepest].0)
    }

    /// Learning rate and loss, a line a step.
    pub fn to_csv(&self) -> String {
        let lines = self.points.iter().map(|(learning_rate, loss)| format!("{learning_rate},{loss}\n"));
        std::iter::once("learning_rate,loss\n".to_owned()).chain(lines).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_where_the_loss_falls_most() {
        // Flat, then a fall that is steepest at step 20, then a rise.
        let loss = |i: i32| 1.0 / (1.0 + f64::from(i - 20).exp()) + if i > 35 { f64::from(i - 35) } else { 0.0 };
        let points = (0..40).map(|i| (10f64.powi(i - 30), loss(i))).collect();
        assert_eq!(Curve { points }.suggestion(), Some(10f64.powi(-10)));
        assert_eq!(Curve { points: Vec::new() }.suggestion(), None);
        assert_eq!(Curve { points: vec![(1.0, 1.0); 12] }.suggestion(), None);
    }
}
