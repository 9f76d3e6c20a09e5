//! `--find-learning-rate`: the learning-rate range test, a short run in which the rate rises from step to step (Smith,
//! "Cyclical learning rates for training neural networks", 2017). The suggestion is that of Lightning's `lr_find`: where
//! the smoothed loss falls most steeply.

use crate::{
    data::{DataLoader, DataModule, stream},
    device::Device,
    distributed::Ranks,
    network::Network,
    settings::Settings,
    training_step::Learner,
};
use anyhow::Context;
use random::Random;
use std::path::Path;

/// Decay of the moving average that smooths the loss.
const SMOOTHING: f64 = 0.98;
/// The test ends where the smoothed loss is this many times its minimum.
const STOP_RATIO: f64 = 4.0;
/// With fewer steps there is no suggestion.
pub const MIN_STEPS: usize = metrics::MIN_FINDER_STEPS;

/// Runs the test, writes the curve to `finder.csv` in the run folder, and returns the suggestion as a setting.
///
/// # Errors
/// When the loss rose too early for a suggestion.
pub fn setting(settings: &Settings, data: &DataModule, network: &Network, device: &Device) -> anyhow::Result<String> {
    let curve = Curve::measure(settings, data, network, device)?;
    let folder = Path::new(&settings.trainer.run_dir);
    std::fs::create_dir_all(folder).with_context(|| format!("{}: trainer.run_dir", folder.display()))?;
    files::write_file(&folder.join("finder.csv"), curve.to_csv().as_bytes())?;
    let suggestion = metrics::suggested_learning_rate(&curve.points).with_context(|| {
        let (steps, min) = (curve.points.len(), settings.trainer.finder.min);
        format!("the loss rose after {steps} steps, too early to tell; give a trainer.finder.min below {min:e}")
    })?;
    Ok(format!("optimizer.learning_rate={suggestion:.3e}\n"))
}

/// Loss against learning rate.
struct Curve {
    /// Learning rate and smoothed loss of each step.
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// Trains with the learning rates of `trainer.finder`, until the loss rises.
    fn measure(settings: &Settings, data: &DataModule, network: &Network, device: &Device) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let loader = DataLoader::new(data.train(), network, network.augmentation(settings, data)?);
        let initial = network.initial_parameters(trainer.seed, data)?;
        let mut learner = Learner::new(settings, network, device, Some(&loader), initial)?;
        loader.check_weight(trainer.loss(), "training")?;
        network.check_batches(loader.count, trainer.batch_size, trainer.finder.steps)?;
        let order = Random::new(trainer.seed, stream::ORDER).permutation(loader.count);
        let mut batches = order.chunks(trainer.batch_size).cycle();
        let finder = trainer.finder;
        let (mut points, mut average, mut min_loss) = (Vec::new(), 0.0, f64::INFINITY);
        for step in 0..finder.steps {
            let fraction = step as f64 / (finder.steps - 1) as f64;
            let learning_rate = finder.min * libm::pow(finder.max / finder.min, fraction);
            let Some(batch) = batches.next() else { break };
            let output = learner.step(settings, &loader, 1, &[batch], learning_rate, &mut Ranks::alone())?;
            if !output.finite {
                break;
            }
            average = SMOOTHING * average + (1.0 - SMOOTHING) * output.loss();
            let smooth = average / (1.0 - SMOOTHING.powi(step as i32 + 1));
            if step > 1 && smooth > STOP_RATIO * min_loss {
                break;
            }
            min_loss = min_loss.min(smooth);
            points.push((learning_rate, smooth));
        }
        Ok(Self { points })
    }

    /// `finder.csv`: learning rate and smoothed loss, a line per step.
    fn to_csv(&self) -> String {
        let lines = self.points.iter().map(|(learning_rate, loss)| format!("{learning_rate},{loss}\n"));
        std::iter::once("learning_rate,loss\n".to_owned()).chain(lines).collect()
    }
}
