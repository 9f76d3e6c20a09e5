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
use random::Random;

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.98;
/// The search ends where the smoothed loss is this many times the lowest.
const TOO_HIGH: f64 = 4.0;
/// Fewer steps suggest nothing.
pub const LEAST_STEPS: usize = metrics::LEAST_FINDER_STEPS;

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
        metrics::suggested_learning_rate(&self.points)
    }

    /// Learning rate and loss, a line a step.
    pub fn to_csv(&self) -> String {
        let lines = self.points.iter().map(|(learning_rate, loss)| format!("{learning_rate},{loss}\n"));
        std::iter::once("learning_rate,loss\n".to_owned()).chain(lines).collect()
    }
}
